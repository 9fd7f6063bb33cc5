// When to try again. Pure: chance is passed in.

export const FIRST_DELAY = 500;
export const LONGEST_DELAY = 30_000;

/** Full jitter: anything from nothing to the doubled bound, so that a crowd does not come at once. */
export function retryDelay(failures, random) {
  const bound = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** Math.max(0, failures - 1));
  return Math.round(random * bound);
}

export const QUICK_POLL = 3_000;
export const SLOW_POLL = 60_000;
const ATTENTION = 60_000;

/** How long to wait between polls: short while somebody looks and moves, long otherwise. */
export function pollDelay({ visible, idleFor }) {
  return visible && idleFor < ATTENTION ? QUICK_POLL : SLOW_POLL;
}

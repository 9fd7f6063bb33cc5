// Which key means what. Pure: a key and what was pressed before come in, an action comes out.

const PAGES = "oepcshbrfktd";
const ACTIONS = {
  "/": "search",
  "?": "help",
  j: "next",
  k: "previous",
  p: "pause",
  "[": "earlier",
  "]": "later",
  z: "wider",
};
const TOGETHER = 1_200;

export const START = { prefix: null, at: 0 };

/**
 * The next state and what to do: an action's name, `go:x`, or nothing.
 * `press` is `{key, modified, typing, now}`; `pages` are the letters that lead somewhere.
 */
export function read(state, press, pages = PAGES) {
  if (press.modified || press.typing) return { state: START, action: null };
  if (state.prefix === "g" && press.now - state.at <= TOGETHER) {
    const known = pages.includes(press.key) && press.key.length === 1;
    return { state: START, action: known ? `go:${press.key}` : null };
  }
  if (press.key === "g") return { state: { prefix: "g", at: press.now }, action: null };
  return { state: START, action: Object.hasOwn(ACTIONS, press.key) ? ACTIONS[press.key] : null };
}

/** The row to stand on: `step` from `current` (-1 for none), kept inside the list. */
export function rowAfter(current, step, count) {
  if (!count) return -1;
  if (current < 0) return step > 0 ? 0 : count - 1;
  return Math.min(count - 1, Math.max(0, current + step));
}

// Pulls of fresh content: at most one at a time for each target, and what comes in between is one
// more pull afterwards. Pure but for the clock and chance that are passed in.

export const JITTER = 100;
export const GAP = 300;
// A server that answers slowly is asked less often: pulls take at most this share of the time. One
// slow answer is a hiccup, so the quicker one of the last two counts.
export const SHARE = 1 / 4;

export class Pulls {
  /**
   * @param run (target) => Promise, pulls once; its failure is the caller's to report
   * @param options `setTimer(callback, ms)`, `now()` and `random()`
   */
  constructor(run, { setTimer, now, random }) {
    this.run = run;
    this.setTimer = setTimer;
    this.now = now;
    this.random = random;
    this.states = new WeakMap();
  }

  /** Ask for a pull of `target`; many tabs ask at once, so each waits a moment of its own. */
  request(target) {
    const state = this.states.get(target) ?? { phase: "idle", startedAt: -Infinity, took: [0, 0] };
    this.states.set(target, state);
    if (state.phase === "waiting") return;
    if (state.phase === "running" || state.phase === "again") {
      state.phase = "again";
      return;
    }
    state.phase = "waiting";
    const gap = Math.max(GAP, Math.min(...state.took) / SHARE);
    const rest = Math.max(0, state.startedAt + gap - this.now());
    this.setTimer(() => this.start(target, state), rest + this.random() * JITTER);
  }

  async start(target, state) {
    state.phase = "running";
    state.startedAt = this.now();
    try {
      await this.run(target);
    } finally {
      state.took = [state.took[1], this.now() - state.startedAt];
      const again = state.phase === "again";
      state.phase = "idle";
      if (again) this.request(target);
    }
  }
}

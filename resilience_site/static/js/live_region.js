// The live parts of a page: `<div id="…" data-live="errors patterns:7" data-src="/…">`.
//
// A part is pulled anew from its own address and morphed, so that focus and open details survive.
// While the page is paused or hidden, or the keyboard stands inside a table of the part, it is left
// alone and remembered.

import { Pulls } from "./pulls.js";

const RETRY = 3_000;

export class Region {
  /**
   * @param onWaiting (count) hears how many updates are held back
   * @param onFailing (count) hears how many parts could not be refreshed, so that nobody calls
   *   an old page live
   */
  constructor(root, { onWaiting, onFailing }) {
    this.root = root;
    this.onWaiting = onWaiting;
    this.onFailing = onFailing;
    this.failing = new Set();
    this.paused = false;
    this.held = new Map();
    this.pulls = new Pulls((element) => this.pullOrRetry(element), {
      setTimer: (callback, ms) => setTimeout(callback, ms),
      now: () => Date.now(),
      random: Math.random,
    });
    root.addEventListener("focusout", () => queueMicrotask(() => this.release()));
    root.addEventListener("htmx:after:request", ({ detail }) => trim(detail.ctx));
  }

  elements() {
    return [...this.root.querySelectorAll("[data-live]")];
  }

  /** Parts that came without content. */
  pullMarked() {
    for (const element of this.root.querySelectorAll('[data-pull="load"]')) this.pulls.request(element);
  }

  /** Something happened to these parts; `count` hints say so. */
  touch(elements, count = 1) {
    for (const element of elements) {
      if (this.isHeld(element)) this.held.set(element, (this.held.get(element) ?? 0) + count);
      else this.pulls.request(element);
    }
    this.report();
  }

  setPaused(paused) {
    this.paused = paused;
    this.release();
  }

  /** Pull what was held back and may now change. */
  release() {
    for (const element of [...this.held.keys()]) {
      if (!element.isConnected) this.held.delete(element);
      else if (!this.isHeld(element)) {
        this.held.delete(element);
        this.pulls.request(element);
      }
    }
    this.report();
  }

  /** Pull every part that may change; whether all of them were answered. */
  async pollAll() {
    const parts = this.elements();
    const free = parts.filter((element) => !this.isHeld(element));
    for (const element of parts) {
      if (!free.includes(element)) this.held.set(element, this.held.get(element) ?? 1);
    }
    this.report();
    if (!free.length) return answers(location.href);
    return (await Promise.all(free.map((element) => this.pull(element)))).every(Boolean);
  }

  isHeld(element) {
    if (this.paused || this.root.hidden) return true;
    const focused = this.root.activeElement;
    return Boolean(focused && element.contains(focused) && focused.closest("tbody"));
  }

  report() {
    this.onWaiting(this.root.hidden ? 0 : [...this.held.values()].reduce((sum, each) => sum + each, 0));
  }

  async pullOrRetry(element) {
    const answered = await this.pull(element).catch(() => false);
    const before = this.failing.size;
    for (const each of this.failing) if (!each.isConnected) this.failing.delete(each);
    if (answered) this.failing.delete(element);
    else {
      this.failing.add(element);
      setTimeout(() => this.touch([element], 0), RETRY * (1 + Math.random()));
    }
    if (before || this.failing.size) this.onFailing(this.failing.size);
  }

  /** Pull one part; true when the server answered. */
  async pull(element) {
    if (!element.isConnected) return true;
    // Charts pull their own figures: they take the event and leave a promise.
    const event = new CustomEvent("live:refresh", { bubbles: true, cancelable: true, detail: {} });
    if (!element.dispatchEvent(event)) return event.detail.done ?? true;
    return pullPartial(element);
  }
}

async function pullPartial(element) {
  let answered = false;
  const note = ({ detail }) => {
    answered = detail.ctx.response.status < 500;
  };
  element.addEventListener("htmx:after:request", note);
  try {
    await window.htmx.ajax("GET", element.dataset.src, {
      source: element,
      target: element,
      swap: "outerMorph",
    });
  } finally {
    element.removeEventListener("htmx:after:request", note);
  }
  return answered;
}

// Blank text around a fragment would pile up beside the part with each morph.
function trim(ctx) {
  if (typeof ctx.text === "string") ctx.text = ctx.text.trim();
}

async function answers(url) {
  try {
    return (await fetch(url, { method: "HEAD" })).ok;
  } catch {
    return false;
  }
}

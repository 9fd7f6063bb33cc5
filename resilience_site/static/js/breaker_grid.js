// The grid of breakers: pulled as a whole, its order frozen while pointer or focus is on it.
//
// State and overrides are pulled at once. Figures come from every instance every few seconds, so
// hints about them (`calls`) are gathered into one pull in five seconds.

import { nextOrder } from "./order.js";

const FIGURES = 5_000;
// After a touch nothing moves either, until the finger has had the time for a second one.
const TOUCH = 3_000;

export function startBreakerGrid() {
  const grid = document.getElementById("breaker-grid");
  if (grid) new Grid(grid.id).start();
}

class Grid {
  constructor(id) {
    this.id = id;
    this.pointed = false;
    this.touchedUntil = 0;
    this.waits = false;
    this.sent = [];
    this.running = null;
    this.pulledAt = Date.now();
  }

  start() {
    document.addEventListener("live:refresh", (event) => this.refresh(event));
    document.addEventListener("htmx:after:request", ({ detail }) => this.arrange(detail.ctx));
    document.addEventListener("pointerover", (event) => this.point(event));
    document.addEventListener("pointerdown", (event) => this.touch(event));
    document.documentElement.addEventListener("pointerleave", (event) => this.point(event));
    document.addEventListener("focusout", () => queueMicrotask(() => this.free()));
  }

  get element() {
    return document.getElementById(this.id);
  }

  get frozen() {
    const focused = document.activeElement;
    return this.pointed || Date.now() < this.touchedUntil || Boolean(focused?.closest("#breaker-tiles"));
  }

  // --- When to pull

  refresh(event) {
    if (event.target.id === this.id) event.detail.done = this.pull();
    else if (event.target.id === "breaker-figures") event.detail.done = this.pullFigures();
    else return;
    event.preventDefault();
  }

  async pullFigures() {
    const rest = this.pulledAt + FIGURES - Date.now();
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    // Somebody else may have pulled in the meantime.
    if (this.pulledAt + FIGURES - Date.now() > 0) return true;
    return document.hidden ? true : this.pull();
  }

  /** One pull at a time; whoever comes during one gets another after it. */
  async pull() {
    while (this.running) await this.running;
    this.pulledAt = Date.now();
    this.running = this.fetch();
    try {
      return await this.running;
    } finally {
      this.running = null;
    }
  }

  async fetch() {
    const element = this.element;
    if (!element) return true;
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

  // --- In which order

  /** Put the tiles of an answer into the order to show, before they are swapped in. */
  arrange(ctx) {
    if (ctx.target?.id !== this.id || typeof ctx.text !== "string" || ctx.response.status >= 400) return;
    const list = document.getElementById("breaker-tiles");
    const shown = list ? [...list.children].map((tile) => tile.id) : [];
    this.sent = [...ctx.text.matchAll(/<li class="breaker" id="([^"]+)"/g)].map((match) => match[1]);
    const { order, gone, waits } = nextOrder(shown, this.sent, this.frozen && Boolean(list));
    this.waits = waits;
    if (waits) ctx.text = this.reordered(ctx.text, order, gone);
    this.remark();
  }

  reordered(text, order, gone) {
    const answer = new DOMParser().parseFromString(text, "text/html");
    const list = answer.getElementById("breaker-tiles");
    // Everything may have left; then there is no list to keep a place in.
    if (!list) return text;
    for (const id of gone) {
      const tile = document.getElementById(id).cloneNode(true);
      tile.dataset.gone = "";
      list.append(tile);
    }
    for (const id of order) list.append(answer.getElementById(id));
    return answer.body.innerHTML;
  }

  // --- When the order is free

  point(event) {
    if (event.pointerType === "touch") return;
    this.pointed = event.type === "pointerover" && Boolean(event.target.closest?.("#breaker-tiles"));
    this.free();
  }

  touch(event) {
    if (event.pointerType !== "touch") return;
    this.touchedUntil = event.target.closest("#breaker-tiles") ? Date.now() + TOUCH : 0;
    setTimeout(() => this.free(), TOUCH + 50);
  }

  /** Show the order that waited, once nobody is on the tiles any more. */
  free() {
    if (!this.waits || this.frozen) return;
    const list = document.getElementById("breaker-tiles");
    if (!list) return;
    this.waits = false;
    for (const tile of list.querySelectorAll(":scope > [data-gone]")) tile.remove();
    for (const id of this.sent) {
      const tile = document.getElementById(id);
      if (tile) list.append(tile);
    }
    this.remark();
  }

  remark() {
    const note = document.getElementById("grid-order");
    if (note) note.hidden = !this.waits;
  }
}

// Live pages: small hints arrive over a socket, the page pulls what they concern.

import { pollDelay, retryDelay } from "./backoff.js";
import * as state from "./live_state.js";
import { Region } from "./live_region.js";
import { concerns, parseTopics, topicNames } from "./topics.js";
import { clock } from "./time_text.js";
import { announce } from "./toasts.js";
import { currentZone } from "./time.js";

const REFUSALS = {
  4401: "you are logged out, reload to log in",
  4403: "your role may not listen",
};

export class Live {
  constructor(root = document) {
    this.root = root;
    this.state = state.initial(Date.now());
    this.cursor = root.body.dataset.liveCursor ?? null;
    this.socket = null;
    this.region = new Region(root, {
      onWaiting: (count) => this.tell({ type: "waiting", count }),
      onFailing: (count) => this.tell({ type: "failing", count, now: Date.now() }),
    });
    this.touchedAt = Date.now();
    this.retryTimer = this.pollTimer = this.pollDueAt = null;
    this.polling = false;
  }

  start() {
    if (!this.region.elements().length) {
      document.getElementById("pause")?.remove();
      return;
    }
    this.watch();
    this.connect();
    this.region.pullMarked();
  }

  watch() {
    for (const type of ["pointermove", "keydown", "scroll"]) {
      this.root.addEventListener(type, () => this.touched(), { passive: true });
    }
    this.root.addEventListener("visibilitychange", () => {
      if (this.root.hidden) return;
      this.region.release();
      if (state.shouldPoll(this.state)) this.poll();
    });
    window.addEventListener("online", () => this.reconnectNow());
    // A page out of the back/forward cache shows what was true when it was left.
    window.addEventListener("pageshow", (event) => event.persisted && this.refreshAll());
    document.getElementById("live-action")?.addEventListener("click", () => this.reconnectNow());
    document.getElementById("pause")?.addEventListener("click", () => this.togglePause());
    setInterval(() => this.show(), 500);
  }

  tell(event) {
    this.state = state.next(this.state, event);
    this.show();
  }

  // --- Socket

  connect() {
    clearTimeout(this.retryTimer);
    this.socket?.close();
    this.tell({ type: "connecting" });
    const topics = topicNames(this.region.elements().map((each) => parseTopics(each.dataset.live)));
    const query = new URLSearchParams({ topics: topics.join(",") });
    if (this.cursor !== null) query.set("since", this.cursor);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/live/?${query}`);
    this.socket = socket;
    // Some proxies swallow the handshake and never answer.
    clearTimeout(this.handshakeTimer);
    this.handshakeTimer = setTimeout(() => this.abandon(socket), state.SILENCE);
    socket.addEventListener("message", (event) => {
      if (socket === this.socket) this.hear(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => {
      if (socket === this.socket) this.lost(event.code);
    });
  }

  hear(frame) {
    clearTimeout(this.pollTimer);
    clearTimeout(this.handshakeTimer);
    this.cursor = String(frame.cursor);
    this.tell({ type: "heard", now: Date.now() });
    if (frame.type === "hello" || frame.type === "tick") this.hearLate(frame.late === true);
    if (frame.type === "reset") {
      this.region.touch(this.region.elements());
      announce("Caught up from a snapshot: too much happened to replay it.");
    }
    if (frame.type === "hints") {
      this.region.touch(this.touchedBy(frame.items), frame.items.length);
    }
    this.root.dispatchEvent(new CustomEvent("live:frame", { detail: frame }));
  }

  touchedBy(hints) {
    return this.region.elements().filter((element) => {
      const wanted = parseTopics(element.dataset.live);
      return hints.some((hint) => concerns(wanted, hint));
    });
  }

  // Whether what happens is told to the server at once, or found by it a moment later.
  hearLate(late) {
    this.tell({ type: "late", late });
    const note = document.getElementById("late");
    if (!note || Boolean(note.firstChild) === late) return;
    note.replaceChildren(...(late ? [document.getElementById("late-words").content.cloneNode(true)] : []));
    // What the page says of this site is another thing now.
    this.region.touch(this.touchedBy([{ topic: "ingest", key: "" }]));
  }

  lost(code) {
    this.socket = null;
    if (REFUSALS[code]) {
      this.tell({ type: "refused", reason: REFUSALS[code] });
      return;
    }
    const delay = retryDelay(this.state.failures + 1, Math.random());
    this.tell({ type: "closed", retryAt: Date.now() + delay });
    this.retryTimer = setTimeout(() => this.connect(), delay);
    if (state.shouldPoll(this.state) && !this.polling) this.poll();
  }

  reconnectNow() {
    if (this.state.link !== "open" && !this.state.refused) this.connect();
  }

  // A socket that looks open but says nothing is as good as closed.
  watchSilence() {
    if (state.isSilent(this.state, Date.now())) this.abandon(this.socket);
  }

  abandon(socket) {
    if (!socket || socket !== this.socket) return;
    this.lost(0);
    socket.close();
  }

  // --- Polling, where sockets do not get through

  touched() {
    this.touchedAt = Date.now();
    if (this.pollDueAt && this.pollDueAt - Date.now() > pollDelay({ visible: true, idleFor: 0 })) {
      this.schedulePoll();
    }
  }

  schedulePoll() {
    clearTimeout(this.pollTimer);
    const idleFor = Date.now() - this.touchedAt;
    const delay = pollDelay({ visible: !this.root.hidden, idleFor });
    this.pollDueAt = Date.now() + delay;
    this.pollTimer = setTimeout(() => this.poll(), delay);
  }

  async poll() {
    clearTimeout(this.pollTimer);
    this.pollDueAt = null;
    this.polling = state.shouldPoll(this.state);
    if (!this.polling) return;
    if (!this.root.hidden) {
      const answered = await this.region.pollAll();
      this.polling = state.shouldPoll(this.state);
      if (!this.polling) return;
      this.tell(answered ? { type: "polled", now: Date.now() } : { type: "poll_failed" });
    }
    this.schedulePoll();
  }

  // --- What people see and do

  refreshAll() {
    this.region.touch(this.region.elements());
    this.reconnectNow();
  }

  togglePause() {
    const paused = !this.state.paused;
    this.region.setPaused(paused);
    this.tell({ type: paused ? "paused" : "resumed" });
    const button = document.getElementById("pause");
    button?.setAttribute("aria-pressed", String(paused));
  }

  show() {
    this.watchSilence();
    const shown = state.indicator(this.state, Date.now(), (at) => clock(at, currentZone()));
    const box = document.getElementById("live");
    if (!box) return;
    box.dataset.state = shown.name;
    setText("live-word", shown.word);
    setText("live-detail", shown.detail);
    document.getElementById("live-action").hidden = !shown.canReconnect;
  }
}

// The word is a live region: writing the same text again would have it read again.
function setText(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}

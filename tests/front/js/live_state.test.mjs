import assert from "node:assert/strict";
import { test } from "node:test";
import {
  indicator,
  initial,
  isSilent,
  next,
  shouldPoll,
  SILENCE,
} from "../../../resilience_site/static/js/live_state.js";

const clock = (moment) => `T${moment}`;
const after = (...events) => events.reduce(next, initial(0));
const name = (state, now) => indicator(state, now, clock).name;
const heard = (now) => ({ type: "heard", now });
const closed = (retryAt = 0) => ({ type: "closed", retryAt });

test("a page connects, and is live once the server has spoken", () => {
  assert.equal(name(initial(0), 0), "connecting");
  assert.equal(name(after(heard(100)), 200), "live");
});

test("ten seconds without a word are stale since the last one", () => {
  const state = after(heard(1000));
  assert.equal(isSilent(state, 1000 + SILENCE), false);
  const shown = indicator(state, 1001 + SILENCE, clock);
  assert.equal(isSilent(state, 1001 + SILENCE), true);
  assert.equal(shown.name, "stale");
  assert.equal(shown.word, "Stale since T1000");
});

test("a cut socket counts down to the next attempt, and can be hurried", () => {
  const shown = indicator(after(heard(1000), closed(5000)), 1500, clock);
  assert.equal(shown.name, "stale");
  assert.equal(shown.detail, "reconnecting in 4 s");
  assert.equal(shown.canReconnect, true);
});

test("while an attempt is under way the page stays stale", () => {
  const state = after(heard(1000), closed(2000), { type: "connecting" });
  assert.deepEqual(indicator(state, 3000, clock).detail, "reconnecting");
});

test("two failures in a row lead to polling, one does not", () => {
  assert.equal(shouldPoll(after(closed())), false);
  assert.equal(shouldPoll(after(closed(), closed())), true);
  assert.equal(shouldPoll(after(closed(), heard(5), closed())), false);
});

test("polling is only claimed once a poll was answered", () => {
  const blocked = after(closed(), closed());
  assert.equal(name(blocked, 10), "stale");
  const polled = next(blocked, { type: "polled", now: 20 });
  assert.equal(name(polled, 30), "polling");
  assert.equal(name(next(polled, { type: "poll_failed" }), 40), "stale");
});

test("a socket that opens ends the polling", () => {
  const state = after(closed(), closed(), { type: "polled", now: 20 }, heard(30));
  assert.equal(shouldPoll(state), false);
  assert.equal(name(state, 40), "live");
});

test("while the server itself polls, the page is not called live", () => {
  const late = after(heard(1), { type: "late", late: true });
  const shown = indicator(late, 2, clock);
  assert.deepEqual([shown.name, shown.word, shown.detail], ["polling", "Polling", "up to 2 s late"]);
  assert.equal(shown.canReconnect, false);
  assert.equal(name(next(late, { type: "failing", count: 1, now: 2 }), 3), "stale");
  assert.equal(name(next(late, { type: "late", late: false }), 3), "live");
});

test("paused says how much waits, whatever the socket does", () => {
  const state = after(heard(1), { type: "paused" }, { type: "waiting", count: 12 });
  assert.deepEqual(
    [indicator(state, 2, clock).word, indicator(state, 2, clock).detail],
    ["Paused", "12 updates waiting"],
  );
  assert.equal(name(next(state, closed()), 3), "paused");
  assert.equal(name(next(state, { type: "resumed" }), 3), "live");
});

test("one waiting update is singular", () => {
  const state = after(heard(1), { type: "waiting", count: 1 });
  assert.equal(indicator(state, 2, clock).detail, "1 update waiting");
});

test("a page that cannot be refreshed is not called live", () => {
  const failing = after(heard(50), { type: "failing", count: 1, now: 60 }, { type: "failing", count: 2, now: 90 });
  const shown = indicator(failing, 100, clock);
  assert.equal(shown.word, "Stale since T60");
  assert.equal(name(next(failing, { type: "failing", count: 0, now: 110 }), 120), "live");
});

test("a refusal is final and says why", () => {
  const state = after(heard(5), { type: "refused", reason: "you are logged out" });
  const shown = indicator(state, 6, clock);
  assert.deepEqual([shown.name, shown.detail, shown.canReconnect], ["stale", "you are logged out", false]);
  assert.equal(shouldPoll(after(closed(), closed(), { type: "refused", reason: "x" })), false);
});

test("an unknown event is a mistake of the caller", () => {
  assert.throws(() => next(initial(0), { type: "nonsense" }), /unknown event/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FIRST_DELAY,
  LONGEST_DELAY,
  pollDelay,
  QUICK_POLL,
  retryDelay,
  SLOW_POLL,
} from "../../../resilience_site/static/js/backoff.js";

test("the bound doubles from half a second to thirty seconds", () => {
  const bounds = [1, 2, 3, 4, 5, 6, 7, 8, 50].map((failures) => retryDelay(failures, 1));
  assert.deepEqual(bounds, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  assert.equal(bounds[0], FIRST_DELAY);
  assert.equal(bounds.at(-1), LONGEST_DELAY);
});

test("full jitter spreads from nothing to the bound", () => {
  assert.equal(retryDelay(4, 0), 0);
  assert.equal(retryDelay(4, 0.5), 2000);
});

test("polls are quick only while somebody looks and moves", () => {
  assert.equal(pollDelay({ visible: true, idleFor: 1000 }), QUICK_POLL);
  assert.equal(pollDelay({ visible: true, idleFor: 61_000 }), SLOW_POLL);
  assert.equal(pollDelay({ visible: false, idleFor: 0 }), SLOW_POLL);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { countdown } from "../../../resilience_site/static/js/countdown_text.js";
import { nextOrder } from "../../../resilience_site/static/js/order.js";

test("without anybody on the tiles the server's order is shown", () => {
  assert.deepEqual(nextOrder(["a", "b"], ["b", "c", "a"], false), {
    order: ["b", "c", "a"],
    gone: [],
    waits: false,
  });
});

test("a frozen order keeps its places, and says that another one waits", () => {
  assert.deepEqual(nextOrder(["a", "b", "c"], ["c", "a", "b"], true), {
    order: ["a", "b", "c"],
    gone: [],
    waits: true,
  });
});

test("while frozen, what is new comes last", () => {
  const next = nextOrder(["a", "b"], ["new", "a", "b"], true);
  assert.deepEqual(next.order, ["a", "b", "new"]);
  assert.equal(next.waits, true);
});

test("what is new at the end anyway makes nothing wait", () => {
  assert.equal(nextOrder(["a", "b"], ["a", "b", "new"], true).waits, false);
});

test("while frozen, what has left keeps its place and is named", () => {
  assert.deepEqual(nextOrder(["a", "b", "c"], ["a", "c"], true), {
    order: ["a", "b", "c"],
    gone: ["b"],
    waits: true,
  });
});

test("the same order waits for nothing", () => {
  assert.deepEqual(nextOrder(["a", "b"], ["a", "b"], true), { order: ["a", "b"], gone: [], waits: false });
});

test("nothing shown yet takes what comes", () => {
  assert.deepEqual(nextOrder([], ["a", "b"], true), { order: ["a", "b"], gone: [], waits: false });
});

test("a countdown names its two largest units, and ends", () => {
  const at = (seconds) => countdown(1_000_000 + seconds * 1000, 1_000_000);
  assert.equal(at(0.2), "in 1 s");
  assert.equal(at(12), "in 12 s");
  assert.equal(at(60), "in 1 min");
  assert.equal(at(65), "in 1 min 5 s");
  assert.equal(at(7_805), "in 2 h 10 min");
  assert.equal(at(0), "now");
  assert.equal(at(-40), "now");
});

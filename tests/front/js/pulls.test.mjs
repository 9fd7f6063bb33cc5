import assert from "node:assert/strict";
import { test } from "node:test";
import { GAP, JITTER, Pulls, SHARE } from "../../../resilience_site/static/js/pulls.js";

/** A clock that moves by hand, and pulls that end by hand. */
function bench({ random = 0 } = {}) {
  const timers = [];
  const running = [];
  const world = {
    now: 0,
    running,
    started: 0,
    pulls: null,
    advance(ms) {
      world.now += ms;
      for (const timer of timers.splice(0)) {
        if (timer.at <= world.now) timer.callback();
        else timers.push(timer);
      }
    },
    async finish(fails = false) {
      const pull = running.shift();
      if (fails) pull.reject(new Error("refused"));
      else pull.resolve();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
  const run = () => {
    world.started += 1;
    return new Promise((resolve, reject) => running.push({ resolve, reject }));
  };
  world.pulls = new Pulls((target) => run(target).catch(() => {}), {
    setTimer: (callback, ms) => timers.push({ callback, at: world.now + ms }),
    now: () => world.now,
    random: () => random,
  });
  return world;
}

test("many requests in a moment are one pull", () => {
  const world = bench();
  const target = {};
  for (let each = 0; each < 50; each += 1) world.pulls.request(target);
  world.advance(0);
  assert.equal(world.started, 1);
});

test("what comes during a pull is one more pull afterwards, never two at once", async () => {
  const world = bench();
  const target = {};
  world.pulls.request(target);
  world.advance(0);
  for (let each = 0; each < 10; each += 1) world.pulls.request(target);
  world.advance(GAP);
  assert.equal(world.started, 1);
  await world.finish();
  world.advance(GAP / SHARE);
  assert.equal(world.started, 2);
  await world.finish();
  world.advance(10 * GAP);
  assert.equal(world.started, 2);
});

test("pulls of one target keep a gap", async () => {
  const world = bench();
  const target = {};
  world.pulls.request(target);
  world.advance(0);
  await world.finish();
  world.pulls.request(target);
  world.advance(GAP - 1);
  assert.equal(world.started, 1);
  world.advance(1);
  assert.equal(world.started, 2);
});

test("one slow answer delays nothing", async () => {
  const world = bench();
  const target = {};
  world.pulls.request(target);
  world.advance(0);
  world.advance(20 * GAP);
  await world.finish();
  world.pulls.request(target);
  world.advance(0);
  assert.equal(world.started, 2);
});

test("a server that takes long is asked less often", async () => {
  const world = bench();
  const target = {};
  for (let each = 0; each < 2; each += 1) {
    world.pulls.request(target);
    world.advance(0);
    world.advance(2 * GAP);
    await world.finish();
  }
  world.pulls.request(target);
  world.advance((2 * GAP) / SHARE - 2 * GAP - 1);
  assert.equal(world.started, 2);
  world.advance(1);
  assert.equal(world.started, 3);
});

test("each tab waits a moment of its own, at most the jitter", () => {
  const world = bench({ random: 0.9 });
  world.pulls.request({});
  world.advance(0.5 * JITTER);
  assert.equal(world.started, 0);
  world.advance(0.5 * JITTER);
  assert.equal(world.started, 1);
});

test("targets do not wait for one another", () => {
  const world = bench();
  world.pulls.request({});
  world.pulls.request({});
  world.advance(0);
  assert.equal(world.started, 2);
});

test("a failed pull does not block the next", async () => {
  const world = bench();
  const target = {};
  world.pulls.request(target);
  world.advance(0);
  await world.finish(true);
  world.pulls.request(target);
  world.advance(GAP);
  assert.equal(world.started, 2);
});

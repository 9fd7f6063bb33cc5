import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG, hasData, layoutFor, linkOf, painted } from "../../../resilience_site/static/js/chart_layout.js";
import { read, rowAfter, START } from "../../../resilience_site/static/js/key_map.js";
import { bounds, instant, shifted, widened, withRange } from "../../../resilience_site/static/js/range_text.js";
import { clock, exact, offset, relative } from "../../../resilience_site/static/js/time_text.js";
import { concerns, parseTopics, topicNames } from "../../../resilience_site/static/js/topics.js";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const HOUR = 3_600_000;

test("relative times use one unit, past and future", () => {
  const cases = [
    [400, "just now"],
    [12_000, "12 s ago"],
    [200_000, "3 min ago"],
    [5 * HOUR, "5 h ago"],
    [50 * HOUR, "2 d ago"],
    [-90_000, "in 1 min"],
  ];
  for (const [ago, text] of cases) assert.equal(relative(NOW - ago, NOW), text);
});

test("exact times are UTC unless asked otherwise", () => {
  assert.equal(exact(NOW, "utc"), "2026-01-31 12:00:00 UTC");
  assert.equal(clock(NOW, "utc"), "12:00:00");
  assert.match(exact(NOW, "local"), /^2026-0\d-\d\d \d\d:00:00 [+-]\d\d:\d\d$|^2026-01-31 \d\d:\d\d:00 /);
  assert.equal(offset(-330), "+05:30");
  assert.equal(offset(480), "-08:00");
});

test("topics carry a key or stand for all keys", () => {
  const wanted = parseTopics(" errors  patterns:a:b ");
  assert.deepEqual(wanted, [
    { topic: "errors", key: null },
    { topic: "patterns", key: "a:b" },
  ]);
  assert.ok(concerns(wanted, { topic: "errors", key: "anything" }));
  assert.ok(concerns(wanted, { topic: "patterns", key: "a:b" }));
  assert.ok(!concerns(wanted, { topic: "patterns", key: "c" }));
  assert.deepEqual(topicNames([wanted, parseTopics("errors chains")]), ["chains", "errors", "patterns"]);
});

test("ranges are read as the server reads them", () => {
  assert.equal(instant("15m", NOW), NOW - 900_000);
  assert.equal(instant("now-1h", NOW), NOW - HOUR);
  assert.equal(instant("now", NOW), NOW);
  assert.equal(instant("2026-01-31T11:00:00", NOW), NOW - HOUR);
  assert.equal(instant("2026-01-31 11:00", NOW), NOW - HOUR);
  assert.equal(instant("soon", NOW), null);
  assert.deepEqual(bounds("", "", NOW), { since: NOW - HOUR, until: NOW });
  assert.equal(bounds("now", "1h", NOW), null);
});

test("a range moves by half its length and never past now", () => {
  const range = { since: NOW - HOUR, until: NOW };
  assert.deepEqual(shifted(range, -1, NOW), { since: NOW - 1.5 * HOUR, until: NOW - HOUR / 2 });
  assert.deepEqual(shifted(range, 1, NOW), range);
  assert.deepEqual(widened(range, NOW), { since: NOW - 2 * HOUR, until: NOW });
});

test("a new range keeps the filters and forgets the place in the list", () => {
  const query = withRange("?service=a&cursor=xyz&since=1h", { since: NOW - HOUR, until: NOW });
  assert.equal(query, "?service=a&since=2026-01-31T11%3A00%3A00Z&until=2026-01-31T12%3A00%3A00Z");
});

const press = (key, now = 0, more = {}) => ({ key, modified: false, typing: false, now, ...more });

test("keys name actions, and g waits for its letter", () => {
  for (const [key, action] of [["/", "search"], ["?", "help"], ["j", "next"], ["p", "pause"], ["x", null]]) {
    assert.equal(read(START, press(key)).action, action);
  }
  const { state } = read(START, press("g", 100));
  assert.equal(read(state, press("p", 200)).action, "go:p");
  assert.equal(read(state, press("x", 200)).action, null);
  assert.equal(read(state, press("p", 9000)).action, "pause");
});

test("keys never fire in fields, with modifiers, or for names of the prototype", () => {
  assert.equal(read(START, press("/", 0, { typing: true })).action, null);
  assert.equal(read(START, press("p", 0, { modified: true })).action, null);
  assert.equal(read(START, press("constructor")).action, null);
});

test("rows are walked within the list", () => {
  assert.equal(rowAfter(-1, 1, 3), 0);
  assert.equal(rowAfter(-1, -1, 3), 2);
  assert.equal(rowAfter(2, 1, 3), 2);
  assert.equal(rowAfter(0, 1, 0), -1);
});

test("charts never offer an upload", () => {
  assert.equal(CONFIG.showSendToCloud, false);
  assert.equal(CONFIG.plotlyServerURL, "");
  assert.equal(CONFIG.displaylogo, false);
  assert.equal(CONFIG.displayModeBar, false);
});

test("tokens in a figure become colours, and nothing else changes", () => {
  const figure = {
    data: [{ y: [1, null], line: { color: "var(--series-bad)" }, name: "var(--unknown)" }],
    layout: { shapes: [{ fillcolor: "var(--series-bad)" }] },
  };
  const { data, layout } = painted(figure, { "--series-bad": "rgb(1, 2, 3)" });
  assert.deepEqual(data, [{ y: [1, null], line: { color: "rgb(1, 2, 3)" }, name: "var(--unknown)" }]);
  assert.equal(layout.shapes[0].fillcolor, "rgb(1, 2, 3)");
  assert.equal(layoutFor({}, {}, "x").uirevision, "kept");
});

test("a figure of gaps alone has nothing to draw", () => {
  assert.equal(hasData({ data: [{ y: [null, null] }, {}] }), false);
  assert.equal(hasData({ data: [{ y: [null, 0] }] }), true);
});

test("points lead only to this site", () => {
  assert.equal(linkOf({ customdata: ["/errors?since=1h", 3] }), "/errors?since=1h");
  assert.equal(linkOf({ customdata: "?service=a" }), "?service=a");
  assert.equal(linkOf({ customdata: "//elsewhere.example/" }), null);
  assert.equal(linkOf({ customdata: "javascript:alert(1)" }), null);
  assert.equal(linkOf({}), null);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusPage } from "../../../resilience_site/static/js/status.js";

function page() {
  const note = { hidden: true };
  const main = {
    innerHTML: "old",
    childNodes: [],
    replaced: 0,
    details: [],
    replaceChildren() {
      this.replaced += 1;
      this.innerHTML = "new";
      this.details = this.details.map(({ id }) => element(id));
    },
    querySelectorAll() {
      return this.details.filter((each) => "open" in each.attributes);
    },
    querySelector(wanted) {
      return this.details.find((each) => wanted === `#${each.id} > summary`);
    },
    contains: () => true,
  };
  const root = {
    hidden: false,
    title: "",
    activeElement: null,
    getElementById: (id) => ({ main, "not-refreshed": note })[id] ?? main.details.find((each) => each.id === id),
  };
  return { note, main, root };
}

function element(id, attributes = {}) {
  return {
    id,
    attributes,
    localName: "details",
    focused: false,
    setAttribute(name, value) {
      this.attributes[name] = value;
    },
    closest() {
      return this;
    },
    focus() {
      this.focused = true;
    },
  };
}

const fresh = (content) => () => ({
  title: "Fresh",
  getElementById: () => ({ innerHTML: content, childNodes: [content] }),
});

test("content is taken over only where it differs", async () => {
  const { main, root } = page();
  const status = new StatusPage(root, { load: async () => "html", parse: fresh("new") });
  await status.refresh();
  await status.refresh();
  assert.equal(main.replaced, 1);
  assert.equal(root.title, "Fresh");
});

test("a failure is said and taken back with the next answer", async () => {
  const { note, main, root } = page();
  let down = true;
  const load = async () => {
    if (down) throw new Error("no network");
    return "html";
  };
  const status = new StatusPage(root, { load, parse: fresh("old") });
  await status.refresh();
  assert.equal(note.hidden, false);
  down = false;
  await status.refresh();
  assert.equal(note.hidden, true);
  assert.equal(main.replaced, 0);
});

test("a hidden page asks for nothing", async () => {
  const { root } = page();
  root.hidden = true;
  const status = new StatusPage(root, { load: () => assert.fail("asked"), parse: fresh("new") });
  await status.refresh();
});

test("what the reader has opened and where the focus is outlive what is taken over", async () => {
  globalThis.CSS = { escape: (text) => text };
  const { main, root } = page();
  main.details = [element("d-1"), element("d-2", { open: "" })];
  root.activeElement = main.details[1];
  const status = new StatusPage(root, { load: async () => "html", parse: fresh("new") });
  await status.refresh();
  const [first, second] = main.details;
  assert.equal("open" in first.attributes, false);
  assert.equal("open" in second.attributes, true);
  assert.equal(second.focused, true);
});

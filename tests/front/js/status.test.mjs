import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusPage } from "../../../resilience_site/static/js/status.js";

function page() {
  const note = { hidden: true };
  const main = {
    innerHTML: "old",
    childNodes: [],
    replaced: 0,
    replaceChildren() {
      this.replaced += 1;
      this.innerHTML = "new";
    },
  };
  const root = { hidden: false, title: "", getElementById: (id) => (id === "main" ? main : note) };
  return { note, main, root };
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

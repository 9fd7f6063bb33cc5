// The keyboard: single keys outside of fields and dialogs, with an off switch.

import { START, read, rowAfter } from "./key_map.js";
import { openDialog } from "./menus.js";
import { shiftRange, widenRange } from "./range.js";
import { load, save } from "./store.js";

let pressed = START;
let enabled = load("keys", "on") === "on";

export function startKeys() {
  for (const box of document.querySelectorAll("[data-keys-switch]")) {
    box.checked = enabled;
    box.addEventListener("change", () => {
      enabled = box.checked;
      save("keys", enabled ? "on" : "off");
    });
  }
  document.addEventListener("keydown", (event) => {
    if (!enabled || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const links = [...document.querySelectorAll("[data-go]")];
    const press = {
      key: event.key,
      modified: event.ctrlKey || event.metaKey || event.altKey,
      typing: isTyping(event.target),
      now: Date.now(),
    };
    const { state, action } = read(pressed, press, links.map((link) => link.dataset.go).join(""));
    pressed = state;
    if (action && act(action)) event.preventDefault();
  });
}

function isTyping(target) {
  return Boolean(target.closest?.("input, textarea, select, [contenteditable]"));
}

/** Do it; whether there was something to do. */
function act(action) {
  if (action.startsWith("go:")) return follow(`[data-go="${action.slice(3)}"]`);
  switch (action) {
    case "search":
      return focusOn(document.getElementById("search"));
    case "help":
      openDialog("shortcuts");
      return true;
    case "next":
      return move(1);
    case "previous":
      return move(-1);
    case "pause":
      document.getElementById("pause")?.click();
      return true;
    case "earlier":
      return shiftRange(-1);
    case "later":
      return shiftRange(1);
    case "wider":
      return widenRange();
    default:
      return false;
  }
}

function follow(selector) {
  const link = document.querySelector(selector);
  link?.click();
  return Boolean(link);
}

function focusOn(element) {
  element?.focus();
  element?.select?.();
  return Boolean(element);
}

// The row's own link takes the focus, so Enter opens it without any help.
function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.checkVisibility());
  const current = rows.indexOf(document.activeElement);
  const row = rows[rowAfter(current, step, rows.length)];
  row?.focus();
  row?.scrollIntoView({ block: "nearest" });
  return Boolean(row);
}

// Forms in a dialog: `<a href="/…" data-dialog>` opens the form that its page would show. Without
// scripts the page itself does.

import { openDialog } from "./menus.js";
import { announce } from "./toasts.js";

const DELIBERATE = 'form:has(> button[type="submit"][disabled][hidden]) input';

export function startDialogs() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    void open(link);
  });
  // Enter in a field is no decision. A disabled first button says so for texts; browsers press the
  // next one for choices all the same.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches?.(DELIBERATE)) event.preventDefault();
  });
  // What was sent is on its way: nobody need click again.
  document.addEventListener("submit", ({ submitter }) => submitter?.setAttribute("aria-busy", "true"));
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  });
}

async function open(link) {
  const body = document.getElementById("act-body");
  const address = new URL(link.href);
  address.searchParams.set("next", location.pathname + location.search);
  link.setAttribute("aria-busy", "true");
  try {
    await window.htmx.ajax("GET", address.pathname + address.search, {
      source: body,
      target: body,
      swap: "innerHTML",
    });
    const form = body.querySelector("[data-title]");
    if (!form) throw new Error("no form");
    document.getElementById("act-title").textContent = form.dataset.title;
    openDialog("act");
    body.querySelector("[data-first]")?.focus();
  } catch {
    announce("The form could not be loaded; its page opens instead.");
    location.assign(link.href);
  } finally {
    link.removeAttribute("aria-busy");
  }
}

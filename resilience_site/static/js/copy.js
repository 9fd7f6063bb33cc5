// "Copy" buttons beside code to paste.

import { announce } from "./toasts.js";

export function startCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = button.dataset.copy
      ? document.getElementById(button.dataset.copy)
      : button.closest(".code").querySelector("pre");
    try {
      await write(source);
      announce("Copied.");
    } catch {
      announce("The browser forbids copying; the text is selected, press Ctrl+C.");
    }
  });
}

async function write(source) {
  const selection = getSelection();
  selection.selectAllChildren(source);
  // Outside HTTPS and localhost there is no clipboard; the selection remains for the keyboard.
  if (!navigator.clipboard) throw new Error("no clipboard");
  await navigator.clipboard.writeText(source.textContent);
  selection.removeAllRanges();
}

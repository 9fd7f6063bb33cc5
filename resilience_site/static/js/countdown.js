// Counts down to `<time data-countdown>`; without scripts the exact time stands there.

import { countdown } from "./countdown_text.js";

export function refreshCountdowns(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-countdown]")) {
    const moment = Date.parse(element.dateTime);
    if (Number.isNaN(moment)) continue;
    const text = countdown(moment, now);
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startCountdowns() {
  refreshCountdowns();
  setInterval(() => {
    if (!document.hidden) refreshCountdowns();
  }, 1000);
  document.addEventListener("htmx:after:swap", () => refreshCountdowns());
}

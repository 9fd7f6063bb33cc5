// Keeps relative times fresh, and writes exact ones in UTC or in the reader's zone.

import { load, save } from "./store.js";
import { clock, exact, relative } from "./time_text.js";

let zone = load("zone", "utc");

export function currentZone() {
  return zone;
}

export function refreshTimes(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-time]")) {
    const moment = Date.parse(element.dateTime);
    if (Number.isNaN(moment)) continue;
    const form = element.dataset.time;
    const text =
      form === "relative"
        ? relative(moment, now)
        : form === "clock"
          ? clock(moment, zone)
          : exact(moment, zone);
    if (element.textContent !== text) element.textContent = text;
    element.title = zone === "local" ? `${exact(moment, "local")} = ${exact(moment, "utc")}` : exact(moment, "utc");
  }
}

export function startTimes() {
  const buttons = [...document.querySelectorAll("[data-zone-choice]")];
  const show = () => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.zoneChoice === zone));
    }
    refreshTimes();
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      zone = button.dataset.zoneChoice;
      save("zone", zone);
      show();
      document.dispatchEvent(new CustomEvent("zone:change"));
    });
  }
  show();
  setInterval(() => {
    if (!document.hidden) refreshTimes();
  }, 1000);
  document.addEventListener("htmx:after:swap", () => refreshTimes());
}

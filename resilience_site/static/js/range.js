// The time range by keyboard, and by dragging over a chart: both change the address.

import { bounds, shifted, widened, withRange } from "./range_text.js";

export function startRange() {
  document.addEventListener("range:chosen", ({ detail }) => show(detail));
}

export function shiftRange(direction) {
  return change((range, now) => shifted(range, direction, now));
}

export function widenRange() {
  return change(widened);
}

function change(compute) {
  if (!document.querySelector("[data-range]")) return false;
  const query = new URLSearchParams(location.search);
  const now = Date.now();
  const range = bounds(query.get("since") ?? "", query.get("until") ?? "", now);
  if (!range) return false;
  show(compute(range, now));
  return true;
}

function show(range) {
  location.search = withRange(location.search, range);
}

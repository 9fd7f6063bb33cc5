// Short messages in the status region; at most one in five seconds is read out.

const GAP = 5_000;
const SHOWN = 6_000;

let freeAt = 0;
let queued = null;

export function announce(text) {
  const wait = freeAt - Date.now();
  if (wait > 0) {
    // The latest message is the one worth hearing.
    if (queued === null) setTimeout(() => show(queued), wait);
    queued = text;
    return;
  }
  show(text);
}

function show(text) {
  queued = null;
  freeAt = Date.now() + GAP;
  const region = document.getElementById("toasts");
  if (!region) return;
  const toast = document.createElement("div");
  toast.textContent = text;
  region.append(toast);
  setTimeout(() => toast.remove(), SHOWN);
}

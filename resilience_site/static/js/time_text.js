// How times are written; the same words as the server's, so that a page does not change its voice.

const STEPS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

const pad = (number) => String(number).padStart(2, "0");

/** "12 s ago", "3 min ago", "in 2 h"; both in milliseconds since the epoch. */
export function relative(moment, now) {
  const seconds = (now - moment) / 1000;
  for (const [length, unit] of STEPS) {
    if (Math.abs(seconds) >= length) {
      const count = Math.floor(Math.abs(seconds) / length);
      return seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
    }
  }
  return "just now";
}

/** "2026-11-24 03:12:07 UTC", or the same moment in the reader's own zone. */
export function exact(moment, zone) {
  const date = new Date(moment);
  if (zone !== "local") return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())].join("-");
  return `${day} ${clock(moment, zone)} ${offset(date.getTimezoneOffset())}`;
}

/** "03:12:07". */
export function clock(moment, zone) {
  const date = new Date(moment);
  if (zone !== "local") return date.toISOString().slice(11, 19);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");
}

/** "+01:00" from the minutes that JavaScript counts the other way round. */
export function offset(minutesWest) {
  const size = Math.abs(minutesWest);
  return `${minutesWest > 0 ? "-" : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

// Arithmetic of time ranges as they stand in the address. Pure: `now` comes in.

const UNITS = { s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3, w: 604_800e3 };
export const DEFAULT_LENGTH = UNITS.h;

/** The moment that `text` means, in milliseconds, or null when it is no time. */
export function instant(text, now) {
  const ago = /^(?:now(?=-|$))?(?:-?(\d{1,9})([smhdw]))?$/.exec(text);
  if (ago && text !== "") return ago[1] ? now - Number(ago[1]) * UNITS[ago[2]] : now;
  if (/^\d{1,11}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const zoned = /([zZ]|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`;
  const moment = Date.parse(zoned.replace(" ", "T"));
  return Number.isNaN(moment) ? null : moment;
}

/** `{since, until}` in milliseconds of the two parameters, or null when they are no range. */
export function bounds(since, until, now) {
  const end = until ? instant(until, now) : now;
  const start = since ? instant(since, now) : end === null ? null : end - DEFAULT_LENGTH;
  return start === null || end === null || start >= end ? null : { since: start, until: end };
}

/** Half a range earlier (-1) or later (1), never past now. */
export function shifted(range, direction, now) {
  const length = range.until - range.since;
  const until = Math.min(now, range.until + (direction * length) / 2);
  return { since: until - length, until };
}

/** Twice as wide around the same middle, never past now. */
export function widened(range, now) {
  const length = range.until - range.since;
  const until = Math.min(now, range.until + length / 2);
  return { since: until - 2 * length, until };
}

/** The query string with the range in it; the place in a list is forgotten. */
export function withRange(search, range) {
  const query = new URLSearchParams(search);
  query.set("since", stamp(range.since));
  query.set("until", stamp(range.until));
  query.delete("cursor");
  query.delete("page");
  return `?${query}`;
}

const stamp = (moment) => new Date(moment).toISOString().replace(/\.\d{3}Z$/, "Z");

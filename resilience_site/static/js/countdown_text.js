// What a countdown says. Pure: both times in milliseconds since the epoch.

/** "in 12 s", "in 1 min 5 s", "in 2 h 10 min", "now". */
export function countdown(moment, now) {
  const seconds = Math.ceil((moment - now) / 1000);
  if (seconds <= 0) return "now";
  const parts = [
    [Math.floor(seconds / 3_600), "h"],
    [Math.floor((seconds % 3_600) / 60), "min"],
    [seconds % 60, "s"],
  ].filter(([count]) => count);
  return `in ${parts
    .slice(0, 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ")}`;
}

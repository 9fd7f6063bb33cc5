// The order of tiles. While somebody points at them nothing moves: what is there stays in its
// place, what is new comes last, and what has left keeps its place until the order is free. Pure.

/**
 * The order to show, from the keys `shown` now and those that the server sends.
 * `gone` are those shown that it does not send any more; `waits` says that its order differs.
 */
export function nextOrder(shown, sent, frozen) {
  if (!frozen) return { order: [...sent], gone: [], waits: false };
  const coming = new Set(sent);
  const there = new Set(shown);
  const gone = shown.filter((key) => !coming.has(key));
  const order = [...shown, ...sent.filter((key) => !there.has(key))];
  const kept = order.filter((key) => coming.has(key));
  const waits = gone.length > 0 || kept.some((key, place) => key !== sent[place]);
  return { order, gone, waits };
}

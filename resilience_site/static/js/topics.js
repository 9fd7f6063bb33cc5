// Which parts of a page a hint concerns. Pure.

/** `"errors patterns:7"` as a list of topics, each with a key or null for all. */
export function parseTopics(text) {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((each) => {
      const colon = each.indexOf(":");
      return colon < 0
        ? { topic: each, key: null }
        : { topic: each.slice(0, colon), key: each.slice(colon + 1) };
    });
}

/** Whether one of `wanted` is about the hint. */
export function concerns(wanted, hint) {
  return wanted.some(({ topic, key }) => topic === hint.topic && (key === null || key === hint.key));
}

/** The topics to subscribe to, sorted, each once. */
export function topicNames(lists) {
  return [...new Set(lists.flat().map(({ topic }) => topic))].sort();
}

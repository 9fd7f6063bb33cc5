"""Chains: which error of a trace began it, in what order it spread, and where the story has gaps.

Structure beats clocks: a child's error comes before its parent's, whatever the two machines
think of the time. Nothing here recurses, so a trace may be as deep as it likes, and parent links
that run in circles (corrupt data) end where they meet a span again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class SpanNode(NamedTuple):
    """What a chain needs to know of a span; `parent_id` is "" for a root."""

    id: str
    parent_id: str
    service: str
    start_ns: int
    end_ns: int
    failed: bool


class ErrorNode(NamedTuple):
    """What a chain needs to know of an error; `span_id` is "" where it belongs to none."""

    id: str
    span_id: str
    service: str
    occurred_ns: int


class Gap(NamedTuple):
    """A span that others name as their parent (or an error as its span) but that never came."""

    parent_span_id: str
    child_span_ids: list[str]
    service: str


class Row(NamedTuple):
    """A line of the waterfall: a span, or the gap where one is missing (`span_id` is its id)."""

    span_id: str
    depth: int
    gap: bool


class Chain(NamedTuple):
    """The errors of one trace put in order. Ids throughout; `path` and `services` begin at the
    root cause and end at the entry."""

    root_cause: str | None
    events: list[str]
    path: list[str]
    services: list[str]
    gaps: list[Gap]
    rows: list[Row]


class _Tree:
    """The spans by parent, each span once, circles cut, missing parents made visible."""

    def __init__(self, spans: Iterable[SpanNode], errors: Sequence[ErrorNode]) -> None:
        self.spans: dict[str, SpanNode] = {}
        # A span sent twice is one; which copy is kept must not depend on the order of arrival.
        for span in sorted(spans):
            self.spans.setdefault(span.id, span)
        self.children: dict[str, list[str]] = {}
        for span in self.spans.values():
            self.children.setdefault(span.parent_id, []).append(span.id)
        orphans = {e.span_id for e in errors if e.span_id} - self.spans.keys()
        missing = {parent for parent in self.children if parent} - self.spans.keys()
        self.missing = sorted(missing | orphans)
        for siblings in self.children.values():
            siblings.sort(key=lambda i: (self.spans[i].start_ns, i))
        self.rows: list[Row] = []
        self.depth: dict[str, int] = {}
        self.parent: dict[str, str] = {}
        self._walk()

    def _walk(self) -> None:
        tops = [(span_id, False) for span_id in self.children.get("", [])]
        tops += [(span_id, True) for span_id in self.missing]
        tops.sort(key=lambda top: (self._start(top[0]), top[0]))
        self._descend(tops)
        # What is left hangs in circles: enter each at its earliest span.
        while len(self.depth) < len(self.spans) + len(self.missing):
            rest = [span for span_id, span in self.spans.items() if span_id not in self.depth]
            first = min(rest, key=lambda span: (span.start_ns, span.id))
            self._descend([(first.id, False)])

    def _start(self, span_id: str) -> int:
        span = self.spans.get(span_id)
        if span is not None:
            return span.start_ns
        starts = [self.spans[child].start_ns for child in self.children.get(span_id, [])]
        return min(starts, default=0)

    def _descend(self, tops: list[tuple[str, bool]]) -> None:
        stack = [(span_id, gap, 0, "") for span_id, gap in reversed(tops)]
        while stack:
            span_id, gap, depth, parent = stack.pop()
            if span_id in self.depth:
                continue
            self.depth[span_id] = depth
            self.parent[span_id] = parent
            self.rows.append(Row(span_id, depth, gap))
            stack += [
                (child, False, depth + 1, span_id)
                for child in reversed(self.children.get(span_id, []))
                if child not in self.depth
            ]

    def ancestors(self, span_id: str) -> list[str]:
        """The spans above one, nearest first."""
        found = []
        while parent := self.parent.get(span_id, ""):
            found.append(parent)
            span_id = parent
        return found


def correlate(spans: Iterable[SpanNode], errors: Iterable[ErrorNode]) -> Chain:
    """Put the errors of one trace, or of one correlation id, in causal order.

    The root cause is an error of the deepest failing span below which nothing fails, the
    earliest of several such spans; without spans it is the earliest error.
    """
    known = {error.id: error for error in sorted(errors)}
    errors = list(known.values())
    tree = _Tree(spans, errors)
    culprit = _culprit(tree, errors)
    path = _path(tree, culprit)
    events = _causal_order(tree, errors, culprit)
    gaps = [
        Gap(span_id, tree.children.get(span_id, []), _gap_service(tree, span_id, errors))
        for span_id in tree.missing
    ]
    return Chain(
        culprit.id if culprit else None,
        events,
        path,
        _services(tree, path, [known[event] for event in events]),
        gaps,
        tree.rows,
    )


def _failing(tree: _Tree, errors: Sequence[ErrorNode]) -> set[str]:
    return {s.id for s in tree.spans.values() if s.failed} | {
        e.span_id for e in errors if e.span_id
    }


def _culprit(tree: _Tree, errors: Sequence[ErrorNode]) -> ErrorNode | None:
    placed = [error for error in errors if error.span_id]
    if not placed:
        return min(errors, key=lambda e: (e.occurred_ns, e.id), default=None)
    failing = _failing(tree, errors)
    above: set[str] = set()
    for span_id in failing:
        for ancestor in tree.ancestors(span_id):
            if ancestor in above:
                break
            above.add(ancestor)
    leaves = failing - above
    # A failing span without an error of its own says nothing about the cause.
    candidates = [error for error in placed if error.span_id in leaves] or placed
    return min(
        candidates,
        key=lambda e: (
            -tree.depth[e.span_id],
            tree.spans[e.span_id].start_ns if e.span_id in tree.spans else e.occurred_ns,
            e.span_id,
            e.occurred_ns,
            e.id,
        ),
    )


def _path(tree: _Tree, culprit: ErrorNode | None) -> list[str]:
    if culprit is None or not culprit.span_id:
        return []
    return [culprit.span_id, *tree.ancestors(culprit.span_id)]


def _causal_order(tree: _Tree, errors: Sequence[ErrorNode], culprit: ErrorNode | None) -> list[str]:
    """The root cause, then each error after all errors of spans below its own."""
    ready: dict[str, int] = {}
    for error in errors:
        # An error cannot precede those below it; lift its time to theirs where clocks disagree.
        for span_id in (error.span_id, *tree.ancestors(error.span_id)):
            if span_id:
                ready[span_id] = max(ready.get(span_id, error.occurred_ns), error.occurred_ns)

    def key(error: ErrorNode) -> tuple[bool, int, int, int, str]:
        below = [ready[c] for c in tree.children.get(error.span_id, []) if c in ready]
        moment = max([error.occurred_ns, *below]) if error.span_id else error.occurred_ns
        depth = tree.depth.get(error.span_id, 0)
        return error is not culprit, moment, -depth, error.occurred_ns, error.id

    return [error.id for error in sorted(errors, key=key)]


def _services(tree: _Tree, path: Sequence[str], ordered: Sequence[ErrorNode]) -> list[str]:
    names = [ordered[0].service] if ordered else []
    names += [tree.spans[span_id].service for span_id in path if span_id in tree.spans]
    names += [error.service for error in ordered]
    return list(dict.fromkeys(names))


def _gap_service(tree: _Tree, span_id: str, errors: Sequence[ErrorNode]) -> str:
    """The service of the missing span, where an error of it tells; else that of its children."""
    told = [error.service for error in errors if error.span_id == span_id]
    below = [tree.spans[child].service for child in tree.children.get(span_id, [])]
    return next(iter([*told, *below]), "")


def windows(times_ns: Sequence[int], window_ns: int) -> list[list[int]]:
    """Split moments into groups between which nothing happened for longer than `window_ns`.

    Returns the indices of `times_ns` by group, in order of time.
    """
    groups: list[list[int]] = []
    last = 0
    for index in sorted(range(len(times_ns)), key=lambda i: (times_ns[i], i)):
        if not groups or times_ns[index] - last > window_ns:
            groups.append([])
        groups[-1].append(index)
        last = times_ns[index]
    return groups

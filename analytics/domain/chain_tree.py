"""The tree of calls that the spans of traces form, whatever is missing, doubled or corrupt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class ChainSpan(NamedTuple):
    """A span as chains need it; "" as parent means that it is an entry."""

    id: str
    parent_id: str
    service: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    failed: bool
    trace_id: str = ""


class ChainError(NamedTuple):
    """An error as chains need it; `span_id` is "" where it happened outside of any span."""

    id: str
    span_id: str
    service: str
    type: str
    occurred_ns: int
    trace_id: str = ""


# Spans of different traces may share an id.
_Key = tuple[str, str]


class Node:
    """A span, or a gap where `span` is None, with what hangs under it."""

    __slots__ = (
        "children", "depth", "end", "errors", "id", "parent", "service", "span", "start",
        "trace_id",
    )  # fmt: skip

    def __init__(self, key: _Key, span: ChainSpan | None) -> None:
        self.trace_id, self.id = key
        self.span = span
        self.parent: Node | None = None
        self.children: list[Node] = []
        self.errors: list[ChainError] = []
        self.depth = 0
        self.service = span.service if span else ""
        self.start = span.start_ns if span else 0
        self.end = span.end_ns if span else 0

    @property
    def failed(self) -> bool:
        return bool(self.errors) or (self.span is not None and self.span.failed)

    def hang(self, parent: Node) -> None:
        self.parent = parent
        parent.children.append(self)


def plant(spans: Iterable[ChainSpan], errors: Iterable[ChainError]) -> list[Node]:
    """The roots of the trees that the spans form, with the errors (earliest first) at their spans.

    Missing parents become gaps. Where a trace has one entry, its gaps hang under it: whatever
    is missing was called from there. A cycle of parents is cut above its earliest span.
    """
    nodes = _nodes(spans)
    entries: list[Node] = []
    gaps: dict[_Key, Node] = {}

    def found(key: _Key) -> Node:
        node = nodes.get(key) or gaps.get(key)
        if node is None:
            node = gaps[key] = Node(key, None)
        return node

    for node in nodes.values():
        parent_id = node.span.parent_id if node.span else ""
        if parent_id and parent_id != node.id:
            node.hang(found((node.trace_id, parent_id)))
        else:
            entries.append(node)
    for error in errors:
        if error.span_id:
            found((error.trace_id, error.span_id)).errors.append(error)
    _cut_cycles(nodes.values(), [*entries, *gaps.values()], entries)
    for gap in gaps.values():
        _measure(gap)
    roots = _with_gaps_under_entries(entries, gaps.values())
    for node in (*nodes.values(), *gaps.values()):
        node.children.sort(key=_age)
    return sorted(roots, key=_age)


def pre_order(roots: Sequence[Node]) -> list[Node]:
    """All nodes, callers before callees and the earlier before the later; sets their depths."""
    ordered = []
    waiting = [*reversed(roots)]
    while waiting:
        node = waiting.pop()
        node.depth = node.parent.depth + 1 if node.parent else 0
        ordered.append(node)
        waiting.extend(reversed(node.children))
    return ordered


def _nodes(spans: Iterable[ChainSpan]) -> dict[_Key, Node]:
    nodes: dict[_Key, Node] = {}
    for span in spans:
        key = (span.trace_id, span.id)
        node = nodes.get(key)
        # Of a span that arrived twice with different content, any order must keep the same one.
        if node is None or (node.span is not None and span < node.span):
            nodes[key] = Node(key, span)
    return nodes


def _age(node: Node) -> tuple[int, str, str]:
    return node.start, node.trace_id, node.id


def _cut_cycles(nodes: Iterable[Node], tops: Iterable[Node], entries: list[Node]) -> None:
    """Make the earliest span of each cycle of parents an entry."""
    reached = {id(node) for node in _below(tops)}
    for node in nodes:
        if id(node) in reached:
            continue
        # Every way up from here ends in a cycle; the first node met twice lies on it.
        seen: set[int] = set()
        member = node
        while id(member) not in seen:
            seen.add(id(member))
            assert member.parent is not None
            member = member.parent
        cycle = [member]
        while cycle[-1].parent is not None and cycle[-1].parent is not member:
            cycle.append(cycle[-1].parent)
        first = min(cycle, key=_age)
        assert first.parent is not None
        first.parent.children.remove(first)
        first.parent = None
        entries.append(first)
        reached.update(id(below) for below in _below([first]))


def _below(tops: Iterable[Node]) -> Iterable[Node]:
    waiting = [*tops]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children)


def _measure(gap: Node) -> None:
    times = [error.occurred_ns for error in gap.errors]
    gap.start = min([*times, *(child.start for child in gap.children)])
    gap.end = max([*times, *(child.end for child in gap.children)])
    gap.service = gap.errors[0].service if gap.errors else min(gap.children, key=_age).service


def _with_gaps_under_entries(entries: Sequence[Node], gaps: Iterable[Node]) -> list[Node]:
    by_trace: dict[str, list[Node]] = {}
    for entry in entries:
        by_trace.setdefault(entry.trace_id, []).append(entry)
    roots = [*entries]
    for gap in gaps:
        of_trace = by_trace.get(gap.trace_id, [])
        if len(of_trace) == 1:
            gap.hang(of_trace[0])
        else:
            roots.append(gap)
    return roots

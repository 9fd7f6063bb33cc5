"""How a failure spread: the spans and errors of one trace, or of one correlation id, in order.

Structure beats clocks. Which span called which is certain, while the clocks of two services
differ; so a callee's error always comes before its caller's, and times only order what no call
connects. A span that others name and that never arrived is a gap: what named it hangs under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analytics.domain.chain_tree import ChainError, ChainSpan, Node, plant, pre_order

__all__ = ["Chain", "ChainError", "ChainSpan", "Gap", "Row", "chain", "windows"]


# OTLP's number of the kind.
_CONSUMER = 5


class Gap(NamedTuple):
    """A span that never arrived: who calls it parent, and which service they belong to.

    Where errors name it, the service is the gap's own; else its first child's, as a guess.
    """

    span_id: str
    children: list[str]
    service: str
    trace_id: str


class Row(NamedTuple):
    """One line of a waterfall, in pre-order; a gap spans what hangs under it.

    `failed` is true of spans that failed or carry errors; `errors` are ids, earliest first.
    """

    span_id: str
    parent_id: str
    depth: int
    gap: bool
    failed: bool
    service: str
    start_ns: int
    end_ns: int
    errors: list[str]
    trace_id: str


class Chain(NamedTuple):
    """What went wrong in one trace or correlation id.

    `events` are error ids in causal order, the root cause first; `path` the ids of the spans from
    the root cause's up to its trace's entry; `services` those that the failure reached, the root
    cause's first. Where the root cause's span gave up waiting for one that took longer and ended
    well, that one's service comes before it: a timeout hides its culprit. Times are 0 where there is nothing at all.
    """

    root_cause: str | None
    events: list[str]
    path: list[str]
    services: list[str]
    gaps: list[Gap]
    started_ns: int
    ended_ns: int
    rows: list[Row]


class _Strand(NamedTuple):
    """The errors of one trace, or one error outside of any, in causal order."""

    events: list[ChainError]
    path: list[Node]

    def begins(self) -> tuple[int, str]:
        first = min(self.events, key=_moment)
        return first.occurred_ns, first.id


def chain(spans: Iterable[ChainSpan], errors: Iterable[ChainError]) -> Chain:
    """The chain of all spans and errors of one trace, or of one correlation id.

    Neither the order nor the repetition of the input matters. Of several traces, the one whose
    errors began first tells the root cause. Within a trace it is the first error of the deepest
    span that failed without a failing one below it; of equally deep ones that whose callers
    failed with it, then the earliest.
    """
    known = sorted({error.id: error for error in sorted(errors)}.values(), key=_moment)
    roots = plant(spans, known)
    ordered = pre_order(roots)
    strands = _strands(roots, ordered, known)
    events = [error for strand in strands for error in strand.events]
    path = strands[0].path if strands else []
    starts = [node.start for node in ordered] + [error.occurred_ns for error in known]
    ends = [node.end for node in ordered] + [error.occurred_ns for error in known]
    return Chain(
        root_cause=events[0].id if events else None,
        events=[error.id for error in events],
        path=[node.id for node in path],
        services=_services([*(_outlasting(path[0]) if path else []), *path], events),
        gaps=[
            Gap(node.id, [child.id for child in node.children], node.service, node.trace_id)
            for node in ordered
            if node.span is None
        ],
        started_ns=min(starts, default=0),
        ended_ns=max(ends, default=0),
        rows=[_row(node) for node in ordered],
    )


def _moment(error: ChainError) -> tuple[int, str]:
    return error.occurred_ns, error.id


def _strands(
    roots: Sequence[Node], ordered: Sequence[Node], errors: Sequence[ChainError]
) -> list[_Strand]:
    trees: dict[str, list[Node]] = {}
    for root in roots:
        trees.setdefault(root.trace_id, []).append(root)
    culprits = _culprits(ordered)
    strands: dict[str, _Strand] = {}
    for trace_id, culprit in culprits.items():
        path = _path(culprit)
        strands[trace_id] = _Strand(_causal_order(trees[trace_id], path), path)
    alone: list[_Strand] = []
    for error in errors:
        if error.span_id:
            continue
        strand = strands.get(error.trace_id)
        if strand is not None:
            # Nothing says where in its trace it happened.
            strand.events.append(error)
        else:
            alone.append(_Strand([error], []))
    return sorted([*strands.values(), *alone], key=_Strand.begins)


def _culprits(ordered: Sequence[Node]) -> dict[str, Node]:
    """The span of each trace in which its failure began."""
    troubled_below: set[int] = set()
    for node in reversed(ordered):
        if (node.errors or id(node) in troubled_below) and node.parent is not None:
            troubled_below.add(id(node.parent))
    # How far up the failure reached without a caller in between that stayed well.
    reached: dict[int, int] = {}
    best: dict[str, tuple[tuple[int, int, int, str], Node]] = {}
    for node in ordered:
        above = node.parent
        spread = above is not None and (above.failed or above.span is None)
        reached[id(node)] = reached[id(above)] if above is not None and spread else node.depth
        if not node.errors or id(node) in troubled_below:
            continue
        rank = (-node.depth, reached[id(node)], node.start, node.id)
        if node.trace_id not in best or rank < best[node.trace_id][0]:
            best[node.trace_id] = rank, node
    return {trace_id: node for trace_id, (_, node) in best.items()}


def _path(culprit: Node) -> list[Node]:
    path = []
    node: Node | None = culprit
    while node is not None:
        path.append(node)
        node = node.parent
    return path


def _outlasting(node: Node) -> list[Node]:
    """The spans below that took longer than a span itself and ended well, the deepest first.

    Of one that waits for its callees that cannot be, unless it gave up; nobody waits for the
    consumers of messages. Durations are compared, because clocks differ.
    """
    found: list[Node] = []
    below = node.children
    while True:
        late = [
            child
            for child in below
            if child.span is not None
            and child.span.kind != _CONSUMER
            and not child.failed
            and child.end - child.start > node.end - node.start
        ]
        if node.span is None or not late:
            return found[::-1]
        longest = max(late, key=lambda child: (child.end - child.start, child.id))
        found.append(longest)
        below = longest.children


def _causal_order(roots: Sequence[Node], path: Sequence[Node]) -> list[ChainError]:
    """All errors of a trace: those of callees before their caller's, the culprit's branch first."""
    on_path = {id(node) for node in path}

    def culprit_first(nodes: Sequence[Node]) -> list[Node]:
        return sorted(nodes, key=lambda node: id(node) not in on_path)

    # Read backwards, callees come before their caller and the first branch comes first.
    backwards: list[Node] = []
    waiting = culprit_first(roots)
    while waiting:
        node = waiting.pop()
        backwards.append(node)
        waiting.extend(culprit_first(node.children) if id(node) in on_path else node.children)
    return [error for node in reversed(backwards) for error in node.errors]


def _services(path: Iterable[Node], events: Iterable[ChainError]) -> list[str]:
    first = [node.service for node in path if node.span is not None or node.errors]
    every = dict.fromkeys([*first, *(error.service for error in events)])
    return [service for service in every if service]


def _row(node: Node) -> Row:
    return Row(
        node.id,
        node.parent.id if node.parent else "",
        node.depth,
        node.span is None,
        node.failed,
        node.service,
        node.start,
        node.end,
        [error.id for error in node.errors],
        node.trace_id,
    )


def windows(times: Sequence[int], window: int) -> list[list[int]]:
    """Positions of times, in groups: a silence longer than the window begins a new group."""
    groups: list[list[int]] = []
    last = 0
    for position in sorted(range(len(times)), key=lambda each: (times[each], each)):
        if not groups or times[position] - last > window:
            groups.append([])
        groups[-1].append(position)
        last = times[position]
    return groups

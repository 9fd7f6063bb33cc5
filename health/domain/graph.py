"""The graph of what needs what: who is to blame for a failure, and whether it has cycles.

A node fails when its own probes say so, whatever maintenance it is in. A failing hard parent
explains the failure of its child; a failing soft parent only degrades a child that works.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Final
from uuid import UUID

# A verdict names no more culprits than that; nobody reads more.
MOST_CULPRITS: Final = 20

# Edges of a cycle that is found, around which a shorter one is looked for.
_MOST_TRIED: Final = 50
_GROUP: Final = "group"
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Node:
    """A check as its own probes see it: `own` is up, degraded, down or unknown."""

    key: UUID
    name: str
    own: str
    failing_since: datetime | None = None
    maintenance: bool = False


@dataclass(frozen=True)
class Edge:
    """`child` needs `parent`; `hard` where it cannot work at all without it."""

    child: UUID
    parent: UUID
    hard: bool = True


@dataclass(frozen=True)
class Verdict:
    """A node's state in the graph. `culprits` are the deepest failing ancestors that explain it,
    the first to fail first and at most `MOST_CULPRITS`; `culprit` is the first of them."""

    state: str
    culprit: UUID | None = None
    culprits: tuple[UUID, ...] = ()


class Graph:
    """Edges by both of their ends. Of two edges between the same nodes, the hard one counts.

    `groups` are nodes that stand for others (all checks of a service): nothing is known of them
    themselves, and what they need is what those need who need them. They spare the edges between
    each of many children and each of many parents, and are no answer to any question.
    """

    def __init__(self, edges: Iterable[Edge] = (), groups: Collection[UUID] = ()) -> None:
        self.groups = frozenset(groups)
        kinds: dict[tuple[UUID, UUID], bool] = {}
        for edge in edges:
            pair = (edge.child, edge.parent)
            kinds[pair] = kinds.get(pair, False) or edge.hard
        self._parents: dict[UUID, list[tuple[UUID, bool]]] = defaultdict(list)
        self._children: dict[UUID, list[tuple[UUID, bool]]] = defaultdict(list)
        for (child, parent), hard in kinds.items():
            self._parents[child].append((parent, hard))
            self._children[parent].append((child, hard))

    def parents(self, key: UUID, hard: bool | None = None) -> list[UUID]:
        """What `key` needs: by hard edges, by soft ones, or (None) by both."""
        return _ends(self._parents, key, hard)

    def children(self, key: UUID, hard: bool | None = None) -> list[UUID]:
        """What needs `key`."""
        return _ends(self._children, key, hard)

    def ancestors(self, key: UUID, hard: bool | None = None) -> set[UUID]:
        """Everything that `key` needs, directly or not, without itself."""
        return _reach(self._parents, [key], hard) - self.groups - {key}

    def descendants(self, key: UUID, hard: bool | None = None) -> set[UUID]:
        """Everything that needs `key`, directly or not, without itself: its blast radius."""
        return _reach(self._children, [key], hard) - self.groups - {key}

    def above(self, keys: Collection[UUID]) -> set[UUID]:
        """Everything that any of `keys` needs; those of them among it that others of them need."""
        return _reach(self._parents, keys, None) - self.groups

    def below(self, keys: Collection[UUID]) -> set[UUID]:
        """Everything that needs any of `keys`; those of them among it that need others of them."""
        return _reach(self._children, keys, None) - self.groups


def _ends(ends: Mapping[UUID, list[tuple[UUID, bool]]], key: UUID, hard: bool | None) -> list[UUID]:
    return [end for end, kind in ends.get(key, ()) if hard is None or kind is hard]


def _reach(
    ends: Mapping[UUID, list[tuple[UUID, bool]]], keys: Iterable[UUID], hard: bool | None
) -> set[UUID]:
    found: set[UUID] = set()
    todo = list(keys)
    while todo:
        for end in _ends(ends, todo.pop(), hard):
            if end not in found:
                found.add(end)
                todo.append(end)
    return found


def evaluate(graph: Graph, nodes: Mapping[UUID, Node]) -> dict[UUID, Verdict]:
    """The state of every node with its culprits; the order of nodes and edges does not matter.

    Culprits are failing nodes none of whose hard parents fail. A hard parent of which nothing is
    known hides nothing: the failures behind it count as if there were an edge to them.
    """
    failing = sorted((each for each in nodes.values() if each.own == "down"), key=_age)
    groups = {key: Node(key, "", _GROUP) for key in graph.groups}
    everything = {**nodes, **groups}
    blame = _blame(graph, everything, {node.key: 1 << rank for rank, node in enumerate(failing)})
    read: dict[int, tuple[UUID, ...]] = {0: ()}

    def culprits(mask: int) -> tuple[UUID, ...]:
        if mask not in read:
            read[mask] = tuple(failing[rank].key for rank in _lowest(mask, MOST_CULPRITS))
        return read[mask]

    verdicts = {}
    for key, node in nodes.items():
        state, mask = _state(graph, everything, blame, node)
        named = culprits(mask)
        verdicts[key] = Verdict(state, named[0] if named else None, named)
    return verdicts


def _age(node: Node) -> tuple[datetime, str, UUID]:
    return node.failing_since or _LAST, node.name, node.key


def _state(
    graph: Graph, nodes: Mapping[UUID, Node], blame: Mapping[UUID, int], node: Node
) -> tuple[str, int]:
    if node.maintenance:
        return "maintenance", 0
    if node.own == "down":
        mask = _union(blame, graph.parents(node.key, hard=True))
        return ("unreachable", mask) if mask else ("down", 0)
    if node.own in ("up", "degraded"):
        soft = graph.parents(node.key, hard=False)
        bad = (key for key in soft if key in nodes and nodes[key].own in ("down", _GROUP))
        mask = _union(blame, bad)
        return ("degraded", mask) if mask else (node.own, 0)
    return node.own, 0


def _blame(graph: Graph, nodes: Mapping[UUID, Node], own: Mapping[UUID, int]) -> dict[UUID, int]:
    """For each node whom its children have to blame, as a set of bits: thousands of sets of
    thousands of culprits are too slow as sets."""
    blame: dict[UUID, int] = {}
    for node in _parents_first(graph, nodes):
        if node.own in ("up", "degraded"):
            blame[node.key] = 0
        else:
            behind = _union(blame, graph.parents(node.key, hard=True))
            blame[node.key] = behind or own.get(node.key, 0)
    return blame


def _parents_first(graph: Graph, nodes: Mapping[UUID, Node]) -> Iterator[Node]:
    """Every node after its hard parents.

    A cycle is refused before it is stored; should there be one all the same, its nodes come by age,
    so that the verdict is still the same for every order of insertion.
    """
    waiting = {
        key: sum(parent in nodes for parent in graph.parents(key, hard=True)) for key in nodes
    }
    ready = deque(key for key, count in waiting.items() if not count)
    while ready:
        key = ready.popleft()
        del waiting[key]
        yield nodes[key]
        for child in graph.children(key, hard=True):
            if child in waiting:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
    yield from sorted((nodes[key] for key in waiting), key=_age)


def _union(blame: Mapping[UUID, int], keys: Iterable[UUID]) -> int:
    mask = 0
    for key in keys:
        mask |= blame.get(key, 0)
    return mask


def _lowest(mask: int, most: int) -> Iterator[int]:
    while mask and most:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
        most -= 1


def find_cycle(edges: Iterable[tuple[str, str]]) -> list[str]:
    """A cycle of the graph that `(from, to)` pairs make, its first node repeated at its end, or an
    empty list. It is a shortest of those that share a pair with it: if one pair made all the
    cycles there are, a shortest of all."""
    ends: dict[str, list[str]] = defaultdict(list)
    for start, end in edges:
        ends[start].append(end)
    closing = _closing_edge(ends)
    if closing is None:
        return []
    found = _around(ends, closing)
    return min((_around(ends, each) for each in islice(pairwise(found), _MOST_TRIED)), key=len)


def _around(ends: Mapping[str, list[str]], edge: tuple[str, str]) -> list[str]:
    """A shortest cycle through an edge that is part of one."""
    return [edge[0], *_shortest(ends, edge[1], edge[0])]


def _closing_edge(ends: Mapping[str, list[str]]) -> tuple[str, str] | None:
    """An edge back to a node that leads to it."""
    done: set[str] = set()
    for root in sorted(ends):
        if root in done:
            continue
        path = {root}
        stack = [(root, iter(ends.get(root, ())))]
        while stack:
            node, rest = stack[-1]
            for end in rest:
                if end in path:
                    return node, end
                if end not in done:
                    path.add(end)
                    stack.append((end, iter(ends.get(end, ()))))
                    break
            else:
                done.add(node)
                path.discard(node)
                stack.pop()
    return None


def _shortest(ends: Mapping[str, list[str]], start: str, goal: str) -> list[str]:
    before: dict[str, str | None] = {start: None}
    todo = deque([start])
    while goal not in before:
        node = todo.popleft()
        for end in ends.get(node, ()):
            if end not in before:
                before[end] = node
                todo.append(end)
    path = []
    step: str | None = goal
    while step is not None:
        path.append(step)
        step = before[step]
    return path[::-1]

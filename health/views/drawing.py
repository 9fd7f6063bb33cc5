"""The dependency graph as a drawing and as the table that says the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.urls import reverse

from health.domain.graph import Edge, Graph
from health.domain.layout import BOX_HEIGHT, BOX_WIDTH, layout
from health.models import Check
from health.selectors.checks import checks_of, shown_state
from health.selectors.graph import check_edges
from resilience_site.core.badges import Badge, badge_for

# More boxes than that are no picture any more; the table goes on a little further.
MOST_NODES: Final = 60
MOST_ROWS: Final = 60
_FAILING: Final = ("down", "unreachable")


@dataclass(frozen=True)
class DrawnNode:
    """A check as a box; x and y are its corner. `culprit`: others fail because of it."""

    check: Check
    href: str
    badge: Badge
    x: float
    y: float
    culprit: bool

    @property
    def label(self) -> str:
        """What a screen reader says of the box."""
        blamed = ", explains the failure of others" if self.culprit else ""
        return f"{self.check.name} of {self.check.service_id}, {self.badge.word}{blamed}"


@dataclass(frozen=True)
class DrawnEdge:
    """A line; `failing` where the failure of the parent reaches the child through it."""

    path: str
    hard: bool
    failing: bool
    title: str


@dataclass(frozen=True)
class EdgeRow:
    """An edge of the table."""

    child: Check
    child_state: str
    parent: Check
    parent_state: str
    hard: bool


@dataclass(frozen=True)
class Drawing:
    """The graph of `width` × `height`. `left_out` checks found no room, `rows_left` edges no row;
    `alone` checks have no edge at all."""

    nodes: Sequence[DrawnNode]
    edges: Sequence[DrawnEdge]
    rows: Sequence[EdgeRow]
    width: float
    height: float
    left_out: int
    rows_left: int
    box_width: float = BOX_WIDTH
    box_height: float = BOX_HEIGHT


def drawing_of() -> Drawing | None:
    """The graph of all checks that have edges, the most troubled first; None without edges. Three
    queries."""
    edges = check_edges()
    if not edges:
        return None
    checks = checks_of({end for edge in edges for end in (edge.child, edge.parent)})
    shown = _fitting(checks, edges)
    found = {check.id: check for check in checks}
    placed = layout([each.id for each in shown], [(e.child, e.parent) for e in edges])
    culprits = {check.status.culprit_id for check in checks}
    hard = {(e.child, e.parent) for e in edges if e.hard}
    drawn = [
        _edge(found[child], found[parent], path, (child, parent) in hard)
        for (child, parent), path in placed.paths.items()
    ]
    rows = _rows(edges, found)
    return Drawing(
        nodes=[_node(each, placed.corners[each.id], culprits) for each in shown],
        # What fails is drawn over what works.
        edges=sorted(drawn, key=lambda each: each.failing),
        rows=rows[:MOST_ROWS],
        width=placed.width,
        height=placed.height,
        left_out=len(checks) - len(shown),
        rows_left=max(0, len(rows) - MOST_ROWS),
    )


def _fitting(checks: Sequence[Check], edges: Sequence[Edge]) -> list[Check]:
    """The checks that are drawn, by name; where there are too many, those in trouble come first,
    with what they need and who needs them."""
    if len(checks) <= MOST_NODES:
        return sorted(checks, key=lambda check: check.name)
    graph = Graph(edges)
    wanted: dict[UUID, None] = {}
    for check in checks:
        for key in (check.id, *graph.parents(check.id), *graph.children(check.id)):
            if len(wanted) < MOST_NODES:
                wanted.setdefault(key)
    return sorted((c for c in checks if c.id in wanted), key=lambda check: check.name)


def _node(
    check: Check, corner: tuple[float, float], culprits: Collection[UUID | None]
) -> DrawnNode:
    return DrawnNode(
        check,
        reverse("health:check", args=[check.id]),
        badge_for("health", shown_state(check)),
        *corner,
        culprit=check.id in culprits,
    )


def _edge(child: Check, parent: Check, path: str, hard: bool) -> DrawnEdge:
    below, above = shown_state(child), shown_state(parent)
    failing = above in _FAILING and below in (*_FAILING, "degraded")
    verb = "needs" if hard else "uses"
    return DrawnEdge(path, hard, failing, f"{child.name} {verb} {parent.name}")


def _rows(edges: Sequence[Edge], found: dict[UUID, Check]) -> list[EdgeRow]:
    kinds: dict[tuple[UUID, UUID], bool] = {}
    for edge in edges:
        pair = (edge.child, edge.parent)
        kinds[pair] = kinds.get(pair, False) or edge.hard
    order = {key: place for place, key in enumerate(found)}
    pairs = sorted(kinds, key=lambda pair: (order[pair[0]], order[pair[1]]))
    return [
        EdgeRow(
            found[child],
            shown_state(found[child]),
            found[parent],
            shown_state(found[parent]),
            kinds[child, parent],
        )
        for child, parent in pairs
    ]

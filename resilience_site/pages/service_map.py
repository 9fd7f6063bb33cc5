"""The geometry of the service map: callers left of what they call. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analytics.domain.layers import layers
from analytics.selectors.rollups import Edge
from resilience_site.core.formatting import compact, duration, percent
from resilience_site.pages.verdict import FAILING_RATIO, MINIMUM_CALLS

BOX_WIDTH, BOX_HEIGHT = 190.0, 44.0
COLUMN, ROW = 350.0, 76.0
# Between the middles of two labels, so that none lies on another.
_LABEL_HEIGHT = 36.0
_LABEL_WIDTH = 120.0
# From a box to the middle of a label beside it.
_LABEL_ASIDE = 56.0
MARGIN = 12.0
# More than fits is said by the table.
MOST_NODES = 60


@dataclass(frozen=True)
class Node:
    """A service, or a peer that sends no telemetry (`state` is ""); x and y are its corner."""

    name: str
    state: str
    x: float
    y: float

    @property
    def middle(self) -> float:
        return self.y + BOX_HEIGHT / 2


@dataclass(frozen=True)
class Arrow:
    """Calls from one node to another along `path`; `width` grows with their number. Rate, errors
    and p95 are written around `x`, `y`."""

    edge: Edge
    path: str
    width: float
    failing: bool
    x: float
    y: float

    @property
    def rate(self) -> str:
        """Calls a second, and the 95th percentile of how long they took."""
        figures = self.edge.figures
        p95 = None if figures.p95_ms is None else figures.p95_ms / 1000
        return f"{compact(figures.rate)}/s · {duration(p95)}"

    @property
    def errors(self) -> str:
        """The failed calls in per cent; "" where too few calls were made to say."""
        figures = self.edge.figures
        if figures.calls < MINIMUM_CALLS:
            return ""
        return f"{percent(figures.errors, figures.calls)} errors"


@dataclass(frozen=True)
class Drawing:
    """A map of `width` × `height`; `left_out` nodes found no room."""

    nodes: list[Node]
    arrows: list[Arrow]
    width: float
    height: float
    left_out: int


def draw(edges: Sequence[Edge], states: Mapping[str, str]) -> Drawing:
    """The map of `edges`, busiest first, and of services (by name, with their state) that call
    nobody and are called by nobody."""
    shown = _fitting(edges)
    column = layers((e.caller, e.callee) for e in shown if e.caller != e.callee)
    for name in sorted(states):
        if len(column) < MOST_NODES:
            column.setdefault(name, 0)
    rows: dict[int, int] = {}
    nodes = {}
    for name in sorted(column, key=lambda each: (column[each], each)):
        layer = column[name]
        row = rows[layer] = rows.get(layer, -1) + 1
        x, y = MARGIN + layer * COLUMN, MARGIN + row * ROW
        nodes[name] = Node(name, states.get(name, ""), x, y)
    most = max((e.figures.calls for e in shown), default=1) or 1
    drawn = [e for e in shown if e.caller != e.callee]
    leaving, coming = Counter(e.caller for e in drawn), Counter(e.callee for e in drawn)
    arrows = _apart([
        # Where the fewer arrows meet, a label is seen to belong to its own.
        _arrow(
            e, nodes[e.caller], nodes[e.callee], most,
            label_at_end=coming[e.callee] <= leaving[e.caller],
        )
        for e in drawn
    ])  # fmt: skip
    lowest = max((each.y + _LABEL_HEIGHT / 2 for each in arrows), default=0.0)
    everything = {*states, *(name for e in edges for name in (e.caller, e.callee))}
    return Drawing(
        list(nodes.values()),
        arrows,
        2 * MARGIN + max(rows, default=0) * COLUMN + BOX_WIDTH,
        MARGIN + max(MARGIN + max(rows.values(), default=0) * ROW + BOX_HEIGHT, lowest),
        len(everything) - len(nodes),
    )


def _fitting(edges: Sequence[Edge]) -> list[Edge]:
    names: set[str] = set()
    shown = []
    for edge in edges:
        wanted = names | {edge.caller, edge.callee}
        if len(wanted) <= MOST_NODES:
            names = wanted
            shown.append(edge)
    return shown


def _arrow(edge: Edge, caller: Node, callee: Node, most: int, *, label_at_end: bool) -> Arrow:
    forward = callee.x > caller.x
    x1, x2 = caller.x + BOX_WIDTH, callee.x if forward else callee.x + BOX_WIDTH
    bend = max(40.0, abs(x2 - x1) / 2)
    # The head of the arrow needs room before the box.
    tip = x2 - 7 if forward else x2 + 7
    turn = x2 - bend if forward else x2 + bend
    path = (
        f"M{x1:.0f} {caller.middle:.0f}C{x1 + bend:.0f} {caller.middle:.0f} "
        f"{turn:.0f} {callee.middle:.0f} {tip:.0f} {callee.middle:.0f}"
    )
    ratio = edge.figures.error_ratio or 0.0
    failing = edge.figures.calls >= MINIMUM_CALLS and ratio > FAILING_RATIO
    width = round(1 + 2.5 * (edge.figures.calls / most) ** 0.5, 2)
    # Right of one that calls back there may be no more room.
    if not forward:
        x, y = x2 + _LABEL_ASIDE, callee.middle
    elif label_at_end:
        x, y = x2 - _LABEL_ASIDE, callee.middle
    else:
        x, y = x1 + _LABEL_ASIDE, caller.middle
    return Arrow(edge, path, width, failing, round(x), y)


def _apart(arrows: Sequence[Arrow]) -> list[Arrow]:
    """The arrows with labels moved down where they would lie on one another."""
    placed: list[Arrow] = []
    for arrow in sorted(arrows, key=lambda each: (each.y, each.x, each.path)):
        y = arrow.y
        for taken in sorted(each.y for each in placed if abs(each.x - arrow.x) < _LABEL_WIDTH):
            if abs(taken - y) < _LABEL_HEIGHT:
                y = taken + _LABEL_HEIGHT
        placed.append(replace(arrow, y=y))
    return placed

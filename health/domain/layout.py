"""Where the boxes of a layered drawing stand: whoever needs something stands left of it.

Columns come from the longest way to a node, the order within a column from the middle of its
neighbours, the height of each box from theirs. A line that passes a column has a lane of its own
there, so that it crosses no box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BOX_WIDTH, BOX_HEIGHT = 160.0, 48.0
MARGIN: Final = 14.0
_COLUMN: Final = BOX_WIDTH + 52.0
_GAP: Final = 16.0
_LANE: Final = 14.0
# The head of an arrow needs room before the box.
_HEAD: Final = 8.0
_SWEEPS: Final = 8


@dataclass(frozen=True)
class Layout(Generic[K]):
    """The upper left corner of each box, and for each pair `(from, to)` the path of its line."""

    corners: dict[K, tuple[float, float]]
    paths: dict[tuple[K, K], str]
    width: float
    height: float


@dataclass
class _Place(Generic[K]):
    """A box, or (without `key`) the lane of a line that passes its column."""

    column: int
    key: K | None
    y: float = 0.0
    left: list[_Place[K]] = field(default_factory=list)
    right: list[_Place[K]] = field(default_factory=list)

    @property
    def height(self) -> float:
        return _LANE if self.key is None else BOX_HEIGHT


def layout(nodes: Sequence[K], edges: Iterable[tuple[K, K]]) -> Layout[K]:
    """A drawing of `nodes`, in the order in which they come where nothing else decides; edges with
    an end that is none of them are left out. A cycle is cut where it closes."""
    known = set(nodes)
    pairs = list(
        dict.fromkeys(e for e in edges if e[0] in known and e[1] in known and e[0] != e[1])
    )
    column = _columns(nodes, pairs)
    pairs = [pair for pair in pairs if column[pair[0]] < column[pair[1]]]
    places: dict[K, _Place[K]] = {key: _Place(column[key], key) for key in nodes}
    rows: list[list[_Place[K]]] = [[] for _ in range(max(column.values(), default=0) + 1)]
    for key in nodes:
        rows[column[key]].append(places[key])
    lines = {pair: _line(places, rows, pair) for pair in pairs}
    _order(rows)
    _align(rows)
    top = min((each.y for row in rows for each in row), default=0.0)
    for each in (each for row in rows for each in row):
        each.y += MARGIN - top
    return Layout(
        corners={key: (_x(place), place.y) for key, place in places.items()},
        paths={pair: _path(line) for pair, line in lines.items()},
        width=2 * MARGIN + (len(rows) - 1) * _COLUMN + BOX_WIDTH,
        height=MARGIN + max((e.y + e.height for row in rows for e in row), default=0.0),
    )


def _columns(nodes: Sequence[K], pairs: Sequence[tuple[K, K]]) -> dict[K, int]:
    needs: dict[K, list[K]] = defaultdict(list)
    needed: dict[K, int] = defaultdict(int)
    for start, end in pairs:
        needs[start].append(end)
        needed[end] += 1
    order = _outward([*(key for key in nodes if not needed[key]), *nodes], needs)
    place = {key: index for index, key in enumerate(order)}
    column = dict.fromkeys(nodes, 0)
    for key in order:
        for end in needs[key]:
            if place[end] > place[key]:
                column[end] = max(column[end], column[key] + 1)
    # Who is needed by nobody stands next to what it needs, not at the far end.
    for key in nodes:
        ahead = [column[end] for end in needs[key] if place[end] > place[key]]
        if ahead and not needed[key]:
            column[key] = min(ahead) - 1
    return column


def _outward(starts: Sequence[K], needs: Mapping[K, Sequence[K]]) -> list[K]:
    """All nodes, each before what it needs, but for edges that close a cycle."""
    done: list[K] = []
    seen: set[K] = set()
    for start in starts:
        waiting = [(start, False)]
        while waiting:
            key, left = waiting.pop()
            if left:
                done.append(key)
            elif key not in seen:
                seen.add(key)
                waiting.append((key, True))
                waiting.extend((end, False) for end in needs.get(key, ()) if end not in seen)
    return done[::-1]


def _line(
    places: Mapping[K, _Place[K]], rows: list[list[_Place[K]]], pair: tuple[K, K]
) -> list[_Place[K]]:
    """The places that a line goes through, with a lane in each column that it passes."""
    start, end = places[pair[0]], places[pair[1]]
    line = [start]
    for column in range(start.column + 1, end.column):
        lane: _Place[K] = _Place(column, None)
        rows[column].append(lane)
        line.append(lane)
    line.append(end)
    for left, right in pairwise(line):
        left.right.append(right)
        right.left.append(left)
    return line


def _order(rows: Sequence[list[_Place[K]]]) -> None:
    """Sort each column by the middle of its neighbours, to and fro."""
    for row in rows:
        _number(row)
    for sweep in range(_SWEEPS):
        rightward = sweep % 2 == 0
        for row in rows if rightward else rows[::-1]:
            row.sort(key=lambda each: _middle(each, each.left if rightward else each.right))
            _number(row)


def _number(row: Sequence[_Place[K]]) -> None:
    for index, each in enumerate(row):
        each.y = float(index)


def _middle(each: _Place[K], neighbours: Sequence[_Place[K]]) -> float:
    return fmean(other.y for other in neighbours) if neighbours else each.y


def _align(rows: Sequence[list[_Place[K]]]) -> None:
    """Give every place a height near its neighbours', in the order of its column."""
    for row in rows:
        at = 0.0
        for each in row:
            each.y = at
            at += each.height + _GAP
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 else rows[::-1]:
            _settle(row, [_wanted(each) for each in row])


def _wanted(each: _Place[K]) -> float:
    neighbours = [*each.left, *each.right]
    if not neighbours:
        return each.y
    return fmean(other.y + other.height / 2 for other in neighbours) - each.height / 2


def _settle(row: Sequence[_Place[K]], wanted: Sequence[float]) -> None:
    free = float("-inf")
    for each, y in zip(row, wanted, strict=True):
        each.y = max(y, free)
        free = each.y + each.height + _GAP
    if row:
        pushed = fmean(each.y - y for each, y in zip(row, wanted, strict=True))
        for each in row:
            each.y -= pushed


def _x(place: _Place[K]) -> float:
    return MARGIN + place.column * _COLUMN


def _path(line: Sequence[_Place[K]]) -> str:
    """A line from the right edge of its first box to the left edge of its last one."""
    first = line[0]
    x, y = _x(first) + BOX_WIDTH, first.y + BOX_HEIGHT / 2
    drawn = [f"M{x:.0f} {y:.0f}"]
    for place in line[1:]:
        last = place.key is not None
        to_x, to_y = _x(place) - (_HEAD if last else 0.0), place.y + place.height / 2
        bend = (to_x - x) / 2
        drawn.append(f"C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}")
        x, y = to_x, to_y
        if not last:
            x += BOX_WIDTH
            drawn.append(f"H{x:.0f}")
    return "".join(drawn)

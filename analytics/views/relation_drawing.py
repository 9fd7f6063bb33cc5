"""The geometry of the relationship map: what comes first stands left. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from analytics.domain.errors import bare_type
from analytics.domain.layers import layers
from analytics.models import ErrorPattern
from analytics.selectors.relations import Related

BOX_WIDTH, BOX_HEIGHT = 230.0, 50.0
COLUMN, ROW = 330.0, 82.0
MARGIN = 12.0
# More than fits is said by the table.
MOST_NODES = 40


@dataclass(frozen=True)
class Node:
    """A pattern; x and y are its corner."""

    pattern: ErrorPattern
    x: float
    y: float

    @property
    def name(self) -> str:
        """Its type without the module, which leaves no room for anything else."""
        return bare_type(self.pattern.type) or "Error"

    @property
    def middle(self) -> float:
        return self.y + BOX_HEIGHT / 2


@dataclass(frozen=True)
class Arrow:
    """That one pattern precedes another, along `path`; `width` grows with the confidence."""

    related: Related
    path: str
    width: float


@dataclass(frozen=True)
class Drawing:
    """A map of `width` × `height`; `left_out` patterns found no room, and `through` relations have
    others between them that lead from the one to the other."""

    nodes: list[Node]
    arrows: list[Arrow]
    width: float
    height: float
    left_out: int
    through: int


def draw(relations: Sequence[Related]) -> Drawing:
    """The map of the relations, surest first, as far as there is room for their patterns."""
    patterns: dict[str, ErrorPattern] = {}
    everything: set[str] = set()
    shown = []
    for each in relations:
        ends = {str(each.before.id): each.before, str(each.after.id): each.after}
        everything |= ends.keys()
        if len(patterns | ends) <= MOST_NODES:
            patterns |= ends
            shown.append(each)
    direct = _direct(shown)
    column = layers((str(each.before.id), str(each.after.id)) for each in shown)
    rows: dict[int, int] = {}
    nodes: dict[str, Node] = {}
    for key in sorted(column, key=lambda each: (column[each], patterns[each].service, each)):
        layer = column[key]
        row = rows[layer] = rows.get(layer, -1) + 1
        nodes[key] = Node(patterns[key], MARGIN + layer * COLUMN, MARGIN + row * ROW)
    return Drawing(
        list(nodes.values()),
        [_arrow(each, nodes[str(each.before.id)], nodes[str(each.after.id)]) for each in direct],
        2 * MARGIN + max(rows, default=0) * COLUMN + BOX_WIDTH,
        2 * MARGIN + max(rows.values(), default=0) * ROW + BOX_HEIGHT,
        len(everything) - len(nodes),
        len(shown) - len(direct),
    )


def _direct(relations: Sequence[Related]) -> list[Related]:
    """Without those from whose first to whose second pattern others lead as well: they would be drawn
    over what stands between. The least sure go first, so that a way always remains."""
    after: dict[UUID, set[UUID]] = {}
    for each in relations:
        after.setdefault(each.before.id, set()).add(each.after.id)
    left = list(relations)
    for each in reversed(relations):
        after[each.before.id].discard(each.after.id)
        if _leads(after, each.before.id, each.after.id):
            left.remove(each)
        else:
            after[each.before.id].add(each.after.id)
    return left


def _leads(after: Mapping[UUID, Iterable[UUID]], begin: UUID, end: UUID) -> bool:
    seen: set[UUID] = set()
    waiting = [begin]
    while waiting:
        place = waiting.pop()
        if place == end:
            return True
        if place not in seen:
            seen.add(place)
            waiting.extend(after.get(place, ()))
    return False


def _arrow(related: Related, before: Node, after: Node) -> Arrow:
    forward = after.x > before.x
    x1, x2 = before.x + BOX_WIDTH, after.x if forward else after.x + BOX_WIDTH
    bend = max(40.0, abs(x2 - x1) / 2)
    end = x2 - bend if forward else x2 + bend
    # The head of the arrow needs room before the box.
    tip = x2 - 7 if forward else x2 + 7
    path = (
        f"M{x1:.0f} {before.middle:.0f}C{x1 + bend:.0f} {before.middle:.0f} "
        f"{end:.0f} {after.middle:.0f} {tip:.0f} {after.middle:.0f}"
    )
    return Arrow(related, path, round(1 + 2.5 * related.relation.confidence, 2))

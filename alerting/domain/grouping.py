"""Which group takes an alert in, so that a storm of different alerts stays a few messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from alerting.domain.pipeline import Candidate, Place

# The key of the group of a route that takes what would be one group too many.
EVERYTHING_ELSE: Final = "everything-else"
# New groups of one route within its `group_interval`.
MOST_NEW: Final = 20


@dataclass
class Grouper:
    """The stage that sends what would be too many new groups at once to one group of the route.

    `live` holds for each route the keys of the groups in which something goes on, `recent` how many
    of them began within its interval; `member` for each alert the places (route, key) where it is
    already, which it keeps.
    """

    live: Mapping[int, set[str]]
    recent: Mapping[int, int]
    member: Mapping[UUID, set[tuple[int, str]]]
    most: int = MOST_NEW
    _new: dict[int, set[str]] = field(default_factory=dict)

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        return [
            replace(each, places=tuple(self._place(each.id, place) for place in each.places))
            for each in candidates
        ]

    def _place(self, alert_id: UUID, place: Place) -> Place:
        where = self.member.get(alert_id, ())
        other = Place(place.route_id, EVERYTHING_ELSE, {})
        if (place.route_id, place.key) in where:
            return place
        if (place.route_id, EVERYTHING_ELSE) in where:
            return other
        new = self._new.setdefault(place.route_id, set())
        if place.key in new or place.key in self.live.get(place.route_id, ()):
            return place
        if self.recent.get(place.route_id, 0) + len(new) >= self.most:
            return other
        new.add(place.key)
        return place

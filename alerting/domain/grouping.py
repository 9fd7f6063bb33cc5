"""Which group takes an alert in, so that a storm of different alerts stays a few messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from alerting.domain.pipeline import Candidate, Place
from alerting.domain.routing import RouteRule, differs_by_incident

# The key of the group of a route that takes what would be one group too many.
EVERYTHING_ELSE: Final = "everything-else"
# New groups of one route within its `group_interval`.
MOST_NEW: Final = 20


@dataclass
class Grouper:
    """The stage that sends what would be too many new groups at once to one group of the route.

    `live` holds for each route the keys of the groups in which something goes on, `recent` those of
    them that began within its interval; `member` for each alert the places (route, key) where it is
    already, which it keeps.

    The incident of an alert becomes known only after it has begun to fire, and may turn out to be
    another one's: where somebody has been `told` of the alert in a group of `routes` that differs
    by the incident alone, it stays there, so that nobody is told of it twice.
    """

    live: Mapping[int, set[str]]
    recent: Mapping[int, set[str]]
    member: Mapping[UUID, set[tuple[int, str]]]
    most: int = MOST_NEW
    routes: Mapping[int, RouteRule] = field(default_factory=dict)
    told: Mapping[UUID, Sequence[Place]] = field(default_factory=dict)
    _new: dict[int, set[str]] = field(default_factory=dict)
    # Groups that alerts have left for those of their incidents, which are no more than they were.
    _left: dict[int, set[str]] = field(default_factory=dict)

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        return [
            replace(each, places=tuple(self._place(each, place) for place in each.places))
            for each in candidates
        ]

    def _place(self, alert: Candidate, place: Place) -> Place:
        where = self.member.get(alert.id, ())
        other = Place(place.route_id, EVERYTHING_ELSE, {})
        if (place.route_id, place.key) in where:
            return place
        if (place.route_id, EVERYTHING_ELSE) in where:
            return other
        if (kept := self._kept(alert, place)) is not None:
            return kept
        new = self._new.setdefault(place.route_id, set())
        left = self._left.setdefault(place.route_id, set())
        left.update(key for route_id, key in where if route_id == place.route_id)
        if place.key in new or place.key in self.live.get(place.route_id, ()):
            return place
        if len(self.recent.get(place.route_id, set()) - left) + len(new) >= self.most:
            return other
        new.add(place.key)
        return place

    def _kept(self, alert: Candidate, place: Place) -> Place | None:
        for there in self.told.get(alert.id, ()):
            if there.route_id == place.route_id and differs_by_incident(
                self.routes[place.route_id], alert.labels, there.labels
            ):
                return there
        return None

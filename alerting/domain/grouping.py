"""Which group takes an alert in, so that a storm of different alerts stays a few messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from alerting.domain.pipeline import Candidate, Place
from alerting.domain.routing import RouteRule, differs_by_incident

# With this begin the keys of the groups of a route that take what would be one group too many.
EVERYTHING_ELSE: Final = "everything-else"
# New groups of one route within its `group_interval`; what may wait begins none beyond half of them,
# so that pages find a place.
MOST_NEW: Final = 20
_SEVERITY: Final = "severity"
_PAGE: Final = "page"


def is_everything_else(key: str) -> bool:
    """Whether the group with that key takes what would be one group too many."""
    return key.startswith(EVERYTHING_ELSE)


def everything_else(route_id: int, severity: str) -> Place:
    """The group of a route that takes such alerts of one severity: pages are not among tickets."""
    if not severity:
        return Place(route_id, EVERYTHING_ELSE, {})
    return Place(route_id, f"{EVERYTHING_ELSE}:{severity}", {_SEVERITY: severity})


@dataclass
class Grouper:
    """The stage that sends what would be too many new groups at once to one group of the route for
    each severity.

    `live` holds for each route the keys of the groups in which something goes on, `recent` those of
    them that began within its interval; `member` for each alert the places (route, key) where it is
    already, which it keeps. Beyond half of `most` new groups, only pages begin others.

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
        route_id = place.route_id
        if place.where in where:
            return place
        for there in sorted(where):
            if there[0] == route_id and is_everything_else(there[1]):
                return Place(*there, {})
        if (kept := self._kept(alert, place)) is not None:
            return kept
        left = self._left.setdefault(route_id, set())
        left.update(key for there, key in where if there == route_id)
        new = self._new.setdefault(route_id, set())
        if place.key in new or place.key in self.live.get(route_id, ()):
            return place
        severity = alert.labels.get(_SEVERITY, "")
        most = self.most if severity == _PAGE else self.most // 2
        if len(self.recent.get(route_id, set()) - left) + len(new) >= most:
            return everything_else(route_id, severity)
        new.add(place.key)
        return place

    def _kept(self, alert: Candidate, place: Place) -> Place | None:
        for there in self.told.get(alert.id, ()):
            if there.route_id == place.route_id and differs_by_incident(
                self.routes[place.route_id], alert.labels, there.labels
            ):
                return there
        return None

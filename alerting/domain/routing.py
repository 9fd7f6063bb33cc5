"""Which routes an alert takes: the first that matches, and those after it as long as they go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from alerting.domain.matchers import Matcher, all_match
from alerting.domain.pipeline import INCIDENT, Candidate, Place, group_key


@dataclass(frozen=True)
class RouteRule:
    """A route that is enabled."""

    id: int
    name: str
    matchers: tuple[Matcher, ...]
    group_by: tuple[str, ...]
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta
    goes_on: bool = False
    channels: tuple[UUID, ...] = ()
    every_channel: bool = False


# In `group_by`: each label, so that every alert is told by itself.
EACH_LABEL: Final = "..."
_SERVICE: Final = "service"
_NAME: Final = "alertname"


def routes_of(routes: Sequence[RouteRule], labels: Mapping[str, str]) -> list[RouteRule]:
    """The routes that an alert with these labels takes, of `routes` in their order."""
    taken = []
    for route in routes:
        if all_match(route.matchers, labels):
            taken.append(route)
            if not route.goes_on:
                break
    return taken


def group_labels(route: RouteRule, labels: Mapping[str, str]) -> dict[str, str]:
    """What the alerts of a group have in common; a label that is missing is left out.

    Where services are told apart, the name of an alert that is about none stands in its place: what
    is wrong with the site and what is wrong with a key are no one matter. Where incidents are, an
    alert of none is told by its service, or that name.
    """
    if EACH_LABEL in route.group_by:
        return {name: value for name, value in labels.items() if name != INCIDENT}
    found = {name: labels[name] for name in route.group_by if labels.get(name)}
    alone = INCIDENT in route.group_by and INCIDENT not in found
    if (alone or _SERVICE in route.group_by) and _SERVICE not in found:
        name = _SERVICE if labels.get(_SERVICE) else _NAME
        if labels.get(name):
            found[name] = labels[name]
    return found


def differs_by_incident(
    route: RouteRule, labels: Mapping[str, str], there: Mapping[str, str]
) -> bool:
    """Whether an alert would be in the group with the labels `there` if it were of the incident
    which they name, or of none."""
    return dict(there) == group_labels(route, {**labels, INCIDENT: there.get(INCIDENT, "")})


@dataclass(frozen=True)
class Router:
    """The stage that finds the places of alerts: a group of each route that they take."""

    routes: Sequence[RouteRule]

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        return [replace(each, places=self._places(each.labels)) for each in candidates]

    def _places(self, labels: Mapping[str, str]) -> tuple[Place, ...]:
        found = []
        for route in routes_of(self.routes, labels):
            common = group_labels(route, labels)
            found.append(Place(route.id, group_key(common), common))
        return tuple(found)

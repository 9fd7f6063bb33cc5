"""Where an alert with given labels would go, if it fired now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from alerting.choices import Severity
from alerting.domain.matchers import matchers_text
from alerting.domain.pipeline import Candidate, Held, run
from alerting.models import Channel, Route
from alerting.selectors.pipeline import pipeline_now
from alerting.selectors.route_standins import stand_in_of


@dataclass(frozen=True)
class Way:
    """One route that it would take. Where there are no channels nobody hears of it, apart from
    pages, which go by `stand_in`."""

    route: str
    matchers: str
    channels: list[str]
    group_labels: Mapping[str, str]
    group_wait: timedelta
    stand_in: str = ""


@dataclass(frozen=True)
class Trial:
    """The ways of an alert, and why nobody would be told all the same."""

    ways: list[Way]
    held: tuple[Held, ...]


def route_trial(labels: Mapping[str, str], now: datetime) -> Trial:
    """What the pipeline would do with an alert of these labels."""
    standing = pipeline_now(now)
    [passed] = run(standing.stages, [Candidate(UUID(int=0), labels)])
    names = dict(Channel.objects.filter(enabled=True).values_list("pk", "name").order_by("name"))
    ways = []
    for place in passed.places:
        route = standing.routes[place.route_id]
        chosen = names if route.every_channel else route.channels
        ways.append(
            Way(
                route=route.name,
                matchers=matchers_text(route.matchers),
                channels=[name for pk, name in names.items() if pk in chosen],
                group_labels=place.labels,
                group_wait=route.group_wait,
            )
        )
    if ways and labels.get("severity") == Severity.PAGE and not any(each.channels for each in ways):
        other = stand_in_of(Route.objects.get(pk=passed.places[0].route_id), set())
        ways[0] = replace(ways[0], stand_in=other.name if other else "")
    return Trial(ways, passed.held)

"""The pipeline as it stands: its stages over the routes, silences and windows of a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from django.db.models import Q, QuerySet

from alerting.choices import AlertSource, AlertState
from alerting.domain.inhibition import InhibitionRule, Inhibitor, Source, Sources, sources_of
from alerting.domain.muting import MaintenanceMuter, Silencer
from alerting.domain.pipeline import Candidate, Stage
from alerting.domain.routing import Router, RouteRule
from alerting.models import Alert
from alerting.selectors.labels import LABEL_COLUMNS, alert_labels, matcher_columns
from alerting.selectors.routing import (
    inhibition_rules,
    maintenance_rules,
    routes_enabled,
    silence_rules,
    silences_active,
)

_BATCH: Final = 1_000


@dataclass(frozen=True)
class PipelineNow:
    """What every alert of one turn is judged by: route → inhibit → mute."""

    routes: Mapping[int, RouteRule]
    stages: Sequence[Stage[Candidate]]


def pipeline_now(now: datetime) -> PipelineNow:
    """The stages that need nothing but the alerts themselves; six queries."""
    routes = routes_enabled()
    return PipelineNow(
        routes={each.id: each for each in routes},
        stages=(
            Router(routes),
            Inhibitor(_sources(inhibition_rules(), now)),
            Silencer(silence_rules(silences_active(now))),
            MaintenanceMuter(maintenance_rules(now)),
        ),
    )


def _sources(rules: Sequence[InhibitionRule], now: datetime) -> list[Sources]:
    """What holds others now; the database sorts out alerts that are no source of any rule.

    Of those that are over, the ones that ended because their rule was changed or switched off hold
    nothing: what they told of may go on.
    """
    firing = Alert.objects.filter(_possible(rules), state=AlertState.FIRING)
    lasting = [rule for rule in rules if rule.holds_after]
    found = [_each(firing)]
    if lasting:
        longest = max(rule.holds_after for rule in lasting)
        over = Alert.objects.filter(
            _possible(lasting),
            state=AlertState.RESOLVED,
            ended_at__gt=now - longest,
            ended_at__lte=now,
            told_at__isnull=False,
        ).exclude(source=AlertSource.RULE, facts__has_key="ended_because")
        found.append(_each(over))
    return sources_of(rules, chain(*found), now)


def _possible(rules: Sequence[InhibitionRule]) -> Q:
    possible = Q(pk__in=[])
    for rule in rules:
        possible |= matcher_columns(rule.source)
    return possible


def _each(alerts: QuerySet[Alert]) -> Iterator[Source]:
    for each in alerts.only(*LABEL_COLUMNS, "ended_at").iterator(_BATCH):
        yield Source(each.id, alert_labels(each), each.ended_at)

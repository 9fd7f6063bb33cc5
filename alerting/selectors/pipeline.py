"""The pipeline as it stands: its stages over the routes, silences and windows of a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from alerting.choices import AlertState
from alerting.domain.inhibition import InhibitionRule, Inhibitor, Sources, sources_of
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
            Inhibitor(_sources(inhibition_rules())),
            Silencer(silence_rules(silences_active(now))),
            MaintenanceMuter(maintenance_rules(now)),
        ),
    )


def _sources(rules: Sequence[InhibitionRule]) -> list[Sources]:
    """What holds others now; the database sorts out alerts that are no source of any rule."""
    possible = Q(pk__in=[])
    for rule in rules:
        possible |= matcher_columns(rule.source)
    rows = Alert.objects.filter(possible, state=AlertState.FIRING).only(*LABEL_COLUMNS)
    return sources_of(rules, ((each.id, alert_labels(each)) for each in rows.iterator(_BATCH)))

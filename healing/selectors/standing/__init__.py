"""What fails at a moment, from the tables that say so: not from events, so that nothing is lost
while nobody looks, and nothing that is over is healed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from healing.domain.matching import Failing
from healing.selectors.standing.alerts import alerts_firing
from healing.selectors.standing.breakers import breakers_open
from healing.selectors.standing.checks import checks_failing
from healing.selectors.standing.healed import heals_quiet
from healing.selectors.standing.patterns import patterns_spiking
from healing.selectors.standing.predictions import failures_foreseen
from health.models import Service

__all__ = ["failures_standing"]


def failures_standing(now: datetime) -> list[Failing]:
    """Everything that fails now, by kind, and what may be cleared away after a heal."""
    failures = [
        *checks_failing(now),
        *breakers_open(now),
        *patterns_spiking(now),
        *failures_foreseen(now),
        *alerts_firing(),
        *heals_quiet(now),
    ]
    return list(_with_criticality(failures))


def _with_criticality(failures: list[Failing]) -> Iterable[Failing]:
    """Each with that of its service, where it does not say what depends on it."""
    names = {each.service for each in failures if not each.criticality}
    rows = Service.objects.filter(name__in=names) if names else Service.objects.none()
    known = dict(rows.values_list("name", "criticality"))
    for each in failures:
        own = frozenset({known.get(each.service, "")})
        yield each if each.criticality else replace(each, criticality=own)

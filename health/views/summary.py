"""The figures above the list: the score with its reasons, availability, MTTR and MTBF, services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from health.domain.reliability import Reliability
from health.domain.score import FULL, SEVERITY, Score
from health.selectors.availability import (
    WINDOWS,
    Figure,
    overall_availability,
    services_reliability,
)
from health.selectors.service_health import Health, ServiceHealth, health
from health.views.reliability import (
    RELIABILITY_WINDOW,
    Tile,
    availability_tile,
    budget_tile,
    repair_tiles,
)
from resilience_site.core.formatting import ABSENT

MOST_SERVICES: Final = 50


@dataclass(frozen=True)
class ServiceRow:
    """A service of the table: how it stands and how it did; texts are `n/a` where nothing is known."""

    service: ServiceHealth
    up: int
    score: str
    reason: str
    day: Tile
    month: Tile
    mttr: Tile
    mtbf: Tile


@dataclass(frozen=True)
class Summary:
    """The whole: `tiles` in the order in which they are shown, `services` the worst first."""

    health: Health
    score: Tile
    tiles: Sequence[Tile]
    reasons: Score
    services: Sequence[ServiceRow]
    services_left: int
    unchecked: int


def summary(now: datetime) -> Summary:
    """The figures of everything; a constant number of queries."""
    found = health(now=now, windows=WINDOWS)
    checked = [each for each in found.services if each.checks]
    figures = {each.name: each.figures for each in checked}
    means = services_reliability(figures)
    rows = sorted((_row(s, figures[s.name], means[s.name]) for s in checked), key=_worst_first)
    return Summary(
        health=found,
        score=_score_tile(found.score, len(checked)),
        tiles=_tiles(figures, means),
        reasons=found.score,
        services=rows[:MOST_SERVICES],
        services_left=max(0, len(rows) - MOST_SERVICES),
        unchecked=len(found.services) - len(checked),
    )


def _tiles(
    figures: Mapping[str, Sequence[Figure]], means: Mapping[str, Sequence[Reliability]]
) -> list[Tile]:
    whole = overall_availability(figures.values())
    if not whole:
        return []
    month = _month(whole)
    return [
        *(availability_tile(each) for each in whole),
        budget_tile(whole[month]),
        *repair_tiles(_together(each[month] for each in means.values()), whole[month]),
    ]


def _month(figures: Sequence[Figure]) -> int:
    return next(n for n, each in enumerate(figures) if each.window == RELIABILITY_WINDOW)


def _together(means: Iterable[Reliability]) -> Reliability:
    """The means over the outages of all services."""
    found = list(means)
    repaired, failures = sum(each.repaired for each in found), sum(each.failures for each in found)
    good = sum(each.good_seconds for each in found)
    lasted = sum((each.mttr or 0.0) * each.repaired for each in found)
    return Reliability(
        mttr=lasted / repaired if repaired else None,
        repaired=repaired,
        mtbf=good / failures if failures else None,
        failures=failures,
        good_seconds=good,
    )


def _score_tile(score: Score, services: int) -> Tile:
    label = "Health score"
    if score.value is None:
        return Tile(label, ABSENT, "nothing is known of any service")
    lost = len(score.deductions)
    why = f"{lost} reason{'s'[: lost != 1]} below" if lost else "nothing lowers it"
    basis = f"of {FULL}, over {services:,} service{'s'[: services != 1]} by criticality; {why}"
    return Tile(label, str(score.value), basis, "bad" if score.value < 60 else "")


def _row(
    service: ServiceHealth, figures: Sequence[Figure], means: Sequence[Reliability]
) -> ServiceRow:
    month = _month(figures)
    mttr, mtbf = repair_tiles(means[month], figures[month])
    value, reasons = service.score.value, service.score.deductions
    return ServiceRow(
        service=service,
        up=sum(each.state == "up" for each in service.checks),
        score=ABSENT if value is None else str(value),
        reason=f"−{reasons[0].points}: {reasons[0].reason}" if reasons else "",
        day=availability_tile(figures[0]),
        month=availability_tile(figures[month]),
        mttr=mttr,
        mtbf=mtbf,
    )


def _worst_first(row: ServiceRow) -> tuple[int, int, str]:
    score = row.service.score.value
    return SEVERITY.index(row.service.state), FULL if score is None else score, row.service.name

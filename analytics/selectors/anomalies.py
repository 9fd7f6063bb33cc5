"""Reads of anomalies: spells, marks for charts, and what is watched and what is not yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from analytics.models import Anomaly, DetectorState
from analytics.selectors.series import active_services
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page
from resilience_site.core.timerange import TimeRange

# Minutes with data without which nothing is judged: the detector's own need, repeated here since
# web processes load none of its arithmetic.
NEEDS: Final = 150
# A day's pattern is expected from the second day on.
DAY: Final = 1440
_MOST_MARKS: Final = 500


@dataclass(frozen=True, slots=True)
class AnomalyMark:
    """A spell as a chart shows it: from when to when, its worst moment, and in words."""

    started_at: datetime
    ended_at: datetime | None
    at: datetime
    value: float
    expected: float
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class WatchedSeries:
    """A series under watch: how many minutes are known, and what it lacks ("" for nothing)."""

    service: str
    metric: str
    minutes: int
    through: datetime
    lacks: str


def anomaly_list(
    *,
    within: TimeRange,
    service: str = "",
    metric: str = "",
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Spells that began in a time range, newest first."""
    rows = Anomaly.objects.filter(started_at__gte=within.since, started_at__lt=within.until)
    if service:
        rows = rows.filter(service=service)
    if metric:
        rows = rows.filter(metric=metric)
    return keyset_page(
        rows, by=("-started_at", "-id"), types=(datetime, UUID), cursor=cursor, limit=limit
    )


def anomaly_marks(service: str, metric: str, within: TimeRange) -> list[AnomalyMark]:
    """The spells of a series that touch a time range, oldest first."""
    rows = Anomaly.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=within.since),
        service=service, metric=metric, started_at__lt=within.until,
    ).order_by("-started_at")[:_MOST_MARKS]  # fmt: skip
    return [
        AnomalyMark(
            row.started_at, row.ended_at, row.at, row.value, row.expected, row.score, told(row)
        )
        for row in reversed(rows)
    ]


def told(anomaly: Anomaly) -> str:
    """What was seen and what was expected, and how rare that is."""
    unit = "" if anomaly.unit in ("", "1") else f" {anomaly.unit}"
    return (
        f"{anomaly.value:.4g}{unit} where {anomaly.expected:.4g}{unit} was expected "
        f"({anomaly.lower:.4g} to {anomaly.upper:.4g}); {_rarity(anomaly.score)}"
    )


def _rarity(score: float) -> str:
    """A score as how seldom a series is so unusual: score = rarity / (rarity + 2.1), rarity the
    negative decimal logarithm of the share of minutes."""
    rarity = 2.1 * score / (1 - score) if score < 1 else 9.0
    if rarity >= 6:
        return "so unusual less than once in a million minutes"
    return f"so unusual about once in {float(f'{10**rarity:.1g}'):,.0f} minutes"


def watched_series(service: str = "") -> list[WatchedSeries]:
    """All series under watch, of one service or of all, and what each still lacks."""
    rows = DetectorState.objects.order_by("service", "metric")
    if service:
        rows = rows.filter(service=service)
    return [
        WatchedSeries(name, metric, points, through, lacking(points))
        for name, metric, points, through in rows.values_list(
            "service", "metric", "points", "through"
        )
    ]


def services_left_out(*, now: datetime) -> list[str]:
    """Services of the last day that are not watched, by name: too many, or not got to yet."""
    watched = set(DetectorState.objects.values_list("service", flat=True).distinct())
    heard = active_services(TimeRange(now - timedelta(days=1), now))
    return [service for service in heard if service not in watched]


def lacking(minutes: int) -> str:
    """What a series of so many minutes still lacks, in words; "" for nothing."""
    if minutes < NEEDS:
        return f"not enough data: needs {NEEDS} minutes with data, has {minutes}"
    if minutes < DAY:
        hours = timedelta(minutes=minutes) // timedelta(hours=1)
        return f"the pattern of a day is not known yet: needs 24 hours with data, has {hours}"
    return ""

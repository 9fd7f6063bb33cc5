"""The error report of a range: what failed, how much of it, and how that compares.

All counts are of whole minutes, and equal those of the stored errors in the same range.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from analytics.models import Anomaly, ErrorPattern, Prediction, Release
from analytics.selectors.rollups import Figures, service_figures
from analytics.selectors.sources import figure_rows
from health.domain.reliability import Reliability
from health.selectors.availability import (
    Window,
    critical_services,
    services_availability,
    services_reliability,
)
from resilience_site.core.timerange import TimeRange

_MINUTE = timedelta(minutes=1)
TOP = 20


@dataclass(frozen=True)
class ServiceLine:
    """Stored errors of a service, now and in the range before; its entry calls, None without."""

    service: str
    errors: int
    before: int
    figures: Figures | None
    availability: float | None
    reliability: Reliability | None


@dataclass(frozen=True)
class TypeLine:
    """Stored errors of one exception type over all services."""

    type: str
    errors: int
    services: int


@dataclass(frozen=True)
class PatternLine:
    """A pattern with its stored errors in the range."""

    pattern: ErrorPattern
    errors: int


@dataclass(frozen=True)
class CauseLine:
    """How many chains began with errors of one service and type, and how many services they
    crossed at most."""

    service: str
    type: str
    chains: int
    errors: int
    widest: int


@dataclass(frozen=True)
class Report:
    """The report of `within`; `before` is the range of the same length that precedes it."""

    within: TimeRange
    before: TimeRange
    errors: int
    errors_before: int
    services: list[ServiceLine]
    types: list[TypeLine]
    patterns: list[PatternLine]
    patterns_seen: int
    patterns_new: int
    causes: list[CauseLine]
    anomalies: int
    predictions: dict[str, int]
    releases: list[Release]

    @property
    def calls(self) -> int:
        return sum(line.figures.calls for line in self.services if line.figures)

    @property
    def failed_calls(self) -> int:
        return sum(line.figures.errors for line in self.services if line.figures)


def whole_minutes(within: TimeRange) -> TimeRange:
    """The range from the minute in which it begins to the end of that in which it ends."""
    until = within.until.replace(second=0, microsecond=0)
    return TimeRange(
        within.since.replace(second=0, microsecond=0),
        until if until == within.until else until + _MINUTE,
    )


def report_read(within: TimeRange) -> Report:
    """The report of a range, widened to whole minutes."""
    within = whole_minutes(within)
    counted = _counted(within)
    before = _errors_by_service(within.before())
    return Report(
        within=within,
        before=within.before(),
        errors=sum(counted.errors.values()),
        errors_before=sum(before.values()),
        services=_services(within, counted, before),
        types=_types(counted),
        patterns=_top_patterns(counted),
        patterns_seen=counted.patterns,
        patterns_new=counted.new,
        causes=_causes(within),
        anomalies=Anomaly.objects.filter(
            started_at__gte=within.since, started_at__lt=within.until
        ).count(),
        predictions=_predictions(within),
        releases=list(
            Release.objects.filter(
                first_seen__gte=within.since, first_seen__lt=within.until
            ).order_by("-first_seen")[:TOP]
        ),
    )


# Added up by the database, and once: of a hundred thousand patterns, hardly one is shown.
_COUNTED = """
WITH counted AS (
    SELECT pattern_id, service, sum(errors)::bigint AS errors FROM ({rows}) r
    GROUP BY pattern_id, service HAVING sum(errors) > 0
), told AS MATERIALIZED (
    SELECT pattern_id, counted.service, errors, type,
        first_seen >= %(since)s AND first_seen < %(until)s AS new
    FROM counted LEFT JOIN analytics_errorpattern pattern ON pattern.id = pattern_id
)
SELECT NULL, service, type, sum(errors)::bigint, count(type), count(*) FILTER (WHERE new)
FROM told GROUP BY service, type
UNION ALL
(SELECT pattern_id, service, type, errors, 1, 0 FROM told WHERE type IS NOT NULL
ORDER BY errors DESC, pattern_id LIMIT %(top)s)
"""


@dataclass(frozen=True)
class _Counted:
    """Stored errors by service and type, None where they are not grouped, with how many patterns
    they belong to and how many of those are new; and the patterns with most errors."""

    errors: dict[tuple[str, str | None], int]
    patterns: int
    new: int
    top: dict[UUID, int]


def _counted(within: TimeRange) -> _Counted:
    rows, parameters = figure_rows(
        "errorrollup", "service, pattern_id, errors", where="true", within=within
    )
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED.format(rows=rows), {**parameters, "top": TOP})
        found = cursor.fetchall()
    groups = [row for row in found if row[0] is None]
    return _Counted(
        errors={(row[1], row[2]): row[3] for row in groups},
        patterns=sum(row[4] for row in groups),
        new=sum(row[5] for row in groups),
        top={row[0]: row[3] for row in found if row[0] is not None},
    )


def _errors_by_service(within: TimeRange) -> dict[str, int]:
    rows, parameters = figure_rows("errorrollup", "service, errors", where="true", within=within)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT service, sum(errors)::bigint FROM ({rows}) r GROUP BY service", parameters
        )
        return dict(cursor.fetchall())


def _services(within: TimeRange, counted: _Counted, before: dict[str, int]) -> list[ServiceLine]:
    errors: dict[str, int] = {}
    for (service, _), count in counted.errors.items():
        errors[service] = errors.get(service, 0) + count
    figures = service_figures(within)
    checked = critical_services()
    windows = [Window("report", within.length)]
    availability = services_availability(checked, now=within.until, windows=windows)
    reliability = services_reliability(availability)
    lines = [
        ServiceLine(
            service=name,
            errors=errors.get(name, 0),
            before=before.get(name, 0),
            figures=figures.get(name),
            availability=availability[name][0].ratio if name in availability else None,
            reliability=reliability[name][0] if name in reliability else None,
        )
        for name in {*errors, *before, *figures, *checked}
    ]
    return sorted(lines, key=lambda line: (-line.errors, -line.before, line.service))


def _types(counted: _Counted) -> list[TypeLine]:
    errors: dict[str, int] = {}
    services: dict[str, set[str]] = {}
    for (service, type_), count in counted.errors.items():
        name = "(not grouped)" if type_ is None else type_
        errors[name] = errors.get(name, 0) + count
        services.setdefault(name, set()).add(service)
    lines = [TypeLine(name, count, len(services[name])) for name, count in errors.items()]
    return sorted(lines, key=lambda line: (-line.errors, line.type))[:TOP]


def _top_patterns(counted: _Counted) -> list[PatternLine]:
    rows = ErrorPattern.objects.in_bulk(counted.top)
    lines = [PatternLine(rows[each], count) for each, count in counted.top.items() if each in rows]
    return sorted(lines, key=lambda line: (-line.errors, line.pattern.id))


def _causes(within: TimeRange) -> list[CauseLine]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT root_cause_service, root_cause_type, count(*), sum(error_count)::bigint, "
            "max(cardinality(services)) FROM analytics_correlationchain "
            "WHERE started_at >= %s AND started_at < %s "
            "GROUP BY root_cause_service, root_cause_type ORDER BY 3 DESC, 1, 2 LIMIT %s",
            [within.since, within.until, TOP],
        )
        return [CauseLine(*row) for row in cursor.fetchall()]


def _predictions(within: TimeRange) -> dict[str, int]:
    made = Prediction.objects.filter(made_at__gte=within.since, made_at__lt=within.until)
    counts: dict[str, int] = {}
    for outcome in made.values_list("outcome", flat=True):
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def error_times(within: TimeRange, step: timedelta) -> list[tuple[datetime, int]]:
    """Stored errors in each step of a report's range; steps without errors are left out."""
    rows, parameters = figure_rows("errorrollup", "errors", where="true", within=within)
    named: dict[str, Any] = {**parameters, "step": str(step)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin(%(step)s::interval, at, 'epoch'::timestamptz), sum(errors)::bigint "
            f"FROM ({rows}) r GROUP BY 1 ORDER BY 1",
            named,
        )
        return cursor.fetchall()

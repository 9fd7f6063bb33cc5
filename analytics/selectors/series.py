"""Figures over time, by name: what trends, forecasts, anomalies and predictions read.

Long steps are read from the hours, and from the minutes where those are not summed up yet, so that
the cost goes by the number of steps and not by the number of events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection

from analytics.domain.histogram import BUCKETS, quantile_ns
from analytics.selectors.error_totals import error_rows
from analytics.selectors.rollups import step_for
from analytics.selectors.sources import figure_rows, whole_hours
from health.models import Service
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange


@dataclass(frozen=True)
class Metric:
    """A figure that every service has: its unit as charts show it, and whether more is worse."""

    name: str
    title: str
    unit: str
    more_is_worse: bool = True


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("error_rate", "Errors per call", "1"),
        Metric("errors", "Stored errors", "errors"),
        Metric("traffic", "Calls per second", "1/s", more_is_worse=False),
        Metric("latency_p50", "Median latency", "ms"),
        Metric("latency_p95", "95th percentile of latency", "ms"),
        Metric("latency_p99", "99th percentile of latency", "ms"),
    )
}


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A step that begins at `at`: its value, None without data, and out of how many calls (or
    errors) it was made."""

    at: datetime
    value: float | None
    count: int


@dataclass(frozen=True)
class Series:
    """All steps of a range, oldest first, those without data included."""

    service: str
    operation: str
    metric: Metric
    step: timedelta
    points: list[SeriesPoint]

    @property
    def values(self) -> list[float | None]:
        return [point.value for point in self.points]


def metric_named(name: str) -> Metric:
    """The metric of a name; raises `Invalid` that lists those there are."""
    try:
        return METRICS[name]
    except KeyError:
        known = ", ".join(METRICS)
        raise Invalid.field("query.metric", f"There is no {name[:40]!r}; choose {known}.") from None


def steps(within: TimeRange, step: timedelta) -> list[datetime]:
    """The starts of the steps that a range touches, aligned to the epoch."""
    width = step.total_seconds()
    first = int(within.since.timestamp() // width)
    last = int(-(-within.until.timestamp() // width))
    return [datetime.fromtimestamp(index * width, UTC) for index in range(first, last)]


def series_read(
    metric: str,
    within: TimeRange,
    *,
    now: datetime,
    service: str = "",
    operation: str = "",
    step: timedelta | None = None,
) -> Series:
    """A metric of one service (of all, where none is named) or one of its operations."""
    kind = metric_named(metric)
    step = step or step_for(within)
    at = steps(within, step)
    whole = TimeRange(at[0], at[-1] + step)
    if metric == "errors":
        found = _errors(service, operation, whole, step)
    else:
        latencies = metric.startswith("latency")
        found = _calls(service, operation, whole, step, latencies=latencies)
    value = _VALUES[metric]
    points = []
    for moment in at:
        row = found.get(moment)
        # The running step is not over: a rate is over the part that is.
        seconds = max(1.0, (min(now, moment + step) - moment).total_seconds())
        points.append(
            SeriesPoint(moment, value(row, seconds), row[0])
            if row
            else SeriesPoint(moment, 0.0 if metric == "errors" and found else None, 0)
        )
    return Series(service, operation, kind, step, points)


def active_services(within: TimeRange) -> list[str]:
    """Services with calls or errors in a range, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT service FROM analytics_callrollup "
            "WHERE operation = '' AND minute >= %(since)s AND minute < %(until)s "
            "UNION SELECT service FROM analytics_errorrollup "
            "WHERE minute >= %(since)s AND minute < %(until)s ORDER BY 1",
            {"since": within.since, "until": within.until},
        )
        return [row[0] for row in cursor.fetchall()]


def known_longest(services: Sequence[str], most: int) -> list[str]:
    """Of some services, those that the catalogue knows longest, by name: where there is room for
    `most` only, nobody takes the place of another by appearing under a name that sorts before it."""
    known = Service.objects.filter(name__in=services).order_by("first_seen", "name")
    names = list(known.values_list("name", flat=True)[:most])
    rest = sorted(set(services).difference(names))
    return sorted([*names, *rest[: most - len(names)]])


# --- Rows per step -------------------------------------------------------------------------------

_Row = Sequence[Any]
_SUM_BUCKETS = "ARRAY[" + ", ".join(f"sum(buckets[{i}])" for i in range(1, BUCKETS + 1)) + "]"


def _calls(
    service: str, operation: str, within: TimeRange, step: timedelta, *, latencies: bool
) -> dict[datetime, _Row]:
    """Calls, errors and, with `latencies`, the longest duration and the buckets of each step."""
    minutes_service = "(%(service)s = '' OR service = %(service)s)"
    source, parameters = _rows(
        "callrollup", "calls, errors, duration_max_ns, buckets" if latencies else "calls, errors",
        f"{minutes_service} AND operation = %(operation)s",
        # For all services together the hours hold rows of their own.
        "service = %(service)s AND operation = %(operation)s"
        if not operation or service
        else "operation = %(operation)s",
        within, step,
    )  # fmt: skip
    durations = f", max(duration_max_ns)::bigint, {_SUM_BUCKETS}::bigint[]" if latencies else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin(%(step)s::interval, at, 'epoch'::timestamptz), sum(calls)::bigint, "
            f"sum(errors)::bigint{durations} FROM ({source}) AS figures GROUP BY 1",
            {**parameters, "step": str(step), "service": service, "operation": operation},
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


def _errors(
    service: str, operation: str, within: TimeRange, step: timedelta
) -> dict[datetime, _Row]:
    if operation:
        raise Invalid.field("query.metric", "Stored errors are counted by service, not operation.")
    source, parameters = error_rows(within, hourly=whole_hours(step))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin(%(step)s::interval, at, 'epoch'::timestamptz), sum(errors)::bigint "
            f"FROM ({source}) AS figures GROUP BY 1",
            {**parameters, "step": str(step), "service": service},
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


def _rows(
    table: str, columns: str, where: str, where_hours: str, within: TimeRange, step: timedelta
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    if whole_hours(step):
        return figure_rows(table, columns, where=where, where_hours=where_hours, within=within)
    return (
        f"SELECT minute AS at, {columns} FROM analytics_{table} "
        f"WHERE {where} AND minute >= %(since)s AND minute < %(until)s",
        {"since": within.since, "until": within.until},
    )


# --- Values of a row -----------------------------------------------------------------------------


def _ratio(row: _Row | None, seconds: float) -> float | None:
    return row[1] / row[0] if row and row[0] else None


def _count(row: _Row | None, seconds: float) -> float | None:
    return float(row[0]) if row else None


def _rate(row: _Row | None, seconds: float) -> float | None:
    return row[0] / seconds if row else None


def _quantile(q: float) -> Any:
    def value(row: _Row | None, seconds: float) -> float | None:
        found = quantile_ns(row[3], q, row[2]) if row and row[0] else None
        return None if found is None else found / 1e6

    return value


_VALUES: Final = {
    "error_rate": _ratio,
    "errors": _count,
    "traffic": _rate,
    "latency_p50": _quantile(0.5),
    "latency_p95": _quantile(0.95),
    "latency_p99": _quantile(0.99),
}

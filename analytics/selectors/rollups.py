"""Reads of the per-minute figures: what screens, metrics and the map show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from analytics.choices import EdgeVia
from analytics.domain.histogram import BUCKETS, quantile_ns
from analytics.models import PeerAlias
from analytics.selectors.pattern_families import FAMILY
from analytics.selectors.sources import figure_rows
from resilience_site.core.timerange import TimeRange

# PostgreSQL arrays count from 1. Summing each element by its subscript is several times faster
# than unnesting, as each row is read once.
_SUM_BUCKETS = "ARRAY[" + ", ".join(f"sum(buckets[{i}])" for i in range(1, BUCKETS + 1)) + "]"
_FIGURES = (
    "sum(calls)::bigint, sum(errors)::bigint, sum(duration_ns)::bigint, "
    f"max(duration_max_ns)::bigint, {_SUM_BUCKETS}::bigint[]"
)
_COLUMNS = "calls, errors, duration_ns, duration_max_ns, buckets"
_POINTS_WANTED = 120
_STEPS = [timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30, 60, 180, 360, 720, 1440)]


@dataclass(frozen=True)
class Figures:
    """Calls of something in a window of `seconds`; durations in milliseconds, None without calls."""

    seconds: float
    calls: int
    errors: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds if self.seconds else 0.0

    @property
    def error_ratio(self) -> float | None:
        """Errors per call, 0..1; None without calls."""
        return self.errors / self.calls if self.calls else None


@dataclass(frozen=True)
class Point:
    """The figures of one step of a series, which begins at `at`."""

    at: datetime
    figures: Figures


@dataclass(frozen=True)
class Edge:
    """Calls from one service to another, or to a peer that sends no telemetry itself."""

    caller: str
    callee: str
    figures: Figures


def _figures(seconds: float, row: Sequence[object]) -> Figures:
    calls, errors, duration_ns, max_ns, buckets = row
    if not calls:
        return Figures(seconds, 0, 0, None, None, None, None, None)
    assert isinstance(calls, int)
    assert isinstance(errors, int)
    assert isinstance(duration_ns, int)
    assert isinstance(max_ns, int)
    assert isinstance(buckets, list)

    def quantile(q: float) -> float | None:
        value = quantile_ns(buckets, q, max_ns)
        return None if value is None else value / 1e6

    return Figures(
        seconds, calls, errors, duration_ns / calls / 1e6,
        quantile(0.5), quantile(0.95), quantile(0.99), max_ns / 1e6,
    )  # fmt: skip


def step_for(within: TimeRange, points: int = _POINTS_WANTED) -> timedelta:
    """The smallest step that draws a range with about `points` points."""
    for step in _STEPS:
        if within.length / step <= points:
            return step
    return _STEPS[-1]


def _minutes(within: TimeRange) -> TimeRange:
    # A minute belongs to a range when it begins in it; the running minute always does.
    return TimeRange(within.since.replace(second=0, microsecond=0), within.until)


def service_figures(within: TimeRange) -> dict[str, Figures]:
    """The entry calls of each service in a time range, by service name."""
    # The hours' rows without a service are of all of them together.
    rows, parameters = figure_rows(
        "callrollup",
        f"service, {_COLUMNS}",
        where="operation = ''",
        where_hours="operation = '' AND service <> ''",
        within=_minutes(within),
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT service, {_FIGURES} FROM ({rows}) r GROUP BY service", parameters)
        seconds = within.length.total_seconds()
        return {row[0]: _figures(seconds, row[1:]) for row in cursor.fetchall()}


def operation_figures(service: str, within: TimeRange, limit: int = 100) -> dict[str, Figures]:
    """The operations of one service in a time range, most calls first."""
    rows, parameters = figure_rows(
        "callrollup",
        f"operation, {_COLUMNS}",
        where="service = %(service)s AND operation <> ''",
        within=_minutes(within),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT operation, {_FIGURES} FROM ({rows}) r "
            "GROUP BY operation ORDER BY sum(calls) DESC, operation LIMIT %(limit)s",
            parameters | {"service": service, "limit": limit},
        )
        seconds = within.length.total_seconds()
        return {row[0]: _figures(seconds, row[1:]) for row in cursor.fetchall()}


def call_series(within: TimeRange, service: str = "", step: timedelta | None = None) -> list[Point]:
    """Entry calls over time, of one service or of all. Steps without calls are left out: a chart
    draws a gap there."""
    step = step or step_for(within)
    minutes = _minutes(within)
    since, until = minutes.since, minutes.until
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT date_bin(%s::interval, minute, 'epoch'::timestamptz) AS at, {_FIGURES} "
            "FROM analytics_callrollup WHERE operation = '' AND (%s = '' OR service = %s) "
            "AND minute >= %s AND minute < %s GROUP BY at ORDER BY at",
            [str(step), service, service, since, until],
        )
        seconds = step.total_seconds()
        return [Point(row[0], _figures(seconds, row[1:])) for row in cursor.fetchall()]


def service_trends(within: TimeRange, bins: int = 24) -> dict[str, list[float | None]]:
    """Errors per call of each service in `bins` equal parts of a range; None without calls."""
    minutes = _minutes(within)
    since, until = minutes.since, minutes.until
    width = within.length / bins
    trends: dict[str, list[float | None]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT service, date_bin(%s::interval, minute, %s::timestamptz) AS at, "
            "sum(calls)::float, sum(errors)::float FROM analytics_callrollup "
            "WHERE operation = '' AND minute >= %s AND minute < %s GROUP BY service, at",
            [str(width), since, since, until],
        )
        for service, at, calls, errors in cursor.fetchall():
            trend = trends.setdefault(service, [None] * bins)
            trend[min(bins - 1, int((at - since) / width))] = errors / calls if calls else None
    return trends


def error_counts(
    within: TimeRange,
    *,
    service: str = "",
    pattern: UUID | None = None,
    step: timedelta | None = None,
) -> list[tuple[datetime, int]]:
    """Stored errors over time, spans or not; steps without errors are left out."""
    minutes = _minutes(within)
    since, until = minutes.since, minutes.until
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin(%s::interval, minute, 'epoch'::timestamptz) AS at, sum(errors)::bigint "
            "FROM analytics_errorrollup WHERE (%s = '' OR service = %s) "
            f"AND (%s::uuid IS NULL OR pattern_id = ANY({FAMILY})) "
            "AND minute >= %s AND minute < %s GROUP BY at ORDER BY at",
            [
                str(step or step_for(within)),
                *(service, service, pattern, pattern, pattern),
                *(since, until),
            ],
        )
        return cursor.fetchall()


def error_totals(within: TimeRange) -> dict[str, int]:
    """Stored errors per service in a time range."""
    minutes = _minutes(within)
    since, until = minutes.since, minutes.until
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT service, sum(errors)::bigint FROM analytics_errorrollup "
            "WHERE minute >= %s AND minute < %s GROUP BY service",
            [since, until],
        )
        return dict(cursor.fetchall())


def pattern_counts(ids: Iterable[UUID], within: TimeRange, bins: int = 24) -> dict[UUID, list[int]]:
    """Errors of each pattern and its members in `bins` equal parts of a range, oldest first, zeros
    included."""
    wanted = list(ids)
    counts = {pattern_id: [0] * bins for pattern_id in wanted}
    if not wanted:
        return counts
    minutes = _minutes(within)
    since, until = minutes.since, minutes.until
    width = within.length / bins
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key, minute, errors FROM ("
            "SELECT id AS key, id AS member FROM unnest(%s::uuid[]) AS asked (id) UNION ALL "
            "SELECT merged_into, id FROM analytics_errorpattern WHERE merged_into = ANY(%s)"
            ") AS family JOIN analytics_errorrollup ON pattern_id = member "
            "WHERE minute >= %s AND minute < %s",
            [wanted, wanted, since, until],
        )
        for pattern_id, minute, errors in cursor.fetchall():
            index = int(max(timedelta(), minute - within.since) / width)
            counts[pattern_id][min(bins - 1, index)] += errors
    return counts


def edge_list(within: TimeRange) -> list[Edge]:
    """The service map's edges in a time range, busiest first.

    A call seen at both ends is counted once: where a caller's peer is known to be a service, the
    linked spans speak for it.
    """
    rows, parameters = figure_rows(
        "edgerollup", f"caller, callee, via, {_COLUMNS}", where="true", within=_minutes(within)
    )
    aliases = {
        (caller, peer): service
        for caller, peer, service in PeerAlias.objects.values_list("caller", "peer", "service")
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT caller, callee, via, {_FIGURES} FROM ({rows}) r "
            "GROUP BY caller, callee, via ORDER BY sum(calls) DESC, caller, callee",
            parameters,
        )
        found = cursor.fetchall()
    seconds = within.length.total_seconds()
    linked = {(row[0], row[1]) for row in found if row[2] == EdgeVia.LINK}
    return [
        Edge(caller, callee, _figures(seconds, rest))
        for caller, callee, via, *rest in found
        if via == EdgeVia.LINK
        or not ({(caller, callee), (caller, aliases.get((caller, callee), ""))} & linked)
    ]

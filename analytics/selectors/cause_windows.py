"""What the store knows of a stretch of time, as the ranking of causes reads it.

Whatever the traffic, a bounded number of traces is read: some of each of many moments spread
evenly over the window, with what was logged in them. Figures are read per minute, those of a long
window in longer steps: of a resource the highest minute of each, of calls the mean minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from analytics.domain.causes.events import event_of
from analytics.domain.causes.incident import Call, Line, Points, Window
from analytics.domain.causes.series import RESOURCE_NAMES
from analytics.selectors.reading import limited_time
from analytics.selectors.rollups import edge_list
from resilience_site.core.timerange import TimeRange

MOST_TRACES = 300
MOST_SPANS = 40_000
MOST_LINES = 40_000
MOST_SERIES = 500
# Patterns of stored errors, those with the most errors in the incident.
MOST_FAILURES = 2_000
# Of one series; a window of up to six hours is read by the minute.
MOST_POINTS = 360
_MOMENTS = 24
_SPANS_A_MOMENT = 1_000
_BODY = 300
_STATUS_ERROR = 2
_FIRST_ERROR = 17
# Spans and records of one trace lie within this.
_AROUND = timedelta(minutes=15)
_MINUTE = timedelta(minutes=1)
_TIMEOUT_MS = 15_000

_CALLS = """
SELECT trace_id, span_id, parent_span_id, service, operation,
    (extract(epoch FROM started_at) * 1000000)::bigint * 1000, duration_ns, status, instance
FROM analytics_span
WHERE trace_id = ANY(%(traces)s) AND started_at >= %(since)s AND started_at < %(until)s
LIMIT %(limit)s
"""
_LINES = """
SELECT service, severity, trace_id, span_id, left(body, %(body)s)
FROM analytics_logrecord
WHERE trace_id = ANY(%(traces)s) AND time >= %(since)s AND time < %(until)s
LIMIT %(limit)s
"""
_SERVICE_FIGURES = """
SELECT service, extract(epoch FROM date_bin(%(step)s, minute, %(since)s))::float8,
    sum(calls)::float8 / count(DISTINCT minute), sum(errors)::float8 / sum(calls),
    sum(duration_ns)::float8 / sum(calls) / 1e9
FROM analytics_callrollup
WHERE operation = '' AND minute >= %(since)s AND minute < %(until)s
GROUP BY 1, 2 HAVING sum(calls) > 0
"""
_RESOURCES = """
SELECT service, name, extract(epoch FROM date_bin(%(step)s, minute, %(since)s))::float8, max(value)
FROM (SELECT s.service, s.name, r.minute,
    sum(coalesce(r.increase, r.total / NULLIF(r.points, 0), r.last)) AS value
FROM (SELECT id, service, name FROM analytics_metricseries WHERE name ~* %(names)s
    ORDER BY service, name, id LIMIT %(limit)s) AS s
JOIN analytics_metricrollup AS r ON r.series_id = s.id
WHERE r.minute >= %(since)s AND r.minute < %(until)s
GROUP BY s.service, s.name, r.minute) AS minutes GROUP BY 1, 2, 3 ORDER BY 3
"""
# The patterns are added up before their words are looked up: these are long, and the same again.
# Failures go by their words, so patterns of the same words as the chosen ones are read with them.
_FAILURES = """
SELECT counted.service, p.type || CASE WHEN p.template = '' THEN '' ELSE ': ' || p.template END,
    counted.errors, p.id
FROM (
    SELECT r.service, coalesce(own.merged_into, own.id) AS shown, sum(r.errors)::bigint AS errors
    FROM analytics_errorrollup AS r
    JOIN analytics_errorpattern AS own ON own.id = r.pattern_id
    WHERE r.minute >= %(since)s AND r.minute < %(until)s
        AND (%(shown)s::uuid[] IS NULL OR coalesce(own.merged_into, own.id) IN (
            SELECT alike.id FROM analytics_errorpattern AS chosen
            JOIN analytics_errorpattern AS alike USING (service, type, template)
            WHERE chosen.id = ANY(%(shown)s)
        ))
    GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT %(limit)s
) AS counted JOIN analytics_errorpattern AS p ON p.id = counted.shown
"""


@dataclass(frozen=True)
class Observed:
    """A window, who called whom in it, which instances of services spoke, and what was read."""

    window: Window
    edges: frozenset[tuple[str, str]]
    instances: dict[str, dict[str, float]]
    traces: int
    folded: bool
    patterns: tuple[UUID, ...] = ()
    failures_cut: bool = False


def window_read(within: TimeRange, patterns: Sequence[UUID] | None = None) -> Observed:
    """What was observed in a range; `instances` by service, each with when it was first seen in
    the traces that were read. Stored errors are those of the given patterns, else of those with the
    most errors, which `patterns` of the answer names. Raises `Invalid` where reading takes too
    long."""
    with limited_time(_TIMEOUT_MS):
        return _window_read(within, patterns)


def _window_read(within: TimeRange, patterns: Sequence[UUID] | None) -> Observed:
    traces, more = _traces(within)
    around = {"traces": traces, "since": within.since - _AROUND, "until": within.until + _AROUND}
    calls, instances, cut = _calls(around)
    lines = [
        Line(service, severity >= _FIRST_ERROR, trace_id, span_id, event_of(body))
        for service, severity, trace_id, span_id, body in _rows(
            _LINES, {**around, "limit": MOST_LINES, "body": _BODY}
        )
    ]
    step = max(1, -(-within.length // (MOST_POINTS * _MINUTE))) * _MINUTE
    whole = {"since": _minute(within.since), "until": within.until, "step": step}
    shown = None if patterns is None else list(patterns)
    stored = _rows(_FAILURES, {**whole, "shown": shown, "limit": MOST_FAILURES + 1})
    failures: dict[tuple[str, str], int] = defaultdict(int)
    for service, what, errors, _ in stored[:MOST_FAILURES]:
        failures[service, what] += errors
    return Observed(
        Window(calls, lines, _series(whole), failures, within.length.total_seconds()),
        frozenset((edge.caller, edge.callee) for edge in edge_list(within)),
        instances,
        len(traces),
        more or cut or len(lines) == MOST_LINES,
        tuple(pattern for *_, pattern in stored[:MOST_FAILURES]),
        len(stored) > MOST_FAILURES,
    )


def _rows(statement: str, parameters: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def _traces(within: TimeRange) -> tuple[list[str], bool]:
    """Ids of traces from moments spread over the range, and whether there are more."""
    width = within.length / _MOMENTS
    begins = [within.since + number * width for number in range(_MOMENTS)]
    rows = _rows(
        "SELECT moment.at, found.trace_id FROM unnest(%(begins)s::timestamptz[]) AS moment(at), "
        "LATERAL (SELECT DISTINCT trace_id FROM (SELECT trace_id FROM analytics_span "
        "WHERE started_at >= moment.at AND started_at < moment.at + %(width)s::interval "
        "ORDER BY started_at LIMIT %(spans)s) AS spans) AS found ORDER BY 1, 2",
        {"begins": begins, "width": width, "spans": _SPANS_A_MOMENT},
    )
    by_moment: dict[datetime, list[str]] = defaultdict(list)
    for at, trace_id in rows:
        by_moment[at].append(trace_id)
    # One of each moment in turn, so that what is left out is left out everywhere alike.
    chosen: dict[str, None] = {}
    known = {trace_id for _, trace_id in rows}
    rank = 0
    while len(chosen) < min(MOST_TRACES, len(known)):
        for ids in by_moment.values():
            if rank < len(ids) and len(chosen) < MOST_TRACES:
                chosen[ids[rank]] = None
        rank += 1
    return list(chosen), len(known) > len(chosen)


def _calls(around: dict[str, Any]) -> tuple[list[Call], dict[str, dict[str, float]], bool]:
    rows = _rows(_CALLS, {**around, "limit": MOST_SPANS})
    instances: dict[str, dict[str, float]] = defaultdict(dict)
    calls = []
    for trace, span, parent, service, operation, start, duration, status, instance in rows:
        failed = status == _STATUS_ERROR
        calls.append(Call(trace, span, parent, service, operation, start, start + duration, failed))
        if instance:
            seen = instances[service].get(instance, start / 1e9)
            instances[service][instance] = min(seen, start / 1e9)
    return calls, dict(instances), len(rows) == MOST_SPANS


def _series(whole: dict[str, Any]) -> dict[tuple[str, str], Points]:
    series: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for service, at, calls, errors, seconds in sorted(_rows(_SERVICE_FIGURES, whole)):
        series[service, "requests"].append((at, calls))
        series[service, "error_rate"].append((at, errors))
        series[service, "mean_latency"].append((at, seconds))
    resources: Sequence[Any] = _rows(
        _RESOURCES, {**whole, "names": RESOURCE_NAMES, "limit": MOST_SERIES}
    )
    for service, name, at, value in resources:
        if value is not None:
            series[service, name].append((at, value))
    return dict(series)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)

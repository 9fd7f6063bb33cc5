"""Figures per minute of many services at once, as the watch over anomalies takes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from analytics.domain.anomalies.watching import MINUTE, Kind, Sample
from analytics.domain.histogram import quantile_ns
from analytics.selectors.series import METRICS
from resilience_site.core.timerange import TimeRange

# Of fewer calls, the 95th percentile is the slowest one's chance.
_LEAST_CALLS: Final = 5
# Gauges of one service that are watched, in the order of their names.
GAUGES_EACH: Final = 10
# The metrics of calls and errors that are watched, and what sort of figure each is.
KINDS: Final = {
    "error_rate": Kind(ratio=True, less_is_news=False),
    "traffic": Kind(),
    "latency_p95": Kind(less_is_news=False),
    "errors": Kind(less_is_news=False),
}
_GAUGE: Final = Kind()
# How full or busy something is: by OpenTelemetry's naming a share of 1, or by its unit.
_SATURATION: Final = (
    "kind IN ('gauge', 'sum') AND NOT monotonic AND NOT overflow "
    "AND (name LIKE '%%.utilization' OR (kind = 'gauge' AND unit IN ('1', '%%')))"
)

_CALLS: Final = """
SELECT service, minute, sum(calls)::bigint, sum(errors)::bigint, max(duration_max_ns),
    array_agg(buckets::text)
FROM analytics_callrollup
WHERE operation = '' AND service = ANY(%(services)s)
    AND minute >= %(since)s AND minute < %(until)s
GROUP BY service, minute
"""
_ERRORS: Final = """
SELECT service, minute, sum(errors)::bigint FROM analytics_errorrollup
WHERE service = ANY(%(services)s) AND minute >= %(since)s AND minute < %(until)s
GROUP BY service, minute
"""
_GAUGES: Final = f"""
WITH chosen AS (
    SELECT id, service, name, attributes, unit, row_number() OVER (
        PARTITION BY service ORDER BY name, id) AS number
    FROM analytics_metricseries
    WHERE service = ANY(%(services)s) AND last_seen >= %(since)s::date - 1 AND {_SATURATION}
)
SELECT chosen.service, chosen.name, chosen.attributes::text, chosen.unit, figures.minute,
    figures.total / nullif(figures.points, 0)
FROM chosen JOIN analytics_metricrollup AS figures ON figures.series_id = chosen.id
WHERE number <= %(gauges)s AND figures.minute >= %(since)s AND figures.minute < %(until)s
ORDER BY number
"""
# Minutes without telemetry of any service: the site received nothing, which says nothing of one.
_HEARD: Final = """
SELECT DISTINCT minute FROM analytics_callrollup WHERE operation = ''
    AND minute >= %(since)s AND minute < %(until)s
UNION
SELECT DISTINCT minute FROM analytics_errorrollup
WHERE minute >= %(since)s AND minute < %(until)s
"""


@dataclass(frozen=True)
class MinuteSeries:
    """A series of a service in the minutes of a range, those without a value included.

    `first` is the first minute of them, in seconds, in which it (for calls and errors: the service)
    was heard of at all; None without any.
    """

    service: str
    metric: str
    unit: str
    kind: Kind
    samples: list[Sample]
    first: int | None


def minute_figures(services: Sequence[str], within: TimeRange) -> list[MinuteSeries]:
    """All watched series of some services in whole minutes, by service and metric.

    A minute in which a service had no calls or errors counts as 0 of them, if any other service's
    were received in it.
    """
    parameters: dict[str, Any] = {
        "services": list(services), "since": within.since, "until": within.until,
        "gauges": GAUGES_EACH,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_HEARD, parameters)
        heard = {_seconds(row[0]) for row in cursor.fetchall()}
        cursor.execute(_CALLS, parameters)
        calls = _by_service(cursor.fetchall())
        cursor.execute(_ERRORS, parameters)
        errors = _by_service(cursor.fetchall())
        cursor.execute(_GAUGES, parameters)
        gauges = cursor.fetchall()
    minutes = range(_seconds(within.since), _seconds(within.until), MINUTE)
    found = []
    for service in services:
        of_calls, of_errors = calls.get(service, {}), errors.get(service, {})
        first = min([*of_calls, *of_errors], default=None)
        for metric, sample in _SAMPLES.items():
            samples = [
                sample(at, of_calls.get(at), of_errors.get(at)) if at in heard else Sample(at, None)
                for at in minutes
            ]
            kind = KINDS[metric]
            found.append(MinuteSeries(service, metric, METRICS[metric].unit, kind, samples, first))
    return sorted([*found, *_gauges(gauges, minutes)], key=lambda each: (each.service, each.metric))


def silent(service: str, metric: str, unit: str, within: TimeRange) -> MinuteSeries:
    """A series of which nothing was received in a range."""
    minutes = range(_seconds(within.since), _seconds(within.until), MINUTE)
    kind = KINDS.get(metric, _GAUGE)
    return MinuteSeries(service, metric, unit, kind, [Sample(at, None) for at in minutes], None)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _by_service(rows: list[Any]) -> dict[str, dict[int, Any]]:
    found: dict[str, dict[int, Any]] = defaultdict(dict)
    for service, minute, *figures in rows:
        found[service][_seconds(minute)] = figures
    return found


def _gauges(rows: list[Any], minutes: range) -> list[MinuteSeries]:
    values: dict[tuple[str, str], dict[int, float | None]] = defaultdict(dict)
    units: dict[tuple[str, str], str] = {}
    for service, name, attributes, unit, minute, value in rows:
        key = service, gauge_name(name, attributes)
        # The same gauge of another scope or unit is another series to the store; here the first
        # one stands for all of them, as two states under one name could not be kept.
        if units.setdefault(key, unit) == unit:
            values[key].setdefault(_seconds(minute), value)
    return [
        MinuteSeries(
            service, name, units[service, name], _GAUGE,
            [Sample(at, of.get(at)) for at in minutes], min(of),
        )
        for (service, name), of in values.items()
    ]  # fmt: skip


def gauge_name(name: str, attributes: str) -> str:
    """A gauge by its metric and, where it has any, its attributes; never the name of a metric of
    calls or errors."""
    told = name if attributes in ("{}", "") else f"{name} {attributes}"[:300]
    return f"{told} (gauge)" if told in KINDS else told


# --- Samples of a minute -------------------------------------------------------------------------


def _error_rate(at: int, calls: Any, errors: Any) -> Sample:
    return Sample(at, calls[1] / calls[0], calls[0]) if calls and calls[0] else Sample(at, None)


def _traffic(at: int, calls: Any, errors: Any) -> Sample:
    return Sample(at, (calls[0] if calls else 0) / MINUTE, MINUTE)


def _latency(at: int, calls: Any, errors: Any) -> Sample:
    if not calls or calls[0] < _LEAST_CALLS:
        return Sample(at, None)
    kinds = [[int(count) for count in text[1:-1].split(",")] for text in calls[3]]
    found = quantile_ns([sum(column) for column in zip(*kinds, strict=True)], 0.95, calls[2])
    return Sample(at, None if found is None else found / 1e6)


def _errors(at: int, calls: Any, errors: Any) -> Sample:
    return Sample(at, float(errors[0] if errors else 0), 1)


_SAMPLES: Final = {
    "error_rate": _error_rate,
    "traffic": _traffic,
    "latency_p95": _latency,
    "errors": _errors,
}

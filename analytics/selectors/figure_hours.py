"""How far errors reach and how full resources are, over any range: from the hours where those are
summed up, from chains and gauges where they are not yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from analytics.models.partitions import CHAINS, METRIC_HOURS, whole_since
from analytics.selectors.resources import saturation_series
from analytics.selectors.sources import whole_hours
from resilience_site.core.partitions import PartitionedTable
from resilience_site.core.timerange import TimeRange

# A value and out of how many it was made, by the start of its step.
_Found = dict[datetime, tuple[float | None, int]]

_DAY: Final = timedelta(days=1)
# The newest hour and the one before may lack something.
_SETTLED: Final = (
    "SELECT max(hour) - interval '1 hour' FROM analytics_figurehour "
    "WHERE metric = %s AND service = ''"
)
_RADIUS: Final = """
SELECT date_bin(%(step)s::interval, at, 'epoch'::timestamptz), sum(crossed) / sum(chains),
    sum(chains)::bigint
FROM (
    SELECT hour AS at, value AS crossed, count AS chains FROM analytics_figurehour
    WHERE metric = 'impact_radius' AND service = %(service)s
        AND hour >= %(since)s AND hour < %(settled)s
    UNION ALL
    SELECT started_at, cardinality(services)::float8, 1 FROM analytics_correlationchain
    WHERE started_at >= %(settled)s AND started_at < %(until)s
        -- A chain is kept under the day on which it was seen; late ones have a day's grace.
        AND opened_on >= %(settled)s::date - 1
        AND (%(service)s = '' OR services @> ARRAY[%(service)s])
) AS figures GROUP BY 1
"""
_FULLEST: Final = """
SELECT date_bin(%(step)s::interval, hour, 'epoch'::timestamptz), max(value), max(count)
FROM analytics_figurehour
WHERE metric = 'saturation' AND service = %(service)s
    AND hour >= %(since)s AND hour < %(settled)s
GROUP BY 1
"""


def radius_by_step(at: Sequence[datetime], step: timedelta, service: str, now: datetime) -> _Found:
    """How many services the chains through a service (all chains, where none is named) that began
    in each step crossed, on average."""
    within = TimeRange(at[0], at[-1] + step)
    settled = _settled("impact_radius", CHAINS, within, step, now)
    return _read(_RADIUS, within, step, service, settled)


def saturation_by_step(
    at: Sequence[datetime], step: timedelta, service: str, now: datetime
) -> _Found:
    """The share of the fullest resource in each step, and of how many resources it is."""
    within = TimeRange(at[0], at[-1] + step)
    settled = _settled("saturation", METRIC_HOURS, within, step, now)
    found: _Found = {}
    if settled > within.since:
        found |= _read(_FULLEST, within, step, service, settled)
    if settled < within.until:
        # A limit is sent less often than it holds.
        since = within.since if settled == within.since else settled - _DAY
        rest = saturation_series(TimeRange(since, within.until), step, service=service)
        found |= {moment: value for moment, value in rest.items() if moment >= settled}
    return found


def _settled(
    metric: str, source: PartitionedTable, within: TimeRange, step: timedelta, now: datetime
) -> datetime:
    """The end of the last step of a range of which the hours say all that is known."""
    if not whole_hours(step):
        return within.since
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED, [metric])
        found = cursor.fetchone()[0] or within.since
    # What is past its retention is told by the hours alone.
    found = max(found, whole_since(source, now))
    steps = (found - within.since) // step
    return min(within.until, within.since + max(0, steps) * step)


def _read(
    query: str, within: TimeRange, step: timedelta, service: str, settled: datetime
) -> _Found:  # fmt: skip
    values: dict[str, Any] = {
        "step": str(step), "service": service, "since": within.since, "until": within.until,
        "settled": settled,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return {moment: (value, count) for moment, value, count in cursor.fetchall()}

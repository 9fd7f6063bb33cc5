"""Summing up hours of what trends tell beside calls: how far errors reach, how full resources are.

Chains and the hours of metrics go with the errors; what a quarter of a year is drawn from stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from django.db import connection, transaction

from analytics.models import FigureHour
from analytics.models.partitions import CHAINS, FIGURE_HOURS, METRIC_HOURS, whole_since
from analytics.selectors.resources import Level, resource_levels, resources_of
from analytics.selectors.sources import HOUR
from resilience_site.core import partitions
from resilience_site.core.timerange import TimeRange

IMPACT_RADIUS: Final = "impact_radius"
SATURATION: Final = "saturation"

# A batch may have been stored, but not committed, while the last run was reading.
_OVERLAP: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_LOCK: Final = 0x66696775

# The newest row of all services together, which no hour with figures is without.
_LAST_RUN: Final = (
    "SELECT max(changed_at) FROM analytics_figurehour WHERE metric = %s AND service = ''"
)
# A chain that changed may have begun later before, or have taken in others: then in an hour up to
# its end. Where a better report took the place of an error, it may have begun a moment earlier.
_CHANGED: Final = """
SELECT DISTINCT hour FROM analytics_correlationchain c, generate_series(
    date_trunc('hour', c.started_at - interval '1 minute', 'UTC'),
    LEAST(c.ended_at, c.started_at + interval '1 day'), interval '1 hour') AS hour
WHERE c.updated_at >= %(since)s AND hour >= %(kept_since)s ORDER BY 1
"""
_SUM: Final = """
INSERT INTO analytics_figurehour (hour, metric, service, value, count, changed_at)
SELECT %(hour)s, %(metric)s, own.service, sum(cardinality(c.services)), count(*), %(now)s
FROM analytics_correlationchain c
CROSS JOIN LATERAL (SELECT DISTINCT unnest(c.services || ''::text)) AS own (service)
WHERE c.started_at >= %(hour)s AND c.started_at < %(hour)s + interval '1 hour'
    -- A chain is kept under the day on which it was seen; late ones have a day's grace.
    AND c.opened_on >= %(hour)s::date - 1
GROUP BY own.service ORDER BY own.service
"""


def chain_hours_sum(*, now: datetime) -> int:
    """Sum up again each hour in which chains changed since the last run; returns how many.

    Finds its own place: a worker that was away catches up. Where another is at it, this one leaves
    it to that.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(_LAST_RUN, [IMPACT_RADIUS])
        last_run = cursor.fetchone()[0]
        cursor.execute(
            _CHANGED,
            {
                "since": last_run - _OVERLAP if last_run else _EPOCH,
                # What is left of an hour must not take the place of the whole of it.
                "kept_since": whole_since(CHAINS, now),
            },
        )
        hours = [row[0] for row in cursor.fetchall()]
        _forget(IMPACT_RADIUS, hours)
        for hour in hours:
            partitions.ensure(FIGURE_HOURS, hour, hour)
            cursor.execute(_SUM, {"hour": hour, "metric": IMPACT_RADIUS, "now": now})
    return len(hours)


def saturation_hours_sum(hours: Collection[datetime], *, now: datetime) -> None:
    """Sum up these hours from the hours of metrics, which changed in the caller's transaction; the
    first time all that there are."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_RUN, [SATURATION])
        if cursor.fetchone()[0] is None:
            cursor.execute("SELECT DISTINCT hour FROM analytics_metricrolluphour")
            hours = {row[0] for row in cursor.fetchall()}
    wanted = sorted(hour for hour in hours if hour >= whole_since(METRIC_HOURS, now))
    # Day by day: the gauges of a month are too many at once.
    for _, of_day in groupby(wanted, key=lambda hour: hour.date()):
        _saturation_write(list(of_day), now)


def _saturation_write(hours: Sequence[datetime], now: datetime) -> None:
    # A limit is sent less often than it holds.
    within = TimeRange(hours[0] - _DAY, hours[-1] + HOUR)
    resources = resources_of(seen_since=within.since.date())
    fullest: dict[tuple[datetime, str], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for resource, levels in zip(resources, resource_levels(resources, within, HOUR), strict=True):
        for level in levels:
            for service in (resource.service, ""):
                fullest[level.at, service] = _fuller(fullest[level.at, service], level)
    rows = [
        (hour, service, share, count)
        for (hour, service), (share, count) in sorted(fullest.items())
        if hour in hours
    ]
    _forget(SATURATION, hours)
    partitions.ensure(FIGURE_HOURS, hours[0], hours[-1])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_figurehour (metric, changed_at, hour, service, value, count) "
            "SELECT %s, %s, * FROM unnest(%s::timestamptz[], %s::text[], %s::float8[], %s::bigint[]) "
            # Two that began at once: the one that waited for the other is the newer.
            "ON CONFLICT (hour, metric, service) DO UPDATE SET value = excluded.value, "
            "count = excluded.count, changed_at = excluded.changed_at",
            [SATURATION, now, *([row[place] for row in rows] for place in range(4))],
        )


def _fuller(found: tuple[float, int], level: Level) -> tuple[float, int]:
    return max(found[0], level.share), found[1] + 1


def _forget(metric: str, hours: Sequence[datetime]) -> None:
    FigureHour.objects.filter(metric=metric, hour__in=hours).delete()

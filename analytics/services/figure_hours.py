"""Summing up hours of what trends tell beside calls: how far errors reach, how full resources are.

Chains and the hours of metrics go with the errors; what a quarter of a year is drawn from stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from django.db import connection, transaction

from analytics.models import FigureHour
from analytics.models.partitions import CHAINS, FIGURE_HOURS, METRIC_HOURS, whole_since
from analytics.selectors.resources import Level, resource_levels, resources_each
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

# Up to where all was summed up: the newest row of all services together, which no hour with figures
# is without.
_LAST_RUN: Final = (
    "SELECT max(changed_at) FROM analytics_figurehour WHERE metric = %s AND service = ''"
)
# A run of several days says so last: until then its rows are as old as the run before.
_DONE: Final = """
UPDATE analytics_figurehour SET changed_at = GREATEST(changed_at, %(now)s)
WHERE metric = %(metric)s AND service = '' AND hour = (
    SELECT max(hour) FROM analytics_figurehour WHERE metric = %(metric)s AND service = ''
)
"""
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
SELECT %(hour)s, %(metric)s, own.service, sum(cardinality(c.services)), count(*), %(since)s
FROM analytics_correlationchain c
CROSS JOIN LATERAL (SELECT DISTINCT unnest(c.services || ''::text)) AS own (service)
WHERE c.started_at >= %(hour)s AND c.started_at < %(hour)s + interval '1 hour'
    -- A chain is kept under the day on which it was seen; late ones have a day's grace.
    AND c.opened_on >= %(hour)s::date - 1
GROUP BY own.service ORDER BY own.service
"""


def chain_hours_sum(*, now: datetime) -> int:
    """Sum up again each hour in which chains changed since the last run; returns how many.

    Finds its own place: a worker that was away catches up, a day at a time. Where another is at it,
    this one leaves it to that.
    """
    last_run = _last_run(IMPACT_RADIUS)
    changed = {
        "since": last_run - _OVERLAP if last_run > _EPOCH else _EPOCH,
        # What is left of an hour must not take the place of the whole of it.
        "kept_since": whole_since(CHAINS, now),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, changed)
        hours = [row[0] for row in cursor.fetchall()]
    for of_day in _by_day(hours):
        if not _chains_write(of_day, last_run):
            return 0
    if hours:
        _done(IMPACT_RADIUS, now)
    return len(hours)


def _chains_write(hours: Sequence[datetime], since: datetime) -> bool:
    """Sum up these hours, unless another is at it."""
    # Making a partition stops all that read the table, until its transaction ends.
    partitions.ensure(FIGURE_HOURS, hours[0], hours[-1])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return False
        _forget(IMPACT_RADIUS, hours)
        for hour in hours:
            cursor.execute(_SUM, {"hour": hour, "metric": IMPACT_RADIUS, "since": since})
    return True


def saturation_hours_begin(*, now: datetime) -> None:
    """Sum up all hours of metrics that there are where that was not done yet, a day at a time."""
    if _last_run(SATURATION) > _EPOCH:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT hour FROM analytics_metricrolluphour")
        hours = [row[0] for row in cursor.fetchall()]
    for of_day in _whole_days(hours, now):
        partitions.ensure(FIGURE_HOURS, of_day[0], of_day[-1])
        with transaction.atomic():
            _saturation_write(of_day, _EPOCH)
    _done(SATURATION, now)


def saturation_hours_sum(hours: Collection[datetime], *, now: datetime) -> None:
    """Sum up these hours from the hours of metrics, which changed in the caller's transaction;
    before that it has made their partitions."""
    for of_day in _whole_days(hours, now):
        _saturation_write(of_day, now)


def _whole_days(hours: Collection[datetime], now: datetime) -> Iterator[list[datetime]]:
    """Day by day, as the gauges of a month are too many at once; without hours that lack some."""
    return _by_day(sorted(hour for hour in hours if hour >= whole_since(METRIC_HOURS, now)))


def _by_day(hours: Sequence[datetime]) -> Iterator[list[datetime]]:
    return (list(of_day) for _, of_day in groupby(hours, key=lambda hour: hour.date()))


def _last_run(metric: str) -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(_LAST_RUN, [metric])
        return cursor.fetchone()[0] or _EPOCH


def _done(metric: str, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_DONE, {"metric": metric, "now": now})


def _saturation_write(hours: Sequence[datetime], now: datetime) -> None:
    # A limit is sent less often than it holds.
    within = TimeRange(hours[0] - _DAY, hours[-1] + HOUR)
    fullest: dict[tuple[datetime, str], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for resources in resources_each(seen_since=within.since.date()):
        found = resource_levels(resources, within, HOUR)
        for resource, levels in zip(resources, found, strict=True):
            for level in levels:
                for service in (resource.service, ""):
                    fullest[level.at, service] = _fuller(fullest[level.at, service], level)
    rows = [
        (hour, service, share, count)
        for (hour, service), (share, count) in sorted(fullest.items())
        if hour in hours
    ]
    _forget(SATURATION, hours)
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

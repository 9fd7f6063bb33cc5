"""Summing up the minutes of metrics into hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import orjson
from django.db import connection, transaction

from analytics.domain.distributions import add
from analytics.models.partitions import (
    FIGURE_HOURS,
    METRIC_HOURS,
    METRIC_ROLLUPS,
    metric_minute_retention,
)
from analytics.services.figure_hours import saturation_hours_begin, saturation_hours_sum
from resilience_site.core import partitions

# A batch may have been stored, but not committed, while the last run was reading.
_OVERLAP = timedelta(minutes=5)
_CHUNK = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CHANGED = """
SELECT DISTINCT date_trunc('hour', minute), series_id::text FROM analytics_metricrollup
WHERE changed_at >= %s ORDER BY 1, 2
"""

_SUM = """
SELECT k.hour, k.series_id::text, sum(m.points)::bigint,
    LEAST(sum(m.count), 9223372036854775807)::bigint, sum(m.total), min(m.minimum),
    max(m.maximum), sum(m.increase), sum(m.resets)::integer,
    (array_agg(m.last ORDER BY m.last_at DESC NULLS LAST))[1], max(m.last_at),
    array_agg(m.distribution::text ORDER BY m.minute) FILTER (WHERE m.distribution IS NOT NULL)
FROM unnest(%s::timestamptz[], %s::uuid[]) AS k (hour, series_id)
JOIN analytics_metricrollup m ON m.series_id = k.series_id
    AND m.minute >= k.hour AND m.minute < k.hour + interval '1 hour'
GROUP BY 1, 2 ORDER BY 1, 2
"""

_WRITE = """
INSERT INTO analytics_metricrolluphour AS t (changed_at, hour, series_id, points, count, total,
    minimum, maximum, increase, resets, last, last_at, distribution)
SELECT %s::timestamptz, * FROM unnest(%s::timestamptz[], %s::uuid[], %s::bigint[], %s::bigint[],
    %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::integer[], %s::float8[],
    %s::timestamptz[], %s::jsonb[])
ON CONFLICT (hour, series_id) DO UPDATE SET
    changed_at = excluded.changed_at, points = excluded.points, count = excluded.count,
    total = excluded.total, minimum = excluded.minimum, maximum = excluded.maximum,
    increase = excluded.increase, resets = excluded.resets, last = excluded.last,
    last_at = excluded.last_at, distribution = excluded.distribution
"""

# What is left of an hour whose minutes were dropped must not take the place of the whole of it.
_WRITE_NEW = _WRITE[: _WRITE.index("DO UPDATE")] + "DO NOTHING"


def metric_hours_sum(*, now: datetime) -> int:
    """Sum up again each series and hour whose minutes changed since the last run; returns how
    many. Finds its own place: a worker that was away catches up."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(changed_at) FROM analytics_metricrolluphour")
        last_run = cursor.fetchone()[0]
        cursor.execute(_CHANGED, [last_run - _OVERLAP if last_run else _EPOCH])
        changed = cursor.fetchall()
    if changed:
        hours = {row[0] for row in changed}
        for hour in hours:
            partitions.ensure(METRIC_HOURS, hour, hour)
            partitions.ensure(FIGURE_HOURS, hour, hour)
        saturation_hours_begin(now=now)
        # One transaction, as the newest row tells where the next run begins.
        kept_since = METRIC_ROLLUPS.floor(now - metric_minute_retention())
        with transaction.atomic():
            for whole in (True, False):
                keys = [key for key in changed if (key[0] >= kept_since) is whole]
                for start in range(0, len(keys), _CHUNK):
                    _sum_up(keys[start : start + _CHUNK], now, whole=whole)
            saturation_hours_sum(hours, now=now)
    return len(changed)


def _sum_up(keys: Sequence[tuple[datetime, str]], now: datetime, *, whole: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SUM, [[key[0] for key in keys], [key[1] for key in keys]])
        rows = [(*row[:-1], _merged(row[-1])) for row in cursor.fetchall()]
        if rows:
            columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(_WRITE if whole else _WRITE_NEW, [now, *columns])


def _merged(documents: list[str] | None) -> str | None:
    if not documents:
        return None
    merged = reduce(add, (orjson.loads(document) for document in documents))
    return orjson.dumps(merged).decode() if merged is not None else None

"""Percentiles of the latencies of checks, from the histograms of whole hours and the results of the
hour that goes on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from health.domain.latency import PERCENTILES, bucket, percentile_ms

# An hour is summed up six minutes after its end, by a run that comes every few minutes.
_PENDING: Final = timedelta(hours=2)

_HOURS: Final = """
SELECT h.check_id, b.bucket::int, sum(b.runs::bigint)::bigint
FROM health_checkhour h CROSS JOIN LATERAL jsonb_each_text(h.latency_counts) AS b (bucket, runs)
JOIN health_checkstatus s ON s.check_id = h.check_id
WHERE h.check_id = ANY(%(ids)s) AND h.hour >= %(first)s AND h.hour < %(last)s
    AND h.hour < GREATEST(s.hours_from, %(pending)s)
GROUP BY 1, 2
"""
_RESULTS: Final = """
SELECT r.check_id, r.latency_ms
FROM health_checkstatus s JOIN health_checkresult r ON r.check_id = s.check_id
    AND r.at >= GREATEST(s.hours_from, %(pending)s)
WHERE s.check_id = ANY(%(ids)s) AND r.at >= %(pending)s AND r.at < %(until)s
    AND r.status IN ('up', 'degraded') AND r.latency_ms IS NOT NULL
"""


@dataclass(frozen=True)
class Latencies:
    """Percentiles in ms over `runs` successful runs, each None without any, within 5 %."""

    since: datetime
    until: datetime
    runs: int
    p50: float | None
    p95: float | None
    p99: float | None


def checks_latencies(
    ids: Collection[UUID], *, now: datetime, length: timedelta = timedelta(hours=24)
) -> dict[UUID, Latencies]:
    """The latencies of each check since the whole hour before `length` ago; two queries.

    There are none of a service: the latencies of its checks have nothing in common.
    """
    first = _hour_of(now - length)
    pending = max(first, _hour_of(now) - _PENDING)
    values: dict[str, Any] = {
        "ids": list(ids),
        "first": first,
        "last": _hour_of(now),
        "pending": pending,
        "until": now,
    }
    counts: dict[UUID, dict[int, int]] = {key: {} for key in ids}
    with connection.cursor() as cursor:
        cursor.execute(_HOURS, values)
        for key, index, runs in cursor.fetchall():
            counts[key][index] = runs
        cursor.execute(_RESULTS, values)
        for key, latency_ms in cursor.fetchall():
            index = bucket(latency_ms)
            counts[key][index] = counts[key].get(index, 0) + 1
    return {
        key: Latencies(
            first,
            now,
            sum(found.values()),
            *(percentile_ms(found, share) for share in PERCENTILES),
        )
        for key, found in counts.items()
    }


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)

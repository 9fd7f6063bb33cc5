"""Summing up hours: the seconds of checks and of services, and the latencies of checks.

An hour is summed up once its minutes are and late results had their time, and again when one of
its minutes was. `CheckStatus.hours_from` says where each check stands.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from health.domain.availability import sums
from health.models.partitions import HOURS, HOURS_KEPT, SERVICE_HOURS
from health.selectors.maintenance import Covering, windows_between
from health.selectors.runs import ANSWERED, BUCKET, COVERED, SPANS, Covers, span_arrays
from health.selectors.timelines import Wanted, WantedService, segments_of, service_segments
from health.services.minutes import seconds_upsert
from resilience_site.core import partitions

HOUR: Final = timedelta(hours=1)
# A run may begin at the end of the hour, last for its timeout and wait to be stored.
LATE: Final = timedelta(minutes=6)
_CHECKS: Final = 500
_HOURS: Final = timedelta(hours=240)
_BUDGET_SECONDS: Final = 60.0
# Any constant that no other advisory lock of the site uses.
_LOCK: Final = 0x686F757273

_PENDING: Final = """
s.hours_from < LEAST(%(until)s, date_trunc('hour', s.minutes_from, 'UTC'))
"""
_FIRST: Final = f"SELECT min(s.hours_from) FROM health_checkstatus s WHERE {_PENDING}"
_CLAIM: Final = f"""
SELECT s.check_id, c.service, s.hours_from,
    LEAST(%(until)s, date_trunc('hour', s.minutes_from, 'UTC'))
FROM health_checkstatus s JOIN health_check c ON c.id = s.check_id
WHERE {_PENDING} ORDER BY c.service, s.check_id LIMIT %(checks)s
FOR NO KEY UPDATE OF s SKIP LOCKED
"""
_ADVANCE: Final = """
UPDATE health_checkstatus s SET hours_from = new.until
FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (check_id, until)
WHERE s.check_id = new.check_id
"""
# Hours whose results retention has dropped find none, and keep what was summed up.
_LATENCIES: Final = f"""
WITH k (check_id, start, until, cover) AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(starts)s::timestamptz[], %(untils)s::timestamptz[],
        %(cover)s::int[])
), {SPANS}
INSERT INTO health_checkhour AS t
    (hour, check_id, runs, latency_sum, latency_counts, maintenance_latency_counts)
SELECT hour, check_id, sum(runs), sum(total), jsonb_object_agg(bucket, runs),
    COALESCE(jsonb_object_agg(bucket, covered) FILTER (WHERE covered > 0), '{{}}')
FROM (
    SELECT check_id, hour, bucket, count(*) AS runs, count(*) FILTER (WHERE covered) AS covered,
        sum(latency_ms) AS total
    FROM (
        SELECT r.check_id, date_trunc('hour', r.at, 'UTC') AS hour, {BUCKET} AS bucket,
            {COVERED} AS covered, r.latency_ms::float8 AS latency_ms
        FROM k JOIN health_checkresult r
            ON r.check_id = k.check_id AND r.at >= k.start AND r.at < k.until
        WHERE r.at >= %(first)s AND r.at < %(last)s AND {ANSWERED}
    ) runs GROUP BY 1, 2, 3
) counted GROUP BY hour, check_id
ON CONFLICT (check_id, hour) DO UPDATE SET runs = excluded.runs,
    latency_sum = excluded.latency_sum, latency_counts = excluded.latency_counts,
    maintenance_latency_counts = excluded.maintenance_latency_counts
"""


def hours_sum(*, now: datetime, budget_seconds: float = _BUDGET_SECONDS) -> int:
    """Sum up every hour that is over and not summed up yet, or to be summed up again; returns how
    many rows changed. Any number may run at once; they take turns."""
    until = hour_of(now - LATE)
    oldest = oldest_hour(now)
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, {"until": until})
        first = cursor.fetchone()[0]
    if first is None:
        return 0
    hours_ensure(max(first, oldest), until)
    changed, ends = 0, time.monotonic() + budget_seconds
    while time.monotonic() < ends:
        with transaction.atomic():
            hours_lock()
            claimed = _claimed(oldest, until)
            if not claimed:
                break
            changed += hours_write(claimed)
            with connection.cursor() as cursor:
                ids, untils = [each.check_id for each in claimed], [each.until for each in claimed]
                cursor.execute(_ADVANCE, [ids, untils])
    return changed


def hour_of(moment: datetime) -> datetime:
    """The start of its hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def oldest_hour(now: datetime) -> datetime:
    """The first hour that retention keeps."""
    return HOURS.floor(now - HOURS_KEPT)


def hours_ensure(first: datetime, last: datetime) -> None:
    """Make the partitions of these hours; best before the transaction that writes them."""
    partitions.ensure(HOURS, first, last)
    partitions.ensure(SERVICE_HOURS, first, last)


def hours_lock() -> None:
    """Wait until nobody else sums up hours: the hours of a service depend on all its checks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def hours_write(wanted: Sequence[Wanted]) -> int:
    """Write the hours of these checks and of their services, from whole hour to whole hour; returns
    how many rows are new or changed. The caller's transaction holds `hours_lock`."""
    seconds = segments_of(wanted)
    rows = [
        (hour, each.check_id, *spent)
        for each in wanted
        for hour, spent in sums(seconds[each.check_id], each.start, HOUR)
    ]
    changed = seconds_upsert("health_checkhour", {"hour": "timestamptz", "check_id": "uuid"}, rows)
    _latencies_write(wanted)
    return changed + _services_write(wanted)


def _latencies_write(wanted: Sequence[Wanted]) -> None:
    """The latencies of the runs of these checks, and which of the runs were in maintenance."""
    first, last = min(each.start for each in wanted), max(each.until for each in wanted)
    covers = Covers(Covering(windows_between(first, last)))
    values = {
        "ids": [each.check_id for each in wanted],
        "starts": [each.start for each in wanted],
        "untils": [each.until for each in wanted],
        "cover": [covers.number(each.check_id, each.service) for each in wanted],
        "first": first,
        "last": last,
        **span_arrays(covers.spans),
    }
    with connection.cursor() as cursor:
        cursor.execute(_LATENCIES, values)


def _services_write(wanted: Sequence[Wanted]) -> int:
    """The hours of the services of these checks, over the time that any of theirs covers."""
    ranges: dict[str, tuple[datetime, datetime]] = {}
    for each in wanted:
        start, until = ranges.get(each.service, (each.start, each.until))
        ranges[each.service] = min(start, each.start), max(until, each.until)
    found = service_segments(
        [WantedService(service, start, until) for service, (start, until) in ranges.items()]
    )
    rows = [
        (hour, service, *spent)
        for service, segments in found.items()
        for hour, spent in sums(segments, ranges[service][0], HOUR)
    ]
    return seconds_upsert("health_servicehour", {"hour": "timestamptz", "service": "text"}, rows)


def _claimed(oldest: datetime, until: datetime) -> list[Wanted]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"until": until, "checks": _CHECKS})
        rows = cursor.fetchall()
    claimed = []
    for check_id, service, hours_from, last in rows:
        start = max(hours_from, oldest)
        claimed.append(Wanted(check_id, service, start, min(last, start + _HOURS)))
    return claimed

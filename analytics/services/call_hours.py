"""Summing up the minutes of calls, edges and errors into hours.

The hours of calls hold a row for all services together as well, under the empty name: a quarter
of a year of a fleet is then read as quickly as that of one service. Errors are told by pattern, of
which there are many: what they add up to is kept apart, for the steps that charts have, as distinct
patterns of a day cannot be told from those of its hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from analytics.domain.histogram import BUCKETS
from analytics.models import ErrorTotal
from analytics.models.partitions import CALL_HOURS, EDGE_HOURS, ERROR_HOURS, hour_retention
from analytics.selectors.error_totals import TOTAL_HOURS
from resilience_site.core import partitions

# A batch may have been stored, but not committed, while the last run was reading.
_OVERLAP = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUM_BUCKETS = "ARRAY[" + ", ".join(f"sum(buckets[{i}])" for i in range(1, BUCKETS + 1)) + "]"
_FIGURES = (
    "sum(calls)::bigint, sum(errors)::bigint, sum(duration_ns)::bigint, "
    f"max(duration_max_ns)::bigint, {_SUM_BUCKETS}::bigint[]"
)
_CALLS = f"""
INSERT INTO analytics_callrolluphour AS t
    (changed_at, hour, service, operation, kind, calls, errors, duration_ns, duration_max_ns, buckets)
SELECT %(now)s, %(hour)s, service, operation, kind, {_FIGURES}
FROM analytics_callrollup
WHERE minute >= %(hour)s AND minute < %(hour)s + interval '1 hour'
GROUP BY service, operation, kind
UNION ALL
SELECT %(now)s, %(hour)s, '', '', kind, {_FIGURES}
FROM analytics_callrollup
WHERE minute >= %(hour)s AND minute < %(hour)s + interval '1 hour' AND operation = ''
GROUP BY kind
ORDER BY 3, 4, 5
ON CONFLICT (hour, service, operation, kind) DO UPDATE SET
    changed_at = excluded.changed_at, calls = excluded.calls, errors = excluded.errors,
    duration_ns = excluded.duration_ns, duration_max_ns = excluded.duration_max_ns,
    buckets = excluded.buckets
"""
_EDGES = f"""
INSERT INTO analytics_edgerolluphour AS t
    (changed_at, hour, caller, callee, via, calls, errors, duration_ns, duration_max_ns, buckets)
SELECT %(now)s, %(hour)s, caller, callee, via, {_FIGURES}
FROM analytics_edgerollup
WHERE minute >= %(hour)s AND minute < %(hour)s + interval '1 hour'
GROUP BY caller, callee, via ORDER BY caller, callee, via
ON CONFLICT (hour, caller, callee, via) DO UPDATE SET
    changed_at = excluded.changed_at, calls = excluded.calls, errors = excluded.errors,
    duration_ns = excluded.duration_ns, duration_max_ns = excluded.duration_max_ns,
    buckets = excluded.buckets
"""
_ERRORS = """
INSERT INTO analytics_errorrolluphour AS t (changed_at, hour, service, pattern_id, errors)
SELECT %(now)s, %(hour)s, service, pattern_id, sum(errors)::bigint FROM analytics_errorrollup
WHERE minute >= %(hour)s AND minute < %(hour)s + interval '1 hour'
GROUP BY service, pattern_id ORDER BY service, pattern_id
ON CONFLICT (hour, service, pattern_id) DO UPDATE SET
    changed_at = excluded.changed_at, errors = excluded.errors
"""
# An hour without a row of errors any more has a total of none.
_TOTALS = """
INSERT INTO analytics_errortotal AS t (hours, service, at, errors, patterns)
SELECT %(hours)s, coalesce(service, ''), %(at)s, coalesce(sum(errors), 0)::bigint,
    count(*) FILTER (WHERE errors > 0)
FROM (
    SELECT service, pattern_id, sum(errors) AS errors FROM analytics_errorrolluphour
    WHERE hour >= %(at)s AND hour < %(at)s + make_interval(hours => %(hours)s)
    GROUP BY service, pattern_id
) AS by_pattern
GROUP BY GROUPING SETS ((service), ()) ORDER BY 2
ON CONFLICT (hours, service, at) DO UPDATE SET
    errors = excluded.errors, patterns = excluded.patterns
"""
_LOCK = 0x686F757273


def call_hours_sum(*, now: datetime) -> int:
    """Sum up again each hour whose minutes changed since the last run; returns how many.

    Finds its own place: a worker that was away catches up. Where another is at it, this one leaves
    it to that.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        done = 0
        for minutes, table, statement in (
            ("analytics_callrollup", CALL_HOURS, _CALLS),
            ("analytics_edgerollup", EDGE_HOURS, _EDGES),
            ("analytics_errorrollup", ERROR_HOURS, _ERRORS),
        ):
            cursor.execute(f"SELECT max(changed_at) FROM {table.table}")
            last_run = cursor.fetchone()[0]
            cursor.execute(
                f"SELECT DISTINCT date_trunc('hour', minute, 'UTC') FROM {minutes} "
                "WHERE changed_at >= %s ORDER BY 1",
                [last_run - _OVERLAP if last_run else _EPOCH],
            )
            hours = [row[0] for row in cursor.fetchall()]
            for hour in hours:
                partitions.ensure(table, hour, hour)
                cursor.execute(statement, {"now": now, "hour": hour})
            done += len(hours)
            if table is ERROR_HOURS:
                _totals(hours, now)
    return done


def _totals(hours: Iterable[datetime], now: datetime) -> None:
    """Add up again the steps that hold these hours; forget those that are past their time."""
    steps = {
        (length, at - (at - _EPOCH) % timedelta(hours=length))
        for at in hours
        for length in TOTAL_HOURS
    }
    with connection.cursor() as cursor:
        for length, at in sorted(steps):
            cursor.execute(_TOTALS, {"hours": length, "at": at})
    ErrorTotal.objects.filter(at__lt=now - hour_retention() - timedelta(days=1)).delete()

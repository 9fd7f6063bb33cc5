"""A history of figures per minute, written as ingest writes it but without the telemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from analytics.domain.histogram import bucket, empty
from analytics.models.partitions import CALL_ROLLUPS, ERROR_ROLLUPS
from analytics.services.rollups import write_error_counts
from resilience_site.core import partitions

MINUTE = timedelta(minutes=1)
# A minute's calls, its errors and how long a call took, in milliseconds.
Minute = tuple[int, int, float]


def write_calls(
    service: str,
    since: datetime,
    until: datetime,
    minute_of: Callable[[datetime], Minute | None],
    *,
    every: timedelta = MINUTE,
) -> None:
    """Entry calls of a service in each step of a range; None leaves a gap."""
    partitions.ensure(CALL_ROLLUPS, since, until)
    rows = []
    at = since
    while at < until:
        figures = minute_of(at)
        if figures is not None:
            calls, errors, milliseconds = figures
            duration = int(milliseconds * 1e6)
            buckets = empty()
            buckets[bucket(duration)] = calls
            text = "{" + ",".join(map(str, buckets)) + "}"
            rows.append((at, service, calls, errors, calls * duration, duration, text))
        at += every
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_callrollup (minute, service, operation, kind, calls, errors, "
            "duration_ns, duration_max_ns, buckets) SELECT at, service, '', 0, calls, errors, "
            "duration, longest, buckets::integer[] FROM unnest(%s::timestamptz[], %s::text[], "
            "%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[]) "
            "AS rows (at, service, calls, errors, duration, longest, buckets)",
            [list(column) for column in zip(*rows, strict=True)],
        )


def write_errors(service: str, pattern: UUID, counts: Iterable[tuple[datetime, int]]) -> None:
    """Stored errors of a pattern per minute."""
    rows = list(counts)
    if rows:
        partitions.ensure(ERROR_ROLLUPS, min(at for at, _ in rows), max(at for at, _ in rows))
    write_error_counts(
        {(int(at.timestamp() // 60), service, str(pattern)): count for at, count in rows}
    )

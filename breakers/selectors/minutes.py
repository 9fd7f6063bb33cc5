"""Reads of the calls of a breaker over time."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from breakers.selectors.breaker_view import Counts
from resilience_site.core.timerange import TimeRange


def call_minutes(
    service: str, name: str, within: TimeRange, step: timedelta
) -> dict[datetime, Counts]:
    """Calls of a breaker in steps of at least a minute; steps in which nothing came in are left
    out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin(%s::interval, minute, 'epoch'::timestamptz) AS at, "
            "sum(calls)::bigint, sum(failures)::bigint, sum(slow)::bigint, sum(rejected)::bigint "
            "FROM breakers_callminute WHERE service = %s AND name = %s "
            "AND minute >= %s AND minute < %s GROUP BY at ORDER BY at",
            [
                str(step),
                service,
                name,
                within.since.replace(second=0, microsecond=0),
                within.until,
            ],
        )
        return {at: Counts(*counts) for at, *counts in cursor.fetchall()}

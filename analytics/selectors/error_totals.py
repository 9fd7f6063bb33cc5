"""Errors and patterns over long ranges: from the totals of whole steps, and from the patterns'
minutes where those are not added up yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from analytics.models import ErrorTotal
from analytics.selectors.sources import HOUR, figure_rows, whole_hours
from resilience_site.core.timerange import TimeRange

# The steps of whole hours that charts have: of these the distinct patterns are kept.
TOTAL_HOURS: Final = (1, 3, 6, 12, 24)
_OF_SERVICE: Final = "(%(service)s = '' OR service = %(service)s)"
# The newest hours and the ones before may lack something, as those of `figure_rows`.
_SETTLED: Final = (
    "COALESCE((SELECT max(at) - interval '1 hour' FROM analytics_errortotal "
    "WHERE hours = 1 AND service = ''), '-infinity')"
)


def error_rows(within: TimeRange, *, hourly: bool) -> tuple[str, dict[str, Any]]:
    """The SQL of the rows `(at, errors)` of the service `%(service)s` (of all where that is empty)
    that a range is made of, and its other parameters. `hourly` takes whole hours, which the range
    must begin with, where those are added up."""
    parameters = {"since": within.since, "until": within.until}
    minutes = (
        f"SELECT minute AS at, errors FROM analytics_errorrollup WHERE {_OF_SERVICE} "
        "AND minute < %(until)s AND minute >= "
    )
    if not hourly:
        return f"{minutes} %(since)s", parameters
    return (
        "SELECT at, errors FROM analytics_errortotal WHERE hours = 1 AND service = %(service)s "
        f"AND at >= %(since)s AND at < LEAST(%(until)s, {_SETTLED}) UNION ALL "
        f"{minutes} GREATEST(%(since)s, {_SETTLED})"
    ), parameters


def pattern_counts(within: TimeRange, step: timedelta, service: str) -> dict[datetime, int]:
    """In how many patterns there were errors in each step of a range that whole steps make; steps
    without errors are left out."""
    if step not in (HOUR * length for length in TOTAL_HOURS):
        return _distinct(within, step, service)
    whole = ErrorTotal.objects.filter(
        hours=step // HOUR, service=service, at__gte=within.since, at__lt=within.until
    )
    settled = _settled(within)
    found = {
        at: patterns
        for at, patterns in whole.values_list("at", "patterns")
        if patterns and at + step <= settled
    }
    since = within.since + max(timedelta(), (settled - within.since) // step * step)
    if since < within.until:
        found |= _distinct(TimeRange(since, within.until), step, service)
    return found


def _settled(within: TimeRange) -> datetime:
    """Up to where in a range the totals say all."""
    newest = (
        ErrorTotal.objects.filter(hours=1, service="")
        .order_by("-at")
        .values_list("at", flat=True)
        .first()
    )
    return within.since if newest is None else newest - HOUR


def _distinct(within: TimeRange, step: timedelta, service: str) -> dict[datetime, int]:
    where = f"{_OF_SERVICE} AND errors > 0"
    if whole_hours(step):
        rows, parameters = figure_rows("errorrollup", "pattern_id", where=where, within=within)
    else:
        rows = (
            f"SELECT minute AS at, pattern_id FROM analytics_errorrollup WHERE {where} "
            "AND minute >= %(since)s AND minute < %(until)s"
        )
        parameters = {"since": within.since, "until": within.until}
    with connection.cursor() as cursor:
        # Hashed in two steps: counting distinct values directly would sort all rows.
        cursor.execute(
            "SELECT step, count(*) FROM (SELECT DISTINCT date_bin(%(step)s::interval, at, "
            f"'epoch'::timestamptz) AS step, pattern_id FROM ({rows}) r) d GROUP BY 1",
            {**parameters, "step": str(step), "service": service},
        )
        return dict(cursor.fetchall())

"""Rows of figures over a range: from the hours where those are summed up, from the minutes else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from resilience_site.core.timerange import TimeRange

HOUR = timedelta(hours=1)
# Hours are summed up every few minutes: the newest of them and the one before may lack something.
_UNSETTLED = HOUR


def figure_rows(
    table: str,
    columns: str,
    *,
    where: str,
    within: TimeRange,
    where_hours: str = "",
) -> tuple[str, dict[str, Any]]:
    """The SQL of the rows `(at, columns…)` that a range is made of, and its parameters.

    `table` is one of callrollup, edgerollup, errorrollup. The whole hours of the range come from
    the table's hours, where the condition may differ (`where_hours`), what is left at both ends
    from its minutes. Both ends of the range are taken as they are: whole minutes.
    """
    begin, end = _whole_hours(table, within)
    named = columns.replace("buckets", "buckets::bigint[]")
    minutes = f"SELECT minute AS at, {named} FROM analytics_{table} WHERE {where} AND minute"
    parameters = {"since": within.since, "until": within.until}
    if begin >= end:
        return f"{minutes} >= %(since)s AND minute < %(until)s", parameters
    hours = (
        f"SELECT hour AS at, {columns} FROM analytics_{table}hour "
        f"WHERE {where_hours or where} AND hour >= %(hours_begin)s AND hour < %(hours_end)s"
    )
    parts = [hours]
    if within.since < begin:
        parts.append(f"{minutes} >= %(since)s AND minute < %(hours_begin)s")
    if end < within.until:
        parts.append(f"{minutes} >= %(hours_end)s AND minute < %(until)s")
    return " UNION ALL ".join(parts), parameters | {"hours_begin": begin, "hours_end": end}


def _whole_hours(table: str, within: TimeRange) -> tuple[datetime, datetime]:
    """The part of a range whose hours say all that their minutes do."""
    begin, end = _hour(within.since + HOUR - timedelta(microseconds=1)), _hour(within.until)
    if begin >= end:
        return begin, end
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(hour) FROM analytics_{table}hour")
        last = cursor.fetchone()[0]
    # Without any hours, all is still in the minutes.
    return begin, min(end, last.astimezone(UTC) - _UNSETTLED) if last else begin


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)

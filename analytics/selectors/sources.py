"""Rows of figures over a range: from the hours where those are summed up, from the minutes else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from resilience_site.core.timerange import TimeRange

HOUR = timedelta(hours=1)
_INSTANT = timedelta(microseconds=1)
# Up to where the hours of a range say all that its minutes do. They are summed up every few
# minutes: the newest of them and the one before may lack something.
_SETTLED = (
    "GREATEST(%(hours_begin)s, LEAST(%(hours_end)s, COALESCE((SELECT max(hour) "
    "- interval '1 hour' FROM analytics_{table}hour), '-infinity')))"
)


def whole_hours(step: timedelta) -> bool:
    """Whether hours add up to the step."""
    return step >= HOUR and step % HOUR == timedelta()


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
    begin, end = _hour(within.since + HOUR - _INSTANT), _hour(within.until)
    named = columns.replace("buckets", "buckets::bigint[]")
    minutes = f"SELECT minute AS at, {named} FROM analytics_{table} WHERE {where} AND minute"
    parameters = {"since": within.since, "until": within.until}
    if begin >= end:
        return f"{minutes} >= %(since)s AND minute < %(until)s", parameters
    settled = _SETTLED.format(table=table)
    parts = [
        f"SELECT hour AS at, {columns} FROM analytics_{table}hour "
        f"WHERE {where_hours or where} AND hour >= %(hours_begin)s AND hour < {settled}",
        f"{minutes} >= {settled} AND minute < %(until)s",
    ]
    if within.since < begin:
        parts.append(f"{minutes} >= %(since)s AND minute < %(hours_begin)s")
    return " UNION ALL ".join(parts), parameters | {"hours_begin": begin, "hours_end": end}


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)

"""Reads of the errors an hour of patterns, members included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from analytics.domain.pattern_limits import WEEK_HOURS, Limit, limit_of

HOUR: Final = timedelta(hours=1)
# The hours that are over may still be summed up; the running ones are read from their minutes.
_SETTLED = """
LEAST(%(now)s - interval '2 hours',
    coalesce((SELECT max(hour) FROM analytics_errorrolluphour), '-infinity'))
"""
_HOURS = f"""
WITH border AS MATERIALIZED (
    SELECT date_trunc('hour', {_SETTLED}, 'UTC') AS at
), family AS (
    SELECT * FROM unnest(%(keys)s::uuid[], %(members)s::uuid[]) AS family (key, member)
)
SELECT key, at, sum(errors)::bigint FROM (
    SELECT key, hour AS at, errors FROM family
    JOIN analytics_errorrolluphour ON pattern_id = member
    WHERE hour >= %(since)s AND hour < %(until)s AND hour < (SELECT at FROM border)
    UNION ALL
    SELECT key, date_trunc('hour', minute, 'UTC'), errors FROM family
    JOIN analytics_errorrollup ON pattern_id = member
    WHERE minute >= GREATEST(%(since)s, (SELECT at FROM border)) AND minute < %(until)s
) AS hours GROUP BY key, at
"""
_RUNNING = """
SELECT key, sum(errors) FILTER (WHERE minute >= %(border)s)::bigint,
    sum(errors) FILTER (WHERE minute < %(border)s)::bigint
FROM unnest(%(keys)s::uuid[], %(members)s::uuid[]) AS family (key, member)
JOIN analytics_errorrollup ON pattern_id = member
WHERE minute >= %(since)s AND minute <= %(now)s GROUP BY key
"""

Families = Mapping[UUID, Sequence[UUID]]


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour."""
    return at.replace(minute=0, second=0, microsecond=0)


def hourly_counts(
    families: Families, since: datetime, until: datetime, now: datetime
) -> dict[UUID, list[int]]:
    """Errors of each family in each hour from `since` to `until` (both full hours), oldest first,
    silent hours included."""
    length = int((until - since) / HOUR)
    counts = {key: [0] * length for key in families}
    if not families or not length:
        return counts
    with connection.cursor() as cursor:
        cursor.execute(_HOURS, {**_pairs(families), "since": since, "until": until, "now": now})
        for key, at, errors in cursor.fetchall():
            counts[key][int((at - since) / HOUR)] = errors
    return counts


def last_hours(families: Families, now: datetime) -> dict[UUID, tuple[int, int]]:
    """Errors of each family in the last 60 minutes, and in the 60 before them."""
    counts = dict.fromkeys(families, (0, 0))
    if not families:
        return counts
    minute = now.replace(second=0, microsecond=0)
    # The running minute and the 59 before it.
    border = minute - HOUR + timedelta(minutes=1)
    with connection.cursor() as cursor:
        cursor.execute(
            _RUNNING,
            {**_pairs(families), "border": border, "since": border - HOUR, "now": minute},
        )
        for key, in_hour, before in cursor.fetchall():
            counts[key] = (in_hour or 0, before or 0)
    return counts


def limits(
    families: Families, first_seen: Mapping[UUID, datetime], now: datetime
) -> dict[UUID, Limit]:
    """The limit that each family's own history gives, up to the last hour but one.

    The last hour is what is judged by it, and the hour that a pattern was first seen in is no whole
    one.
    """
    until = hour_of(now) - HOUR
    counts = hourly_counts(families, until - WEEK_HOURS * HOUR, until, now)
    return {key: _limit(hours, first_seen[key], until) for key, hours in counts.items()}


def _limit(hours: Sequence[int], first_seen: datetime, until: datetime) -> Limit:
    begun = hour_of(first_seen) + HOUR
    complete = max(0, min(len(hours), int((until - begun) / HOUR)))
    return limit_of(hours[len(hours) - complete :])


@dataclass(frozen=True)
class Week:
    """The errors of a family in each hour of a week, the running one last, the limit that follows
    from them, and the errors of the last 60 minutes."""

    hours: list[tuple[datetime, int]]
    limit: Limit
    in_hour: int


def pattern_week(
    pattern_id: UUID, family: Sequence[UUID], first_seen: datetime, now: datetime
) -> Week:
    """The last week of a pattern with its members."""
    until = hour_of(now) + HOUR
    since = until - (WEEK_HOURS + 2) * HOUR
    families = {pattern_id: family}
    counts = hourly_counts(families, since, until, now)[pattern_id]
    limit = _limit(counts[:-2], first_seen, until - 2 * HOUR)
    hours = [(since + n * HOUR, count) for n, count in enumerate(counts)]
    return Week(hours[2:], limit, last_hours(families, now)[pattern_id][0])


def _pairs(families: Families) -> dict[str, list[UUID]]:
    pairs = [(key, member) for key, members in families.items() for member in members]
    return {"keys": [key for key, _ in pairs], "members": [member for _, member in pairs]}

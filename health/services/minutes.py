"""Summing up the seconds that checks spent in each state, per minute.

Sums are worked out from the changes of state and the maintenance windows alone, so they can be
worked out again at any time, and come out the same. `CheckStatus.minutes_from` says where each
check stands; whoever writes a change that is dated back, or a window over past time, lowers it in
the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from health.domain.availability import COLUMNS, sums
from health.models.partitions import MINUTES, minute_retention
from health.selectors.arrays import array_text
from health.selectors.timelines import Wanted, segments_of
from resilience_site.core import partitions

MINUTE: Final = timedelta(minutes=1)
# One pass holds the rows of as many checks, for at most as many minutes each.
_CHECKS: Final = 1_000
_MINUTES: Final = timedelta(minutes=60)
# What a run may take; the next one goes on.
_BUDGET_SECONDS: Final = 20.0

# A row that somebody else holds has its turn later. Whoever writes a change holds the row as well,
# so a change is either seen here, or lowers `minutes_from` after this pass has moved it.
_CLAIM: Final = """
SELECT s.check_id, c.service, s.minutes_from
FROM health_checkstatus s JOIN health_check c ON c.id = s.check_id
WHERE s.minutes_from < %s ORDER BY s.minutes_from LIMIT %s
FOR NO KEY UPDATE OF s SKIP LOCKED
"""
_ADVANCE: Final = """
UPDATE health_checkstatus s SET minutes_from = new.until,
    hours_from = LEAST(s.hours_from, date_trunc('hour', s.minutes_from, 'UTC'))
FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (check_id, until)
WHERE s.check_id = new.check_id
"""


def minutes_sum(*, now: datetime, budget_seconds: float = _BUDGET_SECONDS) -> int:
    """Sum up every minute that is over and not summed up yet, or to be summed up again; returns
    how many rows changed. Any number may run at once."""
    until = minute_of(now)
    oldest = oldest_minute(now)
    first = _first(until)
    if first is None:
        return 0
    partitions.ensure(MINUTES, max(first, oldest), until)
    changed, ends = 0, time.monotonic() + budget_seconds
    while time.monotonic() < ends:
        with transaction.atomic():
            claimed = _claimed(oldest, until)
            if not claimed:
                break
            changed += minutes_write(claimed)
            _advance(claimed)
    return changed


def minute_of(moment: datetime) -> datetime:
    """The start of its minute."""
    return moment.replace(second=0, microsecond=0)


def oldest_minute(now: datetime) -> datetime:
    """The first minute that retention keeps."""
    return MINUTES.floor(now - minute_retention())


def minutes_write(wanted: Sequence[Wanted]) -> int:
    """Write the minutes of these checks, from whole minute to whole minute; returns how many rows
    are new or changed. The caller's transaction holds the checks' rows."""
    seconds = segments_of(wanted)
    rows = [
        (minute, each.check_id, *spent)
        for each in wanted
        for minute, spent in sums(seconds[each.check_id], each.start, MINUTE)
    ]
    return seconds_upsert("health_checkminute", {"minute": "timestamptz", "check_id": "uuid"}, rows)


def seconds_upsert(table: str, key: dict[str, str], rows: Sequence[tuple[object, ...]]) -> int:
    """Write rows of a key and `COLUMNS` by one statement; returns how many are new or changed."""
    if not rows:
        return 0
    names, columns = ", ".join(key), ", ".join(COLUMNS)
    arrays = ", ".join(f"%s::{kind}[]" for kind in (*key.values(), *["real"] * len(COLUMNS)))
    mine = ", ".join(f"t.{column}" for column in COLUMNS)
    new = ", ".join(f"excluded.{column}" for column in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} AS t ({names}, {columns}) SELECT * FROM unnest({arrays}) "
            f"ON CONFLICT ({names}) DO UPDATE SET ({columns}) = ROW ({new}) "
            f"WHERE ({mine}) IS DISTINCT FROM ({new})",
            [array_text(column) for column in zip(*rows, strict=True)],
        )
        return cursor.rowcount


def _first(until: datetime) -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(minutes_from) FROM health_checkstatus WHERE minutes_from < %s", [until]
        )
        return cursor.fetchone()[0]


def _claimed(oldest: datetime, until: datetime) -> list[Wanted]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [until, _CHECKS])
        rows = cursor.fetchall()
    claimed = []
    for check_id, service, minutes_from in rows:
        start = max(minute_of(minutes_from), oldest)
        claimed.append(Wanted(check_id, service, start, min(until, start + _MINUTES)))
    return claimed


def _advance(claimed: Sequence[Wanted]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _ADVANCE,
            [
                array_text(each.check_id for each in claimed),
                array_text(each.until for each in claimed),
            ],
        )

"""Forgetting patterns whose errors are long gone, with all that hangs on them.

A pattern and those that were put into it go together, a margin after the last error of any of them
has gone. What people decided about one of them (resolved, ignored, put together or parted) keeps all
of them for longer, so that an error that comes back after months is known as one that was resolved.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from analytics.models.partitions import PATTERNS_BEYOND, decision_retention, error_retention
from analytics.services.pattern_merging import MACHINE, MERGE_LOCK

# Of patterns that are shown, with those put into them; ingest waits for no more than these.
_BATCH: Final = 500

# Of a row `d` of merges: that a person put these together, or parted them.
BY_PEOPLE: Final = (
    f"(d.origin = 'person' OR (d.undone_at IS NOT NULL AND d.undone_by <> '{MACHINE}'))"
)
# By the last error of the pattern itself; those put into it and decisions are asked about for the
# few that are old enough.
_OLD = f"""
SELECT id, last_seen FROM analytics_errorpattern AS p
WHERE merged_into IS NULL AND last_seen < %(oldest)s AND (last_seen, id) > (%(at)s, %(after)s)
    AND NOT EXISTS (
        SELECT FROM analytics_errorpattern AS m
        WHERE m.merged_into = p.id AND m.last_seen >= %(oldest)s
    ) AND (
        GREATEST(last_seen, state_changed_at) < %(decided)s
        OR (state NOT IN ('resolved', 'ignored') AND id NOT IN (
            SELECT coalesce(m.merged_into, m.id) FROM analytics_patternmerge AS d
            JOIN analytics_errorpattern AS m ON m.id = d.pattern_id OR m.id = d.into_id
            WHERE {BY_PEOPLE}
        ))
    )
ORDER BY last_seen, id LIMIT %(batch)s
"""
# In the order of ids, as ingest locks them. One that an error came in for meanwhile is not found, nor
# one that somebody decided about.
_LOCK_THEM = """
SELECT id FROM analytics_errorpattern
WHERE id = ANY(%(ids)s) AND last_seen < %(oldest)s AND (merged_into IS NOT NULL
    OR state NOT IN ('resolved', 'ignored') OR GREATEST(last_seen, state_changed_at) < %(decided)s)
ORDER BY id FOR UPDATE
"""
_FAMILIES = """
SELECT id, coalesce(merged_into, id) FROM analytics_errorpattern
WHERE id = ANY(%(ids)s) OR merged_into = ANY(%(ids)s)
"""
_FORGET = (
    "DELETE FROM analytics_patternrelease WHERE pattern_id = ANY(%(ids)s)",
    "DELETE FROM analytics_patternrelation WHERE before_id = ANY(%(ids)s)",
    "DELETE FROM analytics_patternrelation WHERE after_id = ANY(%(ids)s)",
    "DELETE FROM analytics_patternmerge WHERE pattern_id = ANY(%(ids)s)",
    "DELETE FROM analytics_patternmerge WHERE into_id = ANY(%(ids)s)",
    "DELETE FROM analytics_errorpattern WHERE id = ANY(%(ids)s)",
)


def patterns_prune(*, now: datetime) -> int:
    """Forget the patterns past their time; returns how many, those put into others included."""
    deleted = 0
    at, after = datetime.min.replace(tzinfo=now.tzinfo), UUID(int=0)
    while True:
        with transaction.atomic():
            found = _old(now, at, after)
            if not found:
                return deleted
            deleted += _forget([key for key, _ in found], now)
        after, at = found[-1]


def _old(now: datetime, at: datetime, after: UUID) -> list[tuple[UUID, datetime]]:
    with connection.cursor() as cursor:
        # Who puts patterns together meanwhile waits, or is waited for.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MERGE_LOCK])
        cursor.execute(
            _OLD,
            {"at": at, "after": after, "batch": _BATCH, **_limits(now)},
        )
        return cursor.fetchall()


def _limits(now: datetime) -> dict[str, datetime]:
    return {
        "oldest": now - error_retention() - PATTERNS_BEYOND,
        "decided": now - decision_retention(),
    }


def _forget(ids: list[UUID], now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_FAMILIES, {"ids": ids})
        families = cursor.fetchall()
        cursor.execute(_LOCK_THEM, {"ids": [key for key, _ in families], **_limits(now)})
        locked = {key for (key,) in cursor.fetchall()}
        seen = {family for key, family in families if key not in locked}
    return patterns_forget([key for key, family in families if family not in seen])


def patterns_forget(ids: list[UUID]) -> int:
    """Forget patterns that the caller's transaction has locked; returns how many."""
    with connection.cursor() as cursor:
        for statement in _FORGET:
            cursor.execute(statement, {"ids": ids})
        return int(cursor.rowcount)

"""Checks of which nothing was heard for too long are unknown, dated back to when results stopped.

So a time in which no worker ran, or in which results were withheld, counts as not known rather
than as good or bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from health.domain.schedule import (
    BACKOFF_LARGEST,
    BACKOFF_LONGEST,
    GRACE,
    Pace,
    stale_after,
    unknown_since,
)
from health.services.claims import LEASE_MARGIN
from health.services.evaluation import graph_evaluate
from health.services.locks import graph_lock, graph_lock_shared

# At the usual pace; a check that is asked less often is told apart afterwards.
_CANDIDATES: Final = """
SELECT s.check_id, s.last_conclusive_at, s.failures, s.last_output,
    c.interval_seconds, c.timeout_seconds, c.failures_to_down
FROM health_checkstatus s JOIN health_check c ON c.id = s.check_id
WHERE s.next_due_at IS NOT NULL AND s.own_state <> 'unknown'
AND s.last_conclusive_at < %s - make_interval(secs => 2 * c.interval_seconds + c.timeout_seconds + %s)
"""

# It takes the claim as well: the result of a run under way was to be added to what is forgotten
# here. Such a check is run again at once.
_FORGET: Final = """
UPDATE health_checkstatus s SET
    own_state = 'unknown', own_since = new.since,
    failures = 0, successes = 0, streak_since = NULL, history = '',
    fence = s.fence + 1,
    next_due_at = CASE WHEN s.lease_until > %(now)s THEN %(now)s ELSE s.next_due_at END,
    lease_until = NULL, run_again = false
FROM unnest(%(ids)s::uuid[], %(since)s::timestamptz[]) AS new (check_id, since)
WHERE s.check_id = new.check_id
"""

_MEND: Final = """
UPDATE health_checkstatus s SET
    next_due_at = LEAST(s.next_due_at, %(now)s),
    lease_until = NULL
FROM health_check c
WHERE c.id = s.check_id AND (
    s.next_due_at > %(now)s + make_interval(
        secs => GREATEST(%(largest)s * c.interval_seconds, %(longest)s) + %(grace)s)
    OR s.lease_until > %(now)s + 2 * %(margin)s + make_interval(
        secs => c.timeout_seconds + GREATEST(%(largest)s * c.interval_seconds, %(longest)s))
)
"""


# Their moment was reckoned by the same clock.
_MEND_ALERTS: Final = """
UPDATE health_outage o SET announce_at = %(now)s + make_interval(secs => c.settle_seconds)
FROM health_check c
WHERE c.id = o.check_id AND o.ended_at IS NULL AND o.announced_at IS NULL
AND o.announce_at > %(now)s + make_interval(secs => c.settle_seconds + %(grace)s)
"""


@dataclass(frozen=True)
class _Stale:
    check_id: UUID
    heard_at: datetime
    since: datetime
    said: str

    @property
    def reason(self) -> str:
        last = f", the last said: {self.said}" if self.said else ""
        return f"no result since {self.heard_at:%Y-%m-%d %H:%M:%S} UTC{last}"


def stale_mark(*, now: datetime) -> int:
    """Make stale checks unknown; returns how many became so."""
    if not _stale(now):
        return 0
    with transaction.atomic():
        graph_lock()
        found = _stale(now)
        if found:
            _forget({each.check_id: each.since for each in found}, now)
            reasons = {each.check_id: each.reason for each in found}
            graph_evaluate(now=now, changed=list(reasons), reasons=reasons)
    return len(found)


def _stale(now: datetime) -> list[_Stale]:
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, [now, GRACE])
        rows = cursor.fetchall()
    found = []
    for check_id, heard, failures, said, *pace in rows:
        kept = Pace(*pace)
        if heard + timedelta(seconds=stale_after(kept, failures)) <= now:
            found.append(_Stale(check_id, heard, unknown_since(heard, kept, failures), said))
    return found


def _forget(since: Mapping[UUID, datetime], now: datetime) -> None:
    with connection.cursor() as cursor:
        values: dict[str, Any] = {
            "now": now,
            "ids": list(since),
            "since": list(since.values()),
        }
        cursor.execute(_FORGET, values)


def clock_mend(*, now: datetime) -> int:
    """Make due what a clock that went back has put too far into the future, and let alerts wait no
    longer than they have to; how many checks there were."""
    values: dict[str, Any] = {
        "now": now,
        "largest": BACKOFF_LARGEST,
        "longest": BACKOFF_LONGEST,
        "grace": GRACE,
        "margin": LEASE_MARGIN,
    }
    with transaction.atomic():
        graph_lock_shared()
        with connection.cursor() as cursor:
            cursor.execute(_MEND_ALERTS, values)
            cursor.execute(_MEND, values)
            return cursor.rowcount

"""Checks of which nothing was heard for too long are unknown, dated back to when results stopped.

So a time in which no worker ran, or in which results were withheld, counts as not known rather
than as good or bad.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from health.choices import HealthState
from health.domain import state
from health.domain.schedule import (
    BACKOFF_LARGEST,
    BACKOFF_LONGEST,
    GRACE,
    Pace,
    stale_after,
    unknown_since,
)
from health.domain.state import OwnState
from health.models import CheckStatus
from health.services.claims import LEASE_MARGIN
from health.services.evaluation import graph_evaluate
from health.services.locks import graph_lock, graph_lock_shared

_CANDIDATES: Final = """
SELECT s.check_id FROM health_checkstatus s JOIN health_check c ON c.id = s.check_id
WHERE s.next_due_at IS NOT NULL AND s.own_state <> 'unknown'
AND s.last_conclusive_at < %s - make_interval(secs => 2 * c.interval_seconds + c.timeout_seconds + %s)
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


def stale_mark(*, now: datetime) -> int:
    """Make stale checks unknown; returns how many became so."""
    if not _candidates(now):
        return 0
    with transaction.atomic():
        graph_lock()
        rows = CheckStatus.objects.filter(check_row_id__in=_candidates(now))
        changed, reasons = [], {}
        for row in rows.select_related("check_row"):
            check = row.check_row
            pace = Pace(check.interval_seconds, check.timeout_seconds, check.failures_to_down)
            heard = row.last_conclusive_at
            if heard is None or heard + timedelta(seconds=stale_after(pace, row.failures)) > now:
                continue
            _forget(row, unknown_since(heard, pace, row.failures))
            changed.append(row)
            last = f", the last said: {row.last_output}" if row.last_output else ""
            reasons[row.check_row_id] = f"no result since {heard:%Y-%m-%d %H:%M:%S} UTC{last}"
        CheckStatus.objects.bulk_update(
            changed, ["own_state", "own_since", "failures", "successes", "streak_since", "history"]
        )
        graph_evaluate(now=now, changed=list(reasons), reasons=reasons)
    return len(changed)


def _candidates(now: datetime) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, [now, GRACE])
        return [row[0] for row in cursor.fetchall()]


def _forget(row: CheckStatus, since: datetime) -> None:
    own = state.unknown(OwnState(row.own_state, row.own_since), since)
    row.own_state, row.own_since = HealthState.UNKNOWN, own.since
    row.failures = row.successes = 0
    row.streak_since, row.history = None, ""


def clock_mend(*, now: datetime) -> int:
    """Make due what a clock that went back has put too far into the future; how many there were."""
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
            cursor.execute(_MEND, values)
            return cursor.rowcount

"""Claims of due checks: each is run by one worker at a time, however many ask.

A claim is a lease with a fencing number. Whoever wrote the lease may run the check; results are
taken only under the number that is still the check's own, so a worker that was frozen and wakes
up late changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import connection, transaction

from health.domain.schedule import Pace
from health.domain.state import OwnState, Thresholds
from health.services.locks import graph_lock_shared

# Beyond its timeout, what a run may take until its result is written.
LEASE_MARGIN: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Claim:
    """A check that the caller may run now, with what was known of it before."""

    check_id: UUID
    fence: int
    version: int
    name: str
    service: str
    kind: str
    enabled: bool
    due_at: datetime
    pace: Pace
    thresholds: Thresholds
    degraded_above_ms: float | None
    own: OwnState
    suspected_until: datetime | None
    memory: dict[str, Any]
    pushed_at: datetime | None
    pushed_status: str
    pushed_output: str


_COLUMNS: Final = """
    s.check_id, s.fence, c.version, c.name, c.service, c.kind, c.enabled, picked.due,
    c.interval_seconds, c.timeout_seconds, c.failures_to_down, c.successes_to_up,
    c.degraded_above_ms, s.own_state, s.own_since, s.failures, s.successes, s.streak_since,
    s.history, s.flapping, s.suspected_until, s.memory, s.pushed_at, s.pushed_status,
    s.pushed_output
"""

_CLAIM: Final = f"""
WITH picked AS (
    SELECT s.check_id, s.next_due_at AS due
    FROM health_checkstatus s
    WHERE {{condition}} AND (s.lease_until IS NULL OR s.lease_until < %(now)s)
    ORDER BY s.next_due_at
    LIMIT %(limit)s
    FOR UPDATE OF s SKIP LOCKED
)
UPDATE health_checkstatus s SET
    lease_until = GREATEST(picked.due, %(now)s) + %(margin)s
        + make_interval(secs => c.timeout_seconds),
    fence = s.fence + 1,
    run_again = false
FROM picked, health_check c
WHERE s.check_id = picked.check_id AND c.id = s.check_id
RETURNING {_COLUMNS}
"""


def claim_due(*, now: datetime, until: datetime, limit: int) -> list[Claim]:
    """Claim at most `limit` checks that are due before `until`, the longest due first."""
    condition = "s.next_due_at <= %(until)s"
    return _claim(condition, {"now": now, "until": until, "limit": limit})


def claim_one(*, check_id: UUID, now: datetime) -> Claim | None:
    """Claim a check whether or not it is due; None while somebody else runs it.

    A check that is switched off can be claimed too: its result is recorded, its rest stays.
    """
    values: dict[str, Any] = {"now": now, "check_id": check_id, "limit": 1}
    return next(iter(_claim("s.check_id = %(check_id)s", values)), None)


def _claim(condition: str, values: dict[str, Any]) -> list[Claim]:
    values["margin"] = LEASE_MARGIN
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM.format(condition=condition), values)
        rows = cursor.fetchall()
    claims = [_read(row, values["now"]) for row in rows]
    return sorted(claims, key=lambda claim: claim.due_at)


def _read(row: tuple[Any, ...], now: datetime) -> Claim:
    (check_id, fence, version, name, service, kind, enabled, due_at, *rest) = row
    (interval, timeout, failures_to_down, successes_to_up, degraded_above_ms, *rest) = rest
    memory = rest[8]
    return Claim(
        check_id=check_id,
        fence=fence,
        version=version,
        name=name,
        service=service,
        kind=kind,
        enabled=enabled,
        due_at=due_at or now,
        pace=Pace(interval, timeout, failures_to_down),
        thresholds=Thresholds(failures_to_down, successes_to_up),
        degraded_above_ms=degraded_above_ms,
        own=OwnState(*rest[:7]),
        suspected_until=rest[7],
        memory=memory if isinstance(memory, dict) else orjson.loads(memory),
        pushed_at=rest[9],
        pushed_status=rest[10],
        pushed_output=rest[11],
    )


def release(*, claims: list[Claim]) -> None:
    """Give claims back that were not run: they are due again at once."""
    with transaction.atomic(), connection.cursor() as cursor:
        graph_lock_shared()
        cursor.execute(
            "UPDATE health_checkstatus s SET lease_until = NULL "
            "FROM unnest(%s::uuid[], %s::bigint[]) AS mine (check_id, fence) "
            "WHERE s.check_id = mine.check_id AND s.fence = mine.fence",
            [[claim.check_id for claim in claims], [claim.fence for claim in claims]],
        )

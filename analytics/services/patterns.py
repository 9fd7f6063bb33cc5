"""Writes of error patterns: counting, and what people decide about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection, transaction

from analytics.choices import PatternState
from analytics.domain.fingerprints import GROUPING_VERSION
from analytics.models import ErrorPattern
from resilience_site.core import journal
from resilience_site.core.audit import audit_record

if TYPE_CHECKING:
    from analytics.services.error_store import PreparedError
    from resilience_site.core.audit import Actor

_UPSERT = f"""
INSERT INTO analytics_errorpattern AS p
    (id, service, type, template, rule, version, state, count, first_seen, last_seen, last_error_id)
SELECT id, service, type, template, rule, {GROUPING_VERSION}, 'new', count, first, last, last_error
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
    %s::timestamptz[], %s::timestamptz[], %s::uuid[])
    AS seen (id, service, type, template, rule, count, first, last, last_error)
ON CONFLICT (id) DO UPDATE SET
    count = p.count + excluded.count,
    first_seen = LEAST(p.first_seen, excluded.first_seen),
    last_seen = GREATEST(p.last_seen, excluded.last_seen),
    last_error_id = CASE WHEN excluded.last_seen >= p.last_seen
        THEN excluded.last_error_id ELSE p.last_error_id END,
    state = CASE
        WHEN p.state = 'resolved' THEN 'regressed'
        WHEN p.state = 'new' AND excluded.last_seen > p.first_seen + interval '1 day' THEN 'ongoing'
        ELSE p.state END
RETURNING id::text, service, state, (xmax = 0)
"""


def patterns_count(errors: Sequence[PreparedError]) -> list[tuple[str, str, str, bool]]:
    """Count grouped errors in; returns (id, service, state, new) of each pattern touched.

    Runs inside the caller's transaction, in the order of ids so that two writers never deadlock.
    """
    groups: dict[UUID, list[PreparedError]] = {}
    for error in errors:
        if error.group is not None:
            groups.setdefault(error.group.key, []).append(error)
    if not groups:
        return []
    rows = [_seen(key, groups[key]) for key in sorted(groups)]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [list(column) for column in zip(*rows, strict=True)])
        return cursor.fetchall()


def _seen(key: UUID, members: Sequence[PreparedError]) -> tuple[Any, ...]:
    first, last = min(members, key=_time), max(members, key=_time)
    group, record = last.group, last.record
    assert group is not None
    return (
        key, record.resource.service, record.type, group.template, group.rule,
        len(members), _at(first), _at(last), last.id,
    )  # fmt: skip


def _time(error: PreparedError) -> int:
    return error.record.occurred_ns


def _at(error: PreparedError) -> datetime:
    return datetime.fromtimestamp(error.record.occurred_ns / 1e9, UTC)


def patterns_discount(*, counts: Mapping[str, int]) -> None:
    """Add (negative) counts to patterns, by id."""
    with connection.cursor() as cursor:
        for pattern_id in sorted(counts):
            cursor.execute(
                "UPDATE analytics_errorpattern SET count = count + %s WHERE id = %s",
                [counts[pattern_id], pattern_id],
            )


_DECISIONS = {
    "resolve": PatternState.RESOLVED,
    "ignore": PatternState.IGNORED,
    "reopen": PatternState.ONGOING,
}


def pattern_decide(*, pattern_id: UUID, decision: str, actor: Actor, reason: str) -> ErrorPattern:
    """Resolve, ignore or reopen a pattern; raises `ErrorPattern.DoesNotExist` or `KeyError`."""
    state = _DECISIONS[decision]
    with transaction.atomic():
        pattern = ErrorPattern.objects.select_for_update().get(id=pattern_id)
        before: dict[str, Any] = {"state": pattern.state}
        pattern.state = state
        pattern.save(update_fields=["state"])
        audit_record(
            actor=actor,
            action=f"pattern.{decision}",
            object_type="pattern",
            object_id=str(pattern_id),
            reason=reason,
            before=before,
            after={"state": str(state)},
        )
        journal.append(
            [
                journal.Entry(
                    "patterns", f"pattern.{decision}", str(pattern_id), str(state), pattern.service
                )
            ]
        )
    return pattern

"""Quarantine: a target that no workflow touches any more until a person says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from breakers.services.requests import operator_needed, reason_checked
from healing.actions.base import Subject
from healing.models import Quarantine
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role, Topic
from resilience_site.core.problems import Conflict, NotFound

_OBJECT = "healing_quarantine"


def quarantine_begin(
    *, subject: Subject, reason: str, actor: Actor, now: datetime | None = None
) -> Quarantine:
    """Put a target into quarantine, and tell it once; one that is in it stays as it is."""
    now = now or datetime.now(UTC)
    with transaction.atomic():
        found, new = Quarantine.objects.get_or_create(
            target_kind=subject.kind,
            target=subject.name,
            ended_at=None,
            defaults={"service": subject.service, "reason": reason, "since": now},
        )
        if new:
            audit_record(
                actor=actor,
                action="healing_quarantine.begin",
                object_type=_OBJECT,
                object_id=found.id,
                reason=reason,
                after=_shown(found),
            )
            text = f"{found.target} is in quarantine: nothing heals it until a person releases it."
            journal.append([_entry(found, "target.quarantined", text, reason)])
    return found


def quarantine_release(
    *,
    quarantine_id: UUID,
    reason: Any,
    actor: Actor,
    role: Role | None,
    now: datetime | None = None,
) -> Quarantine:
    """Let workflows heal the target again, with a new budget.

    Raises `Forbidden`, `NotFound`, `Invalid`, and `Conflict` where it was released already; each
    refusal is in the audit trail.
    """
    now = now or datetime.now(UTC)
    with (
        refusals_audited(
            actor=actor,
            action="healing_quarantine.release",
            object_type=_OBJECT,
            object_id=quarantine_id,
        ),
        transaction.atomic(),
    ):
        operator_needed(role)
        why = reason_checked(reason)
        found = Quarantine.objects.select_for_update().filter(id=quarantine_id).first()
        if found is None:
            raise NotFound("There is no such quarantine.")
        before = _shown(found)
        if found.ended_at is not None:
            raise Conflict(
                f"{found.ended_by} released {found.target} already.",
                current=before,
                proposed={"reason": why},
            )
        found.ended_at, found.ended_by, found.ended_reason = now, actor.name, why
        found.save(update_fields=["ended_at", "ended_by", "ended_reason"])
        audit_record(
            actor=actor,
            action="healing_quarantine.release",
            object_type=_OBJECT,
            object_id=found.id,
            reason=why,
            before=before,
            after=_shown(found),
        )
        text = f"{actor.name} released {found.target} from quarantine."
        journal.append([_entry(found, "target.released", text, why)])
    return found


def _shown(row: Quarantine) -> dict[str, Any]:
    return {
        "target": row.target,
        "target_kind": row.target_kind,
        "since": row.since.isoformat(),
        "ended_at": row.ended_at and row.ended_at.isoformat(),
        "ended_by": row.ended_by,
    }


def _entry(row: Quarantine, kind: str, text: str, reason: str) -> journal.Entry:
    state = "quarantined" if row.ended_at is None else "released"
    payload = {
        "target": row.target,
        "target_kind": row.target_kind,
        "service": row.service,
        "text": text,
        "reason": reason,
        "state": state,
        "link": "/healing",
    }
    return journal.Entry(Topic.HEALING, kind, row.target, state, row.service, payload)

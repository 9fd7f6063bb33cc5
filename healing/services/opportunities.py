"""What people do about something that could be healed: start it, or leave it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from breakers.services.requests import operator_needed, reason_checked
from healing.choices import OpportunityState
from healing.models import HealingRun, Opportunity
from healing.services.detecting.attempts import opportunity_subject
from healing.services.detecting.opportunities import opportunity_told
from healing.services.recovery_orchestrator import run_start
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role
from resilience_site.core.problems import Conflict, NotFound


def opportunity_start(
    *,
    opportunity_id: UUID,
    reason: Any,
    actor: Actor,
    role: Role | None,
    mode: str | None = None,
    dry_run: bool = False,
    now: datetime,
) -> HealingRun:
    """Start the workflow of an opportunity on its target.

    Raises `NotFound`, `Conflict` where it is no longer open, and what `run_start` raises.
    """
    found = _found(opportunity_id)
    return run_start(
        workflow=found.workflow,
        subject=opportunity_subject(found),
        actor=actor,
        role=role,
        reason=reason,
        mode=mode,
        dry_run=dry_run,
        opportunity=found,
        now=now,
    )


def opportunity_dismiss(
    *, opportunity_id: UUID, reason: Any, actor: Actor, role: Role | None, now: datetime
) -> Opportunity:
    """Let no workflow act on it until its failure is over and comes back.

    Raises `Forbidden`, `Invalid`, `NotFound`, and `Conflict` where it is no longer open.
    """
    with refusals_audited(
        actor=actor,
        action="opportunity.dismiss",
        object_type="opportunity",
        object_id=str(opportunity_id),
    ):
        operator_needed(role)
        why = reason_checked(reason)
        with transaction.atomic():
            found = _found(opportunity_id, lock=True)
            found.state, found.ended_at, found.next_look_at = (
                OpportunityState.DISMISSED, now, None,
            )  # fmt: skip
            found.dismissed_by, found.dismissed_reason = actor.name, why
            found.save(
                update_fields=[
                    "state", "ended_at", "next_look_at", "dismissed_by", "dismissed_reason",
                ]
            )  # fmt: skip
            audit_record(
                actor=actor,
                action="opportunity.dismiss",
                object_type="opportunity",
                object_id=found.id,
                reason=why,
                after={"workflow": found.workflow.name, "target": found.target},
            )
            entry = opportunity_told(
                "opportunity.dismissed", found, found.workflow, reason=why, actor=actor.name
            )
            journal.append([entry])
    return found


def _found(opportunity_id: UUID, *, lock: bool = False) -> Opportunity:
    rows = Opportunity.objects.select_related("workflow")
    if lock:
        rows = rows.select_for_update(of=("self",))
    found = rows.filter(pk=opportunity_id).first()
    if found is None:
        raise NotFound(f"There is no opportunity {opportunity_id}.")
    if found.state != OpportunityState.OPEN:
        raise Conflict(
            f"It is {found.get_state_display()}.",
            current={"state": found.state},
            proposed={"state": OpportunityState.TAKEN},
        )
    return found

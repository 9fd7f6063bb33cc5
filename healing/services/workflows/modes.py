"""How far a workflow goes without a person: decided by people, with a reason."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from breakers.services.requests import reason_checked
from healing.choices import Mode
from healing.models import Workflow
from healing.services.workflows.rows import (
    OBJECT,
    workflow_found,
    workflow_record,
    workflow_shown,
)
from resilience_site.core.audit import Actor, refusals_audited
from resilience_site.core.problems import Invalid


def workflow_mode_set(
    *,
    name: str,
    mode: str,
    reason: str,
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Workflow:
    """Set the mode of a workflow. Failed runs before this moment no longer count against it.

    To set the mode that it has already is a decision as well: whoever fixed what made runs fail
    gives it its freedom back. Raises `NotFound`, `Conflict` and `Invalid`.
    """
    with (
        refusals_audited(actor=actor, action="workflow.mode", object_type=OBJECT, object_id=name),
        transaction.atomic(),
    ):
        row = workflow_found(name, if_match, {"mode": mode})
        if mode not in Mode.values:
            raise Invalid.field("mode", f"{mode!r} is no mode; known are {', '.join(Mode.values)}.")
        said = reason_checked(reason)
        before = workflow_shown(row)
        row.mode, row.mode_changed_at = mode, now
        row.mode_changed_by, row.mode_reason = actor.name, said
        row.save(
            update_fields=["mode", "mode_changed_at", "mode_changed_by", "mode_reason"],
        )
        workflow_record(row, "mode", actor=actor, reason=said, before=before)
    return row

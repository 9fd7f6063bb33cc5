"""Rows of workflows: written with a version each time what they say changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from healing.domain.definition import Definition, definition_form
from healing.models import Workflow, WorkflowVersion
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, NotFound

OBJECT: Final = "workflow"


def workflow_found(name: str, if_match: int | None, proposed: Mapping[str, Any]) -> Workflow:
    """A workflow, locked. Raises `NotFound`, and `Conflict` where it is at another version."""
    row = Workflow.objects.select_for_update().filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no workflow {printable(name[:100])}.")
    if if_match is not None and if_match != row.version:
        raise Conflict(
            f"{name} was changed by {row.changed_by} since: it is at version {row.version}.",
            current=workflow_shown(row),
            proposed=dict(proposed),
        )
    return row


def workflow_write(
    row: Workflow, definition: Definition, text: str, *, by: str, now: datetime
) -> None:
    """Put a definition into a row that is new or locked, as its next version."""
    row.name, row.title = definition.name, definition.title
    row.description, row.priority = definition.description, definition.priority
    row.definition, row.text = definition_form(definition), text
    row.changed_at, row.changed_by = now, by
    row.version = row.version + 1 if row.created_at else 1
    if not row.created_at:
        row.created_at = row.mode_changed_at = now
    row.save()
    WorkflowVersion.objects.create(
        workflow=row, number=row.version, definition=row.definition, text=text, at=now, by=by
    )


def workflow_shown(row: Workflow) -> dict[str, Any]:
    """What the audit trail keeps of a workflow."""
    return {
        "text": row.text,
        "mode": row.mode,
        "enabled": row.enabled,
        "version": row.version,
    }


def workflow_record(
    row: Workflow,
    verb: str,
    *,
    actor: Actor,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
) -> None:
    """Tell the audit trail and the journal; the last thing in a transaction."""
    gone = verb == "delete"
    audit_record(
        actor=actor,
        action=f"{OBJECT}.{verb}",
        object_type=OBJECT,
        object_id=row.name,
        reason=reason,
        before=before,
        after=None if gone else workflow_shown(row),
    )
    payload = {
        "workflow": row.name,
        "mode": row.mode,
        "version": row.version,
        "actor": actor.name,
        "reason": reason,
        "text": f"{row.title}: {_HAPPENED[verb]} by {actor.name}.",
        "link": f"/healing/workflows/{row.name}",
    }
    state = "deleted" if gone else row.mode if row.enabled else "off"
    journal.append([journal.Entry(Topic.HEALING, "workflow.changed", row.name, state, "", payload)])


_HAPPENED: Final = {
    "create": "written",
    "update": "changed",
    "delete": "deleted",
    "mode": "mode set",
    "enable": "switched on",
    "disable": "switched off",
    "reset": "put back as it was shipped",
}


def text_digest(text: str) -> str:
    """By which a text is known again."""
    return hashlib.sha256(text.encode()).hexdigest()

"""Workflows as people write, change, switch and delete them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from breakers.services.requests import reason_checked
from healing.choices import Mode, Origin
from healing.models import Workflow
from healing.services.workflows.rows import (
    OBJECT,
    workflow_found,
    workflow_record,
    workflow_shown,
    workflow_write,
)
from healing.services.workflows.texts import definition_read
from resilience_site.core.audit import Actor, refusals_audited
from resilience_site.core.problems import Invalid

MOST_WORKFLOWS: Final = 500
# Parts of addresses.
_RESERVED: Final = ("new", "check")


def workflow_create(*, text: str, reason: str = "", actor: Actor, now: datetime) -> Workflow:
    """Make a workflow of a text (YAML or JSON, with its name), in the mode approve.

    Raises `Invalid` with line and reason for each fault.
    """
    with (
        refusals_audited(actor=actor, action="workflow.create", object_type=OBJECT, object_id=""),
        transaction.atomic(),
    ):
        definition = definition_read(text)
        if definition.name in _RESERVED:
            raise Invalid.field("name", f"{definition.name} is taken; choose another name.")
        if Workflow.objects.filter(name=definition.name).exists():
            raise Invalid.field("name", f"There is a workflow {definition.name} already.")
        if Workflow.objects.count() >= MOST_WORKFLOWS:
            raise Invalid(f"There are {MOST_WORKFLOWS} workflows, and no room for more.")
        row = Workflow(origin=Origin.PERSON, mode=Mode.APPROVE, changed_by_person=True)
        workflow_write(row, definition, text, by=actor.name, now=now)
        workflow_record(row, "create", actor=actor, reason=reason)
    return row


def workflow_update(
    *,
    name: str,
    text: str,
    if_match: int | None = None,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> Workflow:
    """Give a workflow another text. Runs that have begun go on with the one that they began with.

    Raises `NotFound`, `Conflict`, and `Invalid` with line and reason for each fault.
    """
    with (
        refusals_audited(actor=actor, action="workflow.update", object_type=OBJECT, object_id=name),
        transaction.atomic(),
    ):
        row = workflow_found(name, if_match, {"text": text})
        definition = definition_read(text)
        if definition.name != name:
            raise Invalid.field("name", "A workflow keeps its name, as its runs go by it.")
        if row.text == text:
            return row
        before = workflow_shown(row)
        row.changed_by_person = True
        workflow_write(row, definition, text, by=actor.name, now=now)
        workflow_record(row, "update", actor=actor, reason=reason, before=before)
    return row


def workflow_switch(
    *,
    name: str,
    enabled: bool,
    if_match: int | None = None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Workflow:
    """Switch a workflow on or off; switched off, it answers to nothing. Runs go on.

    Raises `NotFound`, `Conflict` and `Invalid`.
    """
    verb = "enable" if enabled else "disable"
    with (
        refusals_audited(
            actor=actor, action=f"workflow.{verb}", object_type=OBJECT, object_id=name
        ),
        transaction.atomic(),
    ):
        row = workflow_found(name, if_match, {"enabled": enabled})
        if row.enabled == enabled:
            return row
        before = workflow_shown(row)
        row.enabled = enabled
        row.save(update_fields=["enabled"])
        workflow_record(row, verb, actor=actor, reason=reason_checked(reason), before=before)
    return row


def workflow_delete(
    *, name: str, if_match: int | None = None, reason: str = "", actor: Actor, now: datetime
) -> None:
    """Delete a workflow that a person wrote; its runs stay, each with its copy of it.

    Raises `NotFound`, `Conflict`, and `Invalid` for a shipped one, which would be made again.
    """
    with (
        refusals_audited(actor=actor, action="workflow.delete", object_type=OBJECT, object_id=name),
        transaction.atomic(),
    ):
        row = workflow_found(name, if_match, {})
        if row.origin == Origin.SHIPPED:
            raise Invalid("A shipped workflow can be switched off, not deleted.")
        before = workflow_shown(row)
        workflow_record(row, "delete", actor=actor, reason=reason, before=before)
        row.delete()

"""What people do to runs: each with a reason, written to the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from breakers.services.requests import operator_needed, reason_checked
from healing.choices import OPEN, RunState
from healing.domain.definition import definition_of
from healing.models import HealingRun
from healing.services.runs.ending import run_end, run_move
from healing.services.runs.entries import run_entry
from healing.services.runs.refusals import NotNow
from healing.services.runs.telling import look_soon
from healing.services.runs.undoing import can_undo
from healing.services.runs.verifying import target_look, verification_begin
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role
from resilience_site.core.problems import NotFound

_OBJECT: Final = "healing_run"
_WORKING: Final = (RunState.RUNNING, RunState.VERIFYING)
# What undoing a run that had ended may take.
_ROLLBACK_TIME: Final = timedelta(minutes=15)


def run_approve(
    *, run_id: UUID, reason: Any = "", actor: Actor, role: Role | None, now: datetime | None = None
) -> HealingRun:
    """Say yes to a run that waits for it; guardrails are judged again before it acts."""
    at = now or datetime.now(UTC)
    with _acting("approve", run_id, reason, actor, role, needed=False) as (run, why):
        if run.state != RunState.WAITING_APPROVAL:
            raise NotNow(run, f"It does not wait for approval: it is {run.get_state_display()}.")
        if run.approve_until is not None and at >= run.approve_until:
            raise NotNow(run, "The time in which it could be approved is over.")
        seconds = definition_of(run.definition).deadline_seconds
        run_move(
            run, RunState.PENDING, f"{actor.name} approved it{': ' if why else ''}{why}",
            approved_by=actor.name, approved_at=at, due_at=at,
            deadline=at + timedelta(seconds=seconds),
        )  # fmt: skip
        look_soon(run.pk)
    return run


def run_refuse(
    *, run_id: UUID, reason: Any, actor: Actor, role: Role | None, now: datetime | None = None
) -> HealingRun:
    """Say no to a run that waits for approval."""
    at = now or datetime.now(UTC)
    with _acting("refuse", run_id, reason, actor, role) as (run, why):
        if run.state != RunState.WAITING_APPROVAL:
            raise NotNow(run, f"It does not wait for approval: it is {run.get_state_display()}.")
        _stopped_by(run, actor, why)
        run_end(run, RunState.CANCELLED, f"{actor.name} refused it: {why}", at)
    return run


def run_cancel(
    *, run_id: UUID, reason: Any, actor: Actor, role: Role | None, now: datetime | None = None
) -> HealingRun:
    """End a run where it stands: what was done stays. A step that is being done ends first."""
    at = now or datetime.now(UTC)
    with _acting("cancel", run_id, reason, actor, role) as (run, why):
        if run.state not in OPEN:
            raise NotNow(run, f"It is over: {run.get_state_display()}.")
        if run.undoing:
            raise NotNow(run, "It is undoing what it did, which has to be ended.")
        if run.state == RunState.WAITING_APPROVAL:
            _stopped_by(run, actor, why)
            run_end(run, RunState.CANCELLED, f"{actor.name} cancelled it: {why}", at)
        else:
            _ask(run, at, cancel_asked_by=actor.name, asked_reason=why)
    return run


def _stopped_by(run: HealingRun, actor: Actor, why: str) -> None:
    """Keep that a person put an end to it: the detector does not begin another for the same."""
    run.cancel_asked_by, run.asked_reason = actor.name, why
    run.save(update_fields=["cancel_asked_by", "asked_reason"])


def run_rollback(
    *, run_id: UUID, reason: Any, actor: Actor, role: Role | None, now: datetime | None = None
) -> HealingRun:
    """Undo what a run did, in reverse order, whether it is under way or over."""
    at = now or datetime.now(UTC)
    with _acting("rollback", run_id, reason, actor, role) as (run, why):
        if run.dry_run or run.state in (RunState.PENDING, RunState.WAITING_APPROVAL):
            raise NotNow(run, "It has done nothing that could be undone.")
        if run.state == RunState.ROLLED_BACK or run.undoing:
            raise NotNow(run, "It has been undone already, as far as it can be.")
        run.rollback_asked_by = actor.name
        if run.state in _WORKING:
            _ask(run, at, rollback_asked_by=actor.name, asked_reason=why)
        else:
            _undo_again(run, actor, why, at)
    return run


def _undo_again(run: HealingRun, actor: Actor, why: str, at: datetime) -> None:
    undoable = [each for each in run.steps.all() if each.attempt and can_undo(run, each)]
    if not undoable:
        raise NotNow(run, "Nothing that it did can be undone.")
    try:
        with transaction.atomic():
            run_move(
                run, RunState.RUNNING, f"{actor.name} has it undone: {why}",
                rollback_asked_by=actor.name, asked_reason=why, ended_at=None, due_at=at,
                lease_until=None, deadline=at + _ROLLBACK_TIME,
                undoing=f"{actor.name} rolled it back: {why}.",
            )  # fmt: skip
    except IntegrityError:
        raise NotNow(run, f"Another run is at work on {run.target}; wait for its end.") from None
    look_soon(run.pk)


def run_verify(
    *, run_id: UUID, reason: Any = "", actor: Actor, role: Role | None, now: datetime | None = None
) -> HealingRun:
    """Look at the target now. Of a run that is over, `evidence["verified"]` says how it stands:
    `{"well", "text", "at"}`; one that is under way has its verification hurried."""
    at = now or datetime.now(UTC)
    with _acting("verify", run_id, reason, actor, role, needed=False) as (run, _):
        if run.state == RunState.VERIFYING:
            run.due_at = at
            run.save(update_fields=["due_at"])
            look_soon(run.pk)
        verification_begin(run, at)
        definition = definition_of(run.definition)
        found = target_look(
            run, definition, run.verify_since or run.created_at, at,
            passed=definition.verification.passes,
        )  # fmt: skip
        told = {"well": found.well, "text": found.text, "at": at.isoformat()}
        run.evidence = {**run.evidence, "verified": told}
        run.save(update_fields=["evidence"])
    return run


def _ask(run: HealingRun, at: datetime, **asked: str) -> None:
    """Whoever advances the run sees it before its next step."""
    for name, value in asked.items():
        setattr(run, name, value)
    run.due_at = at
    run.save(update_fields=["due_at", *asked])
    journal.append([run_entry("run.asked", run, run.asked_reason)])
    look_soon(run.pk)


@contextmanager
def _acting(
    verb: str, run_id: UUID, reason: Any, actor: Actor, role: Role | None, *, needed: bool = True
) -> Iterator[tuple[HealingRun, str]]:
    """The run, locked in a transaction, and the reason; refusals are in the audit trail."""
    action = f"{_OBJECT}.{verb}"
    with refusals_audited(actor=actor, action=action, object_type=_OBJECT, object_id=run_id):
        operator_needed(role)
        why = reason_checked(reason, needed=needed)
        with transaction.atomic():
            rows = HealingRun.objects.select_for_update(no_key=True)
            run = rows.filter(pk=run_id).first()
            if run is None:
                raise NotFound("There is no such run.")
            before = run.state
            audit_record(
                actor=actor, action=action, object_type=_OBJECT, object_id=run_id, reason=why,
                before={"state": before, "workflow": run.workflow, "target": run.target},
            )  # fmt: skip
            yield run, why

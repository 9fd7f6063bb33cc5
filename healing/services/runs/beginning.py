"""Right before the first act: guardrails once more, as much may have happened since the last."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from healing.choices import Mode, RunState
from healing.domain.definition import Definition
from healing.models import HealingRun
from healing.services.guardrails import guardrails_judge
from healing.services.runs.contexts import Hands
from healing.services.runs.ending import run_end, run_move
from healing.services.runs.entries import run_entry, subject_of
from healing.services.runs.standing import neighbours_failing, recovered_by_itself
from healing.services.runs.starting import state_allowed
from resilience_site.core import journal

RECOVERED: Final = "Its target recovered by itself before anything was done."


def run_begin(hands: Hands, run: HealingRun, definition: Definition) -> datetime | None:
    """Let a pending run begin, or wait for approval after all, or end it refused."""
    now = hands.now()
    if run.cancel_asked_by:
        with hands.lease.writing() as row:
            run_end(row, RunState.CANCELLED, _cancelled(row), now)
        return None
    if now >= run.deadline:
        with hands.lease.writing() as row:
            run_end(row, RunState.CANCELLED, "Nobody looked at it before its deadline.", now)
        return None
    approved = bool(run.approved_by)
    # Whoever starts a run themselves knows how the target is.
    if run.approved_at != run.created_at and recovered_by_itself(run, now):
        with hands.lease.writing() as row:
            run_end(row, RunState.CANCELLED, RECOVERED, now)
        return None
    asked = Mode.AUTO if approved else Mode(run.mode)
    workflow = run.workflow_row
    if workflow is None:
        with hands.lease.writing() as row:
            run_end(row, RunState.CANCELLED, workflow_gone(row), now)
        return None
    failing = sorted(str(each) for each in neighbours_failing(run.service))
    with hands.lease.writing() as row:
        # What follows from a refusal is written with it.
        judgement = guardrails_judge(
            workflow=workflow,
            definition=definition,
            subject=subject_of(row),
            wanted_mode=asked.value,
            by_person=approved,
            now=now,
            run=row,
        )
        state, refusal = state_allowed(judgement, asked=asked, by_person=approved)
        row.guardrails = [each.form() for each in judgement.verdicts]
        row.save(update_fields=["guardrails"])
        if refusal is not None:
            row.refused_by = refusal.name
            row.save(update_fields=["refused_by"])
            words = f"Refused by {refusal.name.replace('_', ' ')}: {refusal.reason}"
            run_end(row, RunState.CANCELLED, words, now)
            journal.append([run_entry("run.refused", row, words)])
            return None
        if state == RunState.WAITING_APPROVAL:
            until = now + timedelta(seconds=definition.guards.approval_seconds)
            run_move(
                row, RunState.WAITING_APPROVAL, f"{definition.title} on {row.target} waits for a "
                "person's yes", mode=Mode.APPROVE, approve_until=until, due_at=until,
                deadline=until + timedelta(seconds=definition.deadline_seconds),
            )  # fmt: skip
            return until
        run_move(
            row, RunState.RUNNING, f"{definition.title} on {row.target} begins",
            started_at=now, failing_before=failing,
        )  # fmt: skip
    return None


def workflow_gone(run: HealingRun) -> str:
    """Why a run whose workflow is no longer there does not begin."""
    return f"The workflow {run.workflow} was deleted."


def _cancelled(run: HealingRun) -> str:
    return f"Cancelled by {run.cancel_asked_by}: {run.asked_reason}"

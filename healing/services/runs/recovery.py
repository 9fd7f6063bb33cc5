"""Recovery: advances a run as far as it goes, one thing after the other, under its lease."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from healing.actions.base import LeaseLost
from healing.choices import OPEN, RunState
from healing.domain.definition import Definition, definition_of
from healing.domain.machine import RunSeen, StepSeen, Thing, may_have_acted, next_thing
from healing.models import HealingRun, HealingStep
from healing.services.runs.beginning import RECOVERED, run_begin
from healing.services.runs.contexts import Hands, Now, utc_now
from healing.services.runs.dry import run_dry
from healing.services.runs.ending import run_end, run_move
from healing.services.runs.leases import lease_claim
from healing.services.runs.proving import step_prove
from healing.services.runs.reaper import approval_end
from healing.services.runs.standing import recovered_by_itself
from healing.services.runs.steps import (
    left_of,
    step_act,
    step_examine,
    steps_doubt,
    steps_unproven,
)
from healing.services.runs.stopping import run_stopped
from healing.services.runs.undoing import can_undo, step_undo, undo_begin
from healing.services.runs.verifying import (
    target_look,
    verification_begin,
    verification_seconds,
)

logger = logging.getLogger(__name__)

# How soon a run that is being verified is looked at again.
_POLL: Final = timedelta(seconds=1)
# How soon one that this site itself could not advance is.
_AFTER_FAULT: Final = timedelta(seconds=10)


def run_look(run_id: UUID, *, now: Now = utc_now) -> bool:
    """Advance a run as far as it goes now; whether this worker did, and no other."""
    lease = lease_claim(run_id=run_id, now=now())
    if lease is None:
        return False
    hands = Hands(lease, now)
    with lease.beating():
        try:
            due_at = _advance_or_later(hands)
        except LeaseLost:
            logger.warning("The run %s went to another worker", run_id)
            return False
    if due_at is not None:
        lease.release(due_at)
    return True


def _advance_or_later(hands: Hands) -> datetime | None:
    try:
        return _advance(hands)
    except LeaseLost:
        raise
    except Exception:
        logger.exception("The run %s could not be advanced", hands.lease.run_id)
        return _after_fault(hands)


def _after_fault(hands: Hands) -> datetime | None:
    """Try again soon, but not beyond the deadline: then a person has to know."""
    now = hands.now()
    with hands.lease.writing() as run:
        if now >= run.deadline and run.state in (RunState.RUNNING, RunState.VERIFYING):
            steps_unproven(run, now)
            run_end(run, RunState.ESCALATED, "This site could not advance it; see its log.", now)
            return None
        if now >= run.deadline and run.state != RunState.WAITING_APPROVAL:
            run_end(run, RunState.CANCELLED, "This site could not begin it; see its log.", now)
            return None
    return now + _AFTER_FAULT


def _advance(hands: Hands) -> datetime | None:
    """Do one thing after the other; when the run is to be looked at again, None once it is over."""
    steps_doubt(hands)
    while True:
        run = HealingRun.objects.prefetch_related("steps").get(pk=hands.lease.run_id)
        if run.fence != hands.lease.fence:
            raise LeaseLost(f"Another worker advances the run {run.pk}.")
        definition = definition_of(run.definition)
        if run.state not in OPEN:
            return None
        if run.state == RunState.WAITING_APPROVAL:
            return _waited(hands)
        if run.dry_run:
            run_dry(hands, run)
            return None
        due_at = _one_thing(hands, run, definition)
        if due_at is not None and due_at > hands.now():
            return due_at


def _waited(hands: Hands) -> datetime | None:
    with hands.lease.writing() as run:
        if run.state != RunState.WAITING_APPROVAL:
            # A person answered, or the reaper ended it, since it was read.
            return hands.now()
        if run.approve_until is not None and run.approve_until > hands.now():
            return run.approve_until
        approval_end(run, hands.now())
    return None


def _one_thing(hands: Hands, run: HealingRun, definition: Definition) -> datetime | None:
    """Do the next thing; when to go on, None for at once."""
    if run.state == RunState.PENDING:
        return run_begin(hands, run, definition)
    seen = _seen(run, definition)
    thing = next_thing(seen)
    if run.state == RunState.VERIFYING and thing.kind != "examine":
        thing = Thing("verify")
    # What is not known has to be found out whatever comes next.
    if thing.kind != "examine" and run_stopped(hands, run, seen, thing):
        return None
    if run.state == RunState.VERIFYING and thing.kind == "verify":
        return _verify(hands, run, definition)
    return _do(hands, run, definition, seen, thing)


def _do(
    hands: Hands, run: HealingRun, definition: Definition, seen: RunSeen, thing: Thing
) -> datetime | None:
    step = next((each for each in run.steps.all() if each.n == thing.n), None)
    match thing.kind:
        case "act" if thing.at is not None and thing.at > hands.now():
            # A run that waits for another attempt is not over its deadline before anyone looks.
            return min(thing.at, run.deadline)
        case "act" if step is not None:
            step_act(hands, run, step)
        case "examine" if step is not None:
            step_examine(hands, run, step)
        case "prove" if step is not None:
            return step_prove(hands, run, step)
        case "verify":
            _verification_begin(hands, run, definition)
        case "undo" if step is not None:
            step_undo(hands, run, step)
        case "give_up" if step is not None:
            undo_begin(hands, f"Step {step.name} failed: {step.error}")
        case "exhausted" if not _acted(seen) and recovered_by_itself(run, hands.now()):
            with hands.lease.writing() as row:
                run_end(row, RunState.CANCELLED, RECOVERED, hands.now())
        case "exhausted":
            undo_begin(hands, run.outcome or "No step of it could be done.")
        case "undone":
            _end_undone(hands, run, seen)
        case _:
            raise AssertionError(f"{thing} of a run without this step")
    return None


def _seen(run: HealingRun, definition: Definition) -> RunSeen:
    undoing = bool(run.undoing)
    steps = [
        StepSeen(
            n=each.n,
            state=each.state,
            attempts=each.attempt if each.started_at is not None else 0,
            ended_at=each.ended_at,
            retry_at=each.retry_at,
            can_undo=undoing and can_undo(run, each),
            undo_state=each.undo_state,
        )
        for each in run.steps.all()
    ]
    return RunSeen(
        steps=steps,
        ladder=definition.strategy == "ladder",
        undoing=undoing,
        verified_from=run.verify_since,
    )


# --- Verification -----------------------------------------------------------------------------


def _verification_begin(hands: Hands, run: HealingRun, definition: Definition) -> None:
    now = hands.now()
    seconds = verification_seconds(definition)
    proof = verification_begin(run, now)
    with hands.lease.writing() as row:
        told = {"proof": proof.words, "by": proof.kind, "text": ""}
        run_move(
            row, RunState.VERIFYING,
            f"Looking whether {row.target} is well again: told by {proof.words}",
            verify_since=now, verify_until=now + timedelta(seconds=seconds), passes=0,
            evidence={**row.evidence, "verification": told},
        )  # fmt: skip


def _verify(hands: Hands, run: HealingRun, definition: Definition) -> datetime | None:
    now = hands.now()
    since = run.verify_since or now
    found = target_look(run, definition, since, now)
    evidence = {"verification": {"text": found.text, **found.evidence}}
    with hands.lease.writing() as row:
        row.passes = found.passes
        row.evidence = {**row.evidence, **evidence}
        row.save(update_fields=["passes", "evidence"])
        if found.well:
            run_end(row, RunState.SUCCEEDED, f"{found.text}.", now, evidence)
            return None
        if row.verify_until is not None and now < row.verify_until:
            return now + _POLL
        # Kept for the case that nothing is left to be done.
        words = f"{row.target} was not well within {(now - since).total_seconds():.0f} s: "
        row.outcome = f"{words}{found.text}."
        row.save(update_fields=["outcome"])
        run_move(row, RunState.RUNNING, row.outcome)
    return None


# --- Ends -------------------------------------------------------------------------------------


def _end_undone(hands: Hands, run: HealingRun, seen: RunSeen) -> None:
    steps = list(run.steps.all())
    evidence = _evidence(run, steps)
    words = undone_words(evidence)
    asked = bool(run.rollback_asked_by)
    acted = _acted(seen)
    if asked and not evidence["not_undone"]:
        state = RunState.ROLLED_BACK
    elif acted or asked:
        state = RunState.ESCALATED
    else:
        state = RunState.FAILED
    with hands.lease.writing() as row:
        run_end(row, state, f"{row.undoing} {words}".strip(), hands.now(), evidence)


def _acted(seen: RunSeen) -> bool:
    return any(may_have_acted(each) for each in seen.steps)


def _evidence(run: HealingRun, steps: list[HealingStep]) -> dict[str, Any]:
    return {
        "why": run.undoing,
        "failed": [
            {"step": each.name, "error": each.error} for each in steps if each.state == "failed"
        ],
        "undone": [each.name for each in steps if each.undo_state == "succeeded"],
        "not_undone": [
            {"step": each.name, "error": each.undo_output}
            for each in steps
            if each.undo_state == "failed"
        ],
        "left": [each.name for each in left_of(steps) if not each.undo_state],
    }


def undone_words(evidence: Mapping[str, Any]) -> str:
    """What was undone and what was not, in words."""
    parts = []
    if evidence["undone"]:
        parts.append(f"Undone: {', '.join(evidence['undone'])}.")
    if evidence["not_undone"]:
        names = ", ".join(each["step"] for each in evidence["not_undone"])
        parts.append(f"Could not be undone: {names}.")
    if evidence["left"]:
        parts.append(f"Left as it is: {', '.join(evidence['left'])}.")
    return " ".join(parts)

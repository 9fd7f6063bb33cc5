"""What ends a run before it is done: a person, the kill switch, its deadline."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from healing.choices import RunState
from healing.domain.machine import RunSeen, Thing, may_have_acted
from healing.models import HealingRun
from healing.selectors.switches import stop_of
from healing.services.runs.contexts import Hands
from healing.services.runs.ending import run_end
from healing.services.runs.steps import left_of, steps_unproven
from healing.services.runs.undoing import undo_begin

# What undoing may take beyond the deadline.
_UNDO_TIME: Final = timedelta(minutes=15)
_ACTS: Final = frozenset({"act", "undo"})


def run_stopped(hands: Hands, run: HealingRun, seen: RunSeen, thing: Thing) -> bool:
    """Whether something ends the run, or has it go another way, before the next thing is done."""
    now = hands.now()
    left = [each.name for each in left_of(run.steps.all())]
    words = f" Left as it is: {', '.join(left)}." if left else ""
    acted = any(may_have_acted(each) for each in seen.steps)
    if run.cancel_asked_by and not run.undoing:
        text = f"Cancelled by {run.cancel_asked_by}: {run.asked_reason}.{words}"
        with hands.lease.writing() as row:
            steps_unproven(row, now)
            run_end(row, RunState.CANCELLED, text, now, {"left": left})
        return True
    stop = (
        stop_of(run.service, now, by_person=bool(run.approved_by or run.rollback_asked_by))
        if thing.kind in _ACTS
        else None
    )
    if stop is not None:
        state = RunState.ESCALATED if acted else RunState.CANCELLED
        with hands.lease.writing() as row:
            text = f"The kill switch stops healing: {stop.reason}.{words}"
            run_end(row, state, text, now, {"left": left})
        return True
    if run.rollback_asked_by and not run.undoing:
        undo_begin(hands, f"{run.rollback_asked_by} rolled it back: {run.asked_reason}.")
        return True
    if now >= run.deadline and not run.undoing:
        undo_begin(hands, "It did not end before its deadline.")
        return True
    if now >= run.deadline + _UNDO_TIME:
        with hands.lease.writing() as row:
            run_end(row, RunState.ESCALATED, f"{row.undoing} Undoing it took too long.", now)
        return True
    return False

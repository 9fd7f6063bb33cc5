"""Undoing what a run did, in reverse order."""

from __future__ import annotations

from dataclasses import dataclass

from healing.actions.base import Action, ActionFailed, Done
from healing.actions.registry import actions_known
from healing.choices import RunState, StepState
from healing.domain.definition import Call
from healing.domain.output import output_clean
from healing.models import HealingRun, HealingStep
from healing.services.runs.contexts import Hands, context_of
from healing.services.runs.ending import run_move
from healing.services.runs.entries import step_entry, subject_of
from healing.services.runs.steps import connection_let_go, guarded, step_of, steps_unproven
from healing.services.targets import Resolved, step_resolve
from health.checks.words import one_line
from resilience_site.core import journal


@dataclass(frozen=True)
class _Way:
    """How a step is undone: by another call, or by its own action."""

    resolved: Resolved
    by_call: bool

    @property
    def action(self) -> Action[object]:
        return self.resolved.action


def undo_begin(hands: Hands, why: str) -> None:
    """From now on the run does nothing but undo what it did."""
    with hands.lease.writing() as run:
        steps_unproven(run, hands.now())
        run.undoing = why
        run.save(update_fields=["undoing"])
        if run.state != RunState.RUNNING:
            run_move(run, RunState.RUNNING, f"Undoing what was done: {why}")


def can_undo(run: HealingRun, step: HealingStep) -> bool:
    """Whether a step has to be undone, and there is a way. What may be left as it is, is only
    undone where a person asks for it."""
    wanted = step_of(run, step)
    if wanted.compensate is not None:
        return True
    action = actions_known().get(step.resolved)
    if action is None or not action.undoes_itself:
        return False
    return bool(run.rollback_asked_by) or not _may_stay(run, step, action)


def _may_stay(run: HealingRun, step: HealingStep, action: Action[object]) -> bool:
    try:
        return step_resolve(step_of(run, step), subject_of(run)).safe_to_leave
    except ActionFailed:
        return action.safe_to_leave


def step_undo(hands: Hands, run: HealingRun, step: HealingStep) -> None:
    """Undo a step and write down what came of it. Raises `LeaseLost`.

    Where nobody saw the end of undoing it, it is undone again: to put back what was is the same
    twice. Only a call that may not be repeated is not.
    """
    wanted = step_of(run, step)
    try:
        call: Call | None = wanted.compensate
        way = _Way(step_resolve(call or wanted, subject_of(run)), call is not None)
    except ActionFailed as error:
        _close(hands, step, StepState.FAILED, error.message)
        return
    if step.undo_state == StepState.UNKNOWN and way.by_call and not way.action.repeatable:
        _close(
            hands, step, StepState.FAILED,
            f"Nobody saw the end of {way.action.label}, and it may not be done twice.",
        )  # fmt: skip
        return
    _begin(hands, step)
    context = context_of(hands, run, step, wanted.timeout_seconds, step.before, part=":undo")
    secrets = way.resolved.secrets
    connection_let_go()
    try:
        done = _undone(way, context)
    except ActionFailed as error:
        said = f"{error.message}\n{error.output}".strip()
        _close(hands, step, StepState.FAILED, output_clean(said, secrets))
        return
    _close(hands, step, StepState.SUCCEEDED, output_clean(done.output, secrets))


def _undone(way: _Way, context: object) -> Done:
    act = way.action.act if way.by_call else way.action.undo
    return guarded(lambda: act(way.resolved.parameters, context), "What undoes it")  # type: ignore[arg-type]


def _begin(hands: Hands, step: HealingStep) -> None:
    with hands.lease.writing() as run:
        step.undo_state, step.undo_started_at = StepState.RUNNING, hands.now()
        step.save(update_fields=["undo_state", "undo_started_at"])
        journal.append([step_entry(run, step, f"Undoing {_label(step)} on {run.target}")])


def _close(hands: Hands, step: HealingStep, state: StepState, output: str) -> None:
    with hands.lease.writing() as run:
        step.undo_state, step.undo_output, step.undo_ended_at = state, output, hands.now()
        if state == StepState.SUCCEEDED:
            step.state = StepState.COMPENSATED
        step.save(update_fields=["state", "undo_state", "undo_output", "undo_ended_at"])
        words = "was undone" if state == StepState.SUCCEEDED else "could not be undone"
        said = one_line(output, 200)
        text = f"{_label(step)} on {run.target} {words}{': ' if said else ''}{said}"
        journal.append([step_entry(run, step, text)])


def _label(step: HealingStep) -> str:
    return (step.resolved or step.action).replace("_", " ")

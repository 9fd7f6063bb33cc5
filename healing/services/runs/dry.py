"""Dry runs: what each step would do to the real target, told and not done."""

from __future__ import annotations

from healing.actions.base import ActionFailed
from healing.choices import RunState, StepState
from healing.domain.output import output_clean
from healing.models import HealingRun, HealingStep
from healing.services.runs.conditions import condition_words
from healing.services.runs.contexts import Hands, context_of
from healing.services.runs.ending import run_end
from healing.services.runs.entries import subject_of
from healing.services.runs.preconditions import precondition_missing
from healing.services.runs.steps import guarded, step_of
from healing.services.targets import step_resolve

# Seconds that it may take to tell an effect.
_EFFECT_SECONDS = 30.0


def run_dry(hands: Hands, run: HealingRun) -> None:
    """Tell the effect of every step and end the run; the target is looked at, and not touched."""
    if run.state == RunState.PENDING:
        with hands.lease.writing() as row:
            row.state, row.started_at = RunState.RUNNING, hands.now()
            row.save(update_fields=["state", "started_at"])
    for step in run.steps.all():
        _told(hands, run, step)
    words = "Dry run: nothing was done."
    if run.refused_by:
        words = f"{words} {run.refused_by.replace('_', ' ').capitalize()} would have refused it."
    with hands.lease.writing() as row:
        run_end(row, RunState.SUCCEEDED, words, hands.now())


def _told(hands: Hands, run: HealingRun, step: HealingStep) -> None:
    wanted = step_of(run, step)
    step.started_at, step.state = hands.now(), StepState.SUCCEEDED
    secrets: frozenset[str] = frozenset()
    try:
        resolved = step_resolve(wanted, subject_of(run))
        secrets = resolved.secrets
        step.resolved, step.parameters = resolved.action.name, resolved.shown
        context = context_of(hands, run, step, _EFFECT_SECONDS, {})
        told = guarded(lambda: resolved.action.effect(resolved.parameters, context), "Its effect")
        step.output = output_clean(told, secrets)
        if wanted.verification is not None:
            words = condition_words(wanted.verification, run, hands.now())
            step.verification = {"words": words}
        missing = precondition_missing(wanted.precondition, run, hands.now())
        if missing:
            step.state, step.error = StepState.SKIPPED, missing
    except ActionFailed as error:
        step.state, step.error = StepState.FAILED, output_clean(error.message, secrets)
    step.ended_at = hands.now()
    with hands.lease.writing():
        step.save()

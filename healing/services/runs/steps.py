"""Steps: what is seen before the act is written down first, then the act, then what it came to.

A step that has a verification of its own is `verifying` once its action ended; see `proving`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db import connection

from healing.actions.base import ActionFailed, Context, Done, LeaseLost
from healing.choices import StepState
from healing.domain.definition import Step, definition_of
from healing.domain.output import output_clean, values_clean
from healing.models import HealingRun, HealingStep
from healing.services.runs.conditions import condition_from, condition_untrue, condition_words
from healing.services.runs.contexts import Hands, context_of
from healing.services.runs.entries import step_entry, subject_of
from healing.services.runs.preconditions import precondition_missing
from healing.services.targets import Resolved, step_resolve
from health.checks.words import one_line
from resilience_site.core import journal

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Beyond its retries, how often a step is done again because its worker died before the act.
TAKEOVERS: Final = 2
# Seconds that it may take to find out whether an act took effect.
_EXAMINE_SECONDS: Final = 30.0
_MOST_ERROR: Final = 1_000
_DONE_UNSEEN: Final = "It had taken effect when another worker took over."
_DOUBTED: Final = "Nobody saw its end; what verifies it tells whether it took effect."
_DIED: Final = "Its worker died before it took effect."
# In `before`: what verifies the step was seen not to be true. Only what becomes true can tell that
# the action took effect.
_UNTRUE: Final = "verification_untrue"


def step_of(run: HealingRun, step: HealingStep) -> Step:
    """The step as the run's frozen definition has it."""
    return definition_of(run.definition).step(step.name)


def step_act(hands: Hands, run: HealingRun, step: HealingStep) -> None:
    """Do a step once and write down what it came to. Raises `LeaseLost`."""
    wanted = step_of(run, step)
    secrets: frozenset[str] = frozenset()
    try:
        missing = precondition_missing(wanted.precondition, run, hands.now())
        if missing:
            required = wanted.precondition is not None and wanted.precondition.required
            state = StepState.FAILED if required else StepState.SKIPPED
            step_close(hands, step, state, error=missing)
            return
        resolved = step_resolve(wanted, subject_of(run))
        secrets = resolved.secrets
        seen = _before(hands, run, step, wanted, resolved)
        if wanted.verification is not None:
            seen[_UNTRUE] = condition_untrue(wanted.verification, run, hands.now())
    except ActionFailed as error:
        step_failed(hands, step, wanted, error, begun=False, secrets=secrets)
        return
    context = context_of(hands, run, step, wanted.timeout_seconds, seen)
    _begin(hands, step, resolved, seen)
    connection_let_go()
    try:
        done = guarded(lambda: resolved.action.act(resolved.parameters, context), "The action")
    except ActionFailed as error:
        step_failed(hands, step, wanted, error, begun=True, secrets=secrets)
        return
    _done(hands, run, step, wanted, done, secrets=secrets)


def _done(
    hands: Hands,
    run: HealingRun,
    step: HealingStep,
    wanted: Step,
    done: Done,
    *,
    doubt: bool = False,
    secrets: Iterable[str] = (),
) -> None:
    """The action ended: the step has succeeded, or what verifies it has to come true first."""
    own = wanted.verification
    if own is None:
        step_close(hands, step, StepState.SUCCEEDED, done=done, secrets=secrets)
        return
    now = hands.now()
    step.verification = {
        "words": condition_words(own, run, now),
        "since": now.isoformat(),
        "until": (condition_from(own, now) + timedelta(seconds=own.timeout_seconds)).isoformat(),
        "passes": 0,
        "text": "",
        "well": None,
        "rounds": step.verification.get("rounds", 0),
        "doubt": doubt,
    }
    with hands.lease.writing() as row:
        step.state, step.retry_at = StepState.VERIFYING, None
        step.output = output_clean(done.output, secrets)
        step.after = values_clean(dict(done.after), secrets)
        step.save()
        words = f"{_label(step)} on {row.target} is verified {step.verification['words']}"
        journal.append([step_entry(row, step, words)])


def _before(
    hands: Hands, run: HealingRun, step: HealingStep, wanted: Step, resolved: Resolved
) -> dict[str, object]:
    """What is seen before the act. What undoes itself goes back to before its first attempt."""
    if step.attempt and resolved.action.undoes_itself:
        return dict(step.before)
    context = context_of(hands, run, step, wanted.timeout_seconds, {})
    seen = guarded(lambda: resolved.action.observe(resolved.parameters, context), "The look at it")
    cleaned: dict[str, object] = values_clean(seen, resolved.secrets)
    return cleaned


def guarded(call: Callable[[], T], what: str) -> T:
    """What `call` returns; a fault of the action's own is `ActionFailed` too."""
    try:
        return call()
    except (ActionFailed, LeaseLost):
        raise
    except Exception as error:
        logger.exception("%s of a step failed by a fault of its own", what)
        raise ActionFailed(f"{what} failed by a fault of its own: {type(error).__name__}") from None


def _begin(hands: Hands, step: HealingStep, resolved: Resolved, before: dict[str, object]) -> None:
    """From here to the end of the act nobody who takes over knows whether it took effect."""
    with hands.lease.writing() as run:
        step.state, step.attempt = StepState.RUNNING, step.attempt + 1
        step.resolved, step.parameters = resolved.action.name, resolved.shown
        step.before, step.started_at = before, hands.now()
        step.ended_at, step.retry_at, step.error = None, None, ""
        step.save()
        journal.append([step_entry(run, step, f"{resolved.action.label} on {run.target}")])


def step_failed(
    hands: Hands,
    step: HealingStep,
    wanted: Step,
    error: ActionFailed,
    *,
    begun: bool,
    secrets: Iterable[str] = (),
) -> None:
    """Another attempt, or the step has failed. One that did not begin counts as an attempt too."""
    attempt = step.attempt if begun else step.attempt + 1
    again = not error.permanent and attempt <= wanted.retries
    text = one_line(output_clean(error.message, secrets), _MOST_ERROR)
    if not again:
        done = Done(output=error.output)
        step_close(hands, step, StepState.FAILED, done=done, error=text, secrets=secrets)
        return
    pause = wanted.retry_seconds * 2 ** (attempt - 1)
    with hands.lease.writing() as run:
        step.state, step.error = StepState.PENDING, text
        step.output = output_clean(error.output, secrets)
        step.attempt = attempt
        step.retry_at = hands.now() + timedelta(seconds=pause)
        step.save()
        journal.append([step_entry(run, step, f"{_label(step)} on {run.target}: {text}")])


def step_close(
    hands: Hands,
    step: HealingStep,
    state: StepState,
    *,
    done: Done | None = None,
    error: str = "",
    secrets: Iterable[str] = (),
) -> None:
    with hands.lease.writing() as run:
        step.state, step.error, step.ended_at, step.retry_at = state, error, hands.now(), None
        if done is not None:
            step.output = output_clean(done.output, secrets)
            step.after = values_clean(dict(done.after), secrets)
        step.save()
        words = error or one_line(step.output, 200) or state.label
        journal.append([step_entry(run, step, f"{_label(step)} on {run.target}: {words}")])


def _label(step: HealingStep) -> str:
    return (step.resolved or step.action).replace("_", " ").capitalize()


def steps_unproven(run: HealingRun, now: datetime) -> None:
    """The run goes another way before steps were verified; inside the caller's transaction."""
    for step in run.steps.filter(state=StepState.VERIFYING):
        step.state, step.ended_at = StepState.FAILED, now
        step.error = "The run did not wait any longer for its verification."
        step.save(update_fields=["state", "ended_at", "error"])


def left_of(steps: Iterable[HealingStep]) -> list[HealingStep]:
    """Those that did something which stands: also one that was not to be tried again."""
    acted = (StepState.SUCCEEDED, StepState.VERIFYING)
    return [
        each
        for each in steps
        if each.state in acted
        or (each.state == StepState.SKIPPED and each.attempt and each.started_at is not None)
    ]


def connection_let_go() -> None:
    """An act may take minutes, in which others need the process's few connections."""
    if not connection.in_atomic_block:
        connection.close()


# --- Steps that nobody saw the end of ---------------------------------------------------------


def steps_doubt(hands: Hands) -> None:
    """Whoever ran these steps is dead: whether they took effect has to be found out. What was
    being verified goes on being: its action was seen to end."""
    with hands.lease.writing() as run:
        for step in run.steps.filter(state=StepState.RUNNING):
            step.state = StepState.UNKNOWN
            step.save(update_fields=["state"])
            journal.append([step_entry(run, step, f"Nobody saw the end of {_label(step)}")])
        run.steps.filter(undo_state=StepState.RUNNING).update(undo_state=StepState.UNKNOWN)


def step_examine(hands: Hands, run: HealingRun, step: HealingStep) -> None:
    """Find out whether a step took effect; only then is it done again, or is it left."""
    wanted = step_of(run, step)
    try:
        resolved = step_resolve(wanted, subject_of(run))
    except ActionFailed as error:
        step_close(hands, step, StepState.FAILED, error=f"Nobody saw its end. {error.message}")
        return
    context = context_of(hands, run, step, _EXAMINE_SECONDS, step.before)
    match _took_effect(resolved, context):
        case True:
            _done(hands, run, step, wanted, Done(_DONE_UNSEEN))
        case None if wanted.verification is not None and step.before.get(_UNTRUE):
            _done(hands, run, step, wanted, Done(_DOUBTED), doubt=True)
        case None if not resolved.action.repeatable:
            step_close(
                hands, step, StepState.FAILED,
                error="Nobody saw its end, it cannot be told whether it took effect, and it may "
                "not be done twice.",
            )  # fmt: skip
        case _ if step.attempt > wanted.retries + TAKEOVERS:
            step_close(hands, step, StepState.FAILED, error="Its workers died again and again.")
        case _:
            step_again(hands, step, hands.now(), _DIED)


def _took_effect(resolved: Resolved, context: Context) -> bool | None:
    try:
        return resolved.action.finished(resolved.parameters, context)
    except LeaseLost:
        raise
    except ActionFailed as error:
        logger.warning("Whether a step took effect cannot be told: %s", error.message)
    except Exception:
        logger.exception("Whether a step took effect could not be asked")
    return None


def step_again(hands: Hands, step: HealingStep, at: datetime, why: str) -> None:
    with hands.lease.writing() as run:
        step.state, step.retry_at = StepState.PENDING, at
        step.error = why
        step.save()
        journal.append([step_entry(run, step, f"{_label(step)} on {run.target} again")])

"""Steps whose action ended, and that have yet to prove that they helped."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from healing.actions.base import ActionFailed
from healing.actions.registry import actions_known
from healing.choices import StepState
from healing.domain.definition import Step
from healing.models import HealingRun, HealingStep
from healing.services.runs.conditions import condition_look
from healing.services.runs.contexts import Hands
from healing.services.runs.proofs import Finding
from healing.services.runs.steps import TAKEOVERS, step_again, step_close, step_failed, step_of

# How soon a step that is being verified is looked at again.
_POLL: Final = timedelta(seconds=1)


def step_prove(hands: Hands, run: HealingRun, step: HealingStep) -> datetime | None:
    """Look whether what verifies a step has come true; when to look again, None once it is over.

    A step of which nobody saw the end had taken effect where it has. Where it has not, it is done
    again, unless it may not be done twice.
    """
    wanted, told, now = step_of(run, step), step.verification, hands.now()
    if wanted.verification is None:
        # Frozen with the run, so that only a definition of another time comes here.
        step_close(hands, step, StepState.SUCCEEDED)
        return None
    since, until = (datetime.fromisoformat(told[each]) for each in ("since", "until"))
    found = condition_look(
        wanted.verification, run, passed=int(told.get("passes", 0)), since=since, now=now
    )
    # That nothing tells how the target is does not tell either that the action took effect.
    tells = not told.get("doubt") or found.evidence.get("by") != "nothing"
    if found.well and tells:
        _keep(step, found, well=True)
        step_close(hands, step, StepState.SUCCEEDED)
        return None
    if now < until:
        _keep(step, found, well=None)
        with hands.lease.writing():
            step.save(update_fields=["verification"])
        return now + _POLL
    _keep(step, found, well=False)
    _unproven(hands, step, wanted, found)
    return None


def _keep(step: HealingStep, found: Finding, *, well: bool | None) -> None:
    told = {"passes": found.passes, "text": found.text, "well": well}
    step.verification = {**step.verification, **told}


def _unproven(hands: Hands, step: HealingStep, wanted: Step, found: Finding) -> None:
    """Its verification did not come true in time: the attempt has failed."""
    doubt = bool(step.verification.get("doubt"))
    action = actions_known().get(step.resolved)
    if doubt and (action is None or not action.repeatable):
        step_close(
            hands, step, StepState.FAILED,
            error="Nobody saw its end, its verification does not tell that it took effect, and it "
            f"may not be done twice. {found.text}.",
        )  # fmt: skip
        return
    if doubt and step.attempt <= wanted.retries + TAKEOVERS:
        step_again(
            hands, step, hands.now(),
            f"Nobody saw its end, and its verification did not come true: {found.text}.",
        )  # fmt: skip
        return
    rounds = int(step.verification.get("rounds", 0)) + 1
    step.verification = {**step.verification, "rounds": rounds}
    step_failed(
        hands, step, wanted,
        ActionFailed(f"It was done and did not help in time: {found.text}.", output=step.output),
        begun=True,
    )  # fmt: skip

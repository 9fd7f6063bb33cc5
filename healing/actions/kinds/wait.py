"""Waiting: what was done before is given time to take effect."""

from __future__ import annotations

from dataclasses import dataclass

from healing.actions.base import Action, ActionFailed, Context, Done, action
from health.checks.options import require_range


@dataclass(frozen=True)
class WaitParameters:
    """`seconds` must be less than the step's timeout."""

    seconds: float = 10.0


@action("wait", "Wait")
class Wait(Action[WaitParameters]):
    """Does nothing for a while."""

    Parameters = WaitParameters
    safe_to_leave = True
    repeatable = True

    def validate(self, parameters: WaitParameters) -> None:
        require_range("seconds", parameters.seconds, 0.0, 600.0)

    def effect(self, parameters: WaitParameters, context: Context) -> str:
        return f"Waits {parameters.seconds:g} s, and changes nothing"

    def act(self, parameters: WaitParameters, context: Context) -> Done:
        if parameters.seconds > context.left:
            raise ActionFailed(
                f"{parameters.seconds:g} s are more than the step has ({context.left:.0f} s)",
                permanent=True,
            )
        context.pause(parameters.seconds)
        return Done(f"Waited {parameters.seconds:g} s")

"""Breaker override: force a breaker to a state for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakers.choices import OverrideState
from breakers.services.overrides import Target, override_clear, override_set
from healing.actions.base import Action, Context, Done, action
from healing.actions.overriding import override_present, override_refuse_persons
from healing.actions.steering import (
    HEALER,
    ROLE,
    SHORTEST,
    breaker_of,
    heard,
    lasting,
    reason_of,
    refusals,
    require_seconds,
    seconds_left,
)
from health.checks.options import OptionError


@dataclass(frozen=True)
class OverrideParameters:
    """`state` is forced_open, forced_closed, disabled or metrics_only, for `seconds`.

    `breaker` is its name in the target's service, or `service/name`; without it the target must be
    a breaker. Without `instance`: in every instance.
    """

    state: str
    breaker: str = ""
    instance: str = ""
    seconds: float = 600.0


@action("breaker_override", "Override a breaker")
class BreakerOverride(Action[OverrideParameters]):
    """Undone, what was in force before is so again. A person's override is never replaced."""

    Parameters = OverrideParameters
    undoes_itself = True
    repeatable = True

    def validate(self, parameters: OverrideParameters) -> None:
        if parameters.state not in OverrideState.values:
            raise OptionError("state", f"must be one of {', '.join(OverrideState.values)}")
        require_seconds("seconds", parameters.seconds)

    def effect(self, parameters: OverrideParameters, context: Context) -> str:
        target = _target(parameters, context)
        present = override_present(target)
        before = f"in place of {present['state']}" if present else "in place of none"
        place = f"instance {target.instance}" if target.instance else "every instance"
        return (
            f"Forces the breaker {target.object_id} to {parameters.state} in {place} "
            f"{lasting(parameters.seconds)}, {before}"
        )

    def observe(self, parameters: OverrideParameters, context: Context) -> dict[str, Any]:
        return {"override": override_present(_target(parameters, context))}

    def act(self, parameters: OverrideParameters, context: Context) -> Done:
        target = _target(parameters, context)
        override_refuse_persons(target)
        with refusals():
            override_set(
                target=target,
                state=parameters.state,
                reason=reason_of(context),
                expires_in=parameters.seconds,
                actor=HEALER,
                role=ROLE,
                now=context.now(),
            )
        words = f"{target.object_id} is {parameters.state} {lasting(parameters.seconds)}"
        return Done(f"{words}. {heard(target.service, context)}")

    def finished(self, parameters: OverrideParameters, context: Context) -> bool | None:
        now = override_present(_target(parameters, context))
        before = context.before["override"]
        new = now is not None and (before is None or now["id"] != before["id"])
        return bool(new and now and now["state"] == parameters.state)

    def undo(self, parameters: OverrideParameters, context: Context) -> Done:
        target = _target(parameters, context)
        now, before = override_present(target), context.before["override"]
        name = target.object_id
        if now is None or now["actor"] != HEALER.name:
            words = f"is {now['state']} by {now['actor']}" if now else "has no override any more"
            return Done(f"{name} {words}: left as it is")
        until = before and before["expires_at"] and datetime.fromisoformat(before["expires_at"])
        left = seconds_left(until or None, context.now()) if before else 0.0
        who: dict[str, Any] = {"actor": HEALER, "role": ROLE, "now": context.now()}
        why = f"put back: {reason_of(context)}"[:1000]
        with refusals():
            if before and left is not None and left >= SHORTEST:
                override_set(
                    target=target, state=before["state"], reason=why, expires_in=left, **who
                )
                words = f"is {before['state']} again"
            else:
                override_clear(target=target, reason=why, **who)
                words = "has no override any more"
        return Done(f"{name} {words}. {heard(target.service, context)}")


def _target(parameters: OverrideParameters, context: Context) -> Target:
    return Target.of_breaker(*breaker_of(parameters.breaker, context), parameters.instance)

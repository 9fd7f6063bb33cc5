"""Degraded mode: let a service run at a lower level for a while, and tell its users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakers.choices import Level
from breakers.models import DegradedMode
from breakers.services.degraded import MAX_NOTICE, degraded_set, notice_default
from healing.actions.base import Action, Context, Done, action
from healing.actions.steering import (
    HEALER,
    ROLE,
    SHORTEST,
    heard,
    lasting,
    reason_of,
    refusals,
    require_seconds,
    seconds_left,
    service_of,
)
from health.checks.options import OptionError

_LEVELS = [level for level in Level.values if level != Level.NORMAL]


@dataclass(frozen=True)
class DegradedParameters:
    """`level` is reduced, essential or offline, `notice` what users are told (a plain sentence
    where it is empty). It ends by itself after `seconds`. Without `service`: the target's."""

    level: str
    notice: str = ""
    seconds: float = 3600.0
    service: str = ""


@action("degraded_mode", "Run in degraded mode")
class DegradedModeAction(Action[DegradedParameters]):
    """Undone, the service runs at the level from before, unless somebody set another meanwhile."""

    Parameters = DegradedParameters
    public = frozenset({"notice"})
    undoes_itself = True
    repeatable = True

    def validate(self, parameters: DegradedParameters) -> None:
        if parameters.level not in _LEVELS:
            raise OptionError("level", f"must be one of {', '.join(_LEVELS)}")
        if len(parameters.notice) > MAX_NOTICE:
            raise OptionError("notice", f"has at most {MAX_NOTICE} characters")
        require_seconds("seconds", parameters.seconds)

    def effect(self, parameters: DegradedParameters, context: Context) -> str:
        service = service_of(parameters.service, context)
        now = level_present(service)["level"]
        notice = parameters.notice or notice_default(service, parameters.level)
        return (
            f"Sets {service} from {now} to {parameters.level} {lasting(parameters.seconds)}; "
            f"its users read: “{notice}”"
        )

    def observe(self, parameters: DegradedParameters, context: Context) -> dict[str, Any]:
        return level_present(service_of(parameters.service, context))

    def act(self, parameters: DegradedParameters, context: Context) -> Done:
        service = service_of(parameters.service, context)
        with refusals():
            mode = degraded_set(
                service=service,
                level=parameters.level,
                notice=parameters.notice,
                reason=reason_of(context),
                expires_in=parameters.seconds,
                actor=HEALER,
                role=ROLE,
                now=context.now(),
            )
        words = f"{service} runs at {mode.level} {lasting(parameters.seconds)}"
        return Done(f"{words}. {heard(service, context)}", {"version": mode.version})

    def finished(self, parameters: DegradedParameters, context: Context) -> bool | None:
        now = level_present(service_of(parameters.service, context))
        return bool(now["level"] == parameters.level and now["version"] > context.before["version"])

    def undo(self, parameters: DegradedParameters, context: Context) -> Done:
        service = service_of(parameters.service, context)
        before, now = context.before, level_present(service)
        if now["level"] != parameters.level or now["actor"] != HEALER.name:
            return Done(f"{service} runs at {now['level']} by {now['actor']}: left as it is")
        until = before["expires_at"] and datetime.fromisoformat(before["expires_at"])
        left = seconds_left(until, context.now())
        over = left is not None and left < SHORTEST
        level = str(Level.NORMAL) if over else before["level"]
        with refusals():
            degraded_set(
                service=service,
                level=level,
                notice="" if over else before["notice"],
                reason=f"put back: {reason_of(context)}"[:1000],
                expires_in=None if over else left,
                actor=HEALER,
                role=ROLE,
                if_match=now["version"],
                now=context.now(),
            )
        return Done(f"{service} runs at {level} again. {heard(service, context)}")


def level_present(service: str) -> dict[str, Any]:
    """The level that a service is to run at now, and who said so."""
    mode = DegradedMode.objects.filter(service=service).first()
    if mode is None:
        return {"level": "normal", "notice": "", "expires_at": None, "version": 0, "actor": ""}
    return {
        "level": str(mode.level),
        "notice": mode.notice,
        "expires_at": mode.expires_at and mode.expires_at.isoformat(),
        "version": mode.version,
        "actor": mode.actor,
    }

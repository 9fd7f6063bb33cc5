"""Restore: let a service run again at the level that a heal had found it at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakers.choices import Level
from breakers.services.degraded import degraded_set
from healing.actions.base import Action, Context, Done, action
from healing.actions.kinds.degraded_mode import level_present
from healing.actions.steering import (
    HEALER,
    ROLE,
    SHORTEST,
    heard,
    reason_of,
    refusals,
    seconds_left,
    service_of,
)
from healing.selectors.degradations import level_before


@dataclass(frozen=True)
class RestoreParameters:
    """Without `service`: the target's."""

    service: str = ""


@action("degraded_restore", "Return to the full level")
class DegradedRestoreAction(Action[RestoreParameters]):
    """Ends what healing decided, never what a person did. Undone, the service runs at the lower
    level again for the time that it would have had."""

    Parameters = RestoreParameters
    undoes_itself = True
    repeatable = True

    def effect(self, parameters: RestoreParameters, context: Context) -> str:
        service = service_of(parameters.service, context)
        now = level_present(service)
        if kept := _kept(service, now):
            return kept
        level, _ = _former(service, now, context)
        return f"Sets {service} from {now['level']} back to {level}"

    def observe(self, parameters: RestoreParameters, context: Context) -> dict[str, Any]:
        return level_present(service_of(parameters.service, context))

    def act(self, parameters: RestoreParameters, context: Context) -> Done:
        service = service_of(parameters.service, context)
        now = level_present(service)
        if kept := _kept(service, now):
            return Done(kept, {"version": now["version"]})
        level, before = _former(service, now, context)
        with refusals():
            mode = degraded_set(
                service=service,
                level=level,
                notice="" if level == Level.NORMAL else before["notice"],
                reason=reason_of(context),
                expires_in=_left(before, context),
                actor=HEALER,
                role=ROLE,
                if_match=now["version"],
                now=context.now(),
            )
        words = f"{service} runs at {level} again. {heard(service, context)}"
        return Done(words, {"version": mode.version})

    def finished(self, parameters: RestoreParameters, context: Context) -> bool | None:
        now = level_present(service_of(parameters.service, context))
        return bool(now["version"] > context.before["version"])

    def undo(self, parameters: RestoreParameters, context: Context) -> Done:
        service = service_of(parameters.service, context)
        before, now = context.before, level_present(service)
        if now["version"] == before["version"] or before["level"] == Level.NORMAL:
            return Done(f"{service} runs at {now['level']}, as before")
        if now["actor"] != HEALER.name:
            return Done(f"{service} runs at {now['level']} by {now['actor']}: left as it is")
        left = _left(before, context)
        if left is not None and left < SHORTEST:
            return Done(f"The time of {before['level']} is over: {service} is left as it is")
        with refusals():
            degraded_set(
                service=service,
                level=before["level"],
                notice=before["notice"],
                reason=f"put back: {reason_of(context)}"[:1000],
                expires_in=left,
                actor=HEALER,
                role=ROLE,
                if_match=now["version"],
                now=context.now(),
            )
        return Done(f"{service} runs at {before['level']} again. {heard(service, context)}")


def _kept(service: str, now: dict[str, Any]) -> str:
    """Why the level is left as it is; empty where it is not."""
    if now["level"] == Level.NORMAL:
        return f"{service} runs at its full level already"
    if now["actor"] != HEALER.name:
        return f"{service} runs at {now['level']} by {now['actor']}: left as it is"
    return ""


def _former(service: str, now: dict[str, Any], context: Context) -> tuple[str, dict[str, Any]]:
    """The level from before the heal, if its time is not over, else the full one."""
    before = level_before(service, now["version"], context.now())
    left = _left(before, context)
    if not before or (left is not None and left < SHORTEST):
        return str(Level.NORMAL), {}
    return str(before["level"]), before


def _left(before: Mapping[str, Any], context: Context) -> float | None:
    until = before.get("expires_at")
    return seconds_left(until and datetime.fromisoformat(until), context.now())

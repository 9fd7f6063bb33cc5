"""Toggle: switch a value for a while, and put it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from breakers.models import Toggle
from breakers.services.toggles import toggle_revert, toggle_set
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


@dataclass(frozen=True)
class ToggleParameters:
    """The toggle `key` is given `value`, for everybody who asks, for `seconds`.

    A toggle that is set holds where it held before; another one in `services`, or in the target's
    service where none are named.
    """

    key: str
    value: Any
    seconds: float = 3600.0
    services: tuple[str, ...] = ()


@action("toggle", "Switch a toggle")
class ToggleAction(Action[ToggleParameters]):
    """Undone, the toggle is what it was before, unless somebody switched it meanwhile."""

    Parameters = ToggleParameters
    public = frozenset({"key", "value", "services"})
    undoes_itself = True
    repeatable = True

    def validate(self, parameters: ToggleParameters) -> None:
        require_seconds("seconds", parameters.seconds)
        try:
            orjson.dumps(parameters.value)
        except TypeError:
            raise OptionError("value", "must be a JSON value") from None

    def effect(self, parameters: ToggleParameters, context: Context) -> str:
        now = _present(parameters.key)
        before = _shown(now["value"]) if now["set"] else "unset"
        places = ", ".join(_services(parameters, context, now)) or "every service"
        return (
            f"Switches {parameters.key} from {before} to {_shown(parameters.value)} "
            f"{lasting(parameters.seconds)}, in {places}"
        )

    def observe(self, parameters: ToggleParameters, context: Context) -> dict[str, Any]:
        return _present(parameters.key)

    def act(self, parameters: ToggleParameters, context: Context) -> Done:
        before = _present(parameters.key)
        with refusals():
            toggle = toggle_set(
                key=parameters.key,
                value=parameters.value,
                reason=reason_of(context),
                expires_in=parameters.seconds,
                otherwise=before["otherwise"],
                services=_services(parameters, context, before),
                instances=before["instances"],
                actor=HEALER,
                role=ROLE,
                now=context.now(),
            )
        words = f"{parameters.key} is {_shown(toggle.value)} {lasting(parameters.seconds)}"
        told = heard(service_of("", context), context)
        return Done(f"{words}. {told}", {"version": toggle.version})

    def finished(self, parameters: ToggleParameters, context: Context) -> bool | None:
        now = _present(parameters.key)
        newer = now["version"] > context.before["version"]
        return bool(newer and now["set"] and now["value"] == parameters.value)

    def undo(self, parameters: ToggleParameters, context: Context) -> Done:
        key, before, now = parameters.key, context.before, _present(parameters.key)
        if not now["set"] or now["actor"] != HEALER.name:
            words = f"is {_shown(now['value'])} by {now['actor']}" if now["set"] else "is unset"
            return Done(f"{key} {words}: left as it is")
        until = before["expires_at"] and datetime.fromisoformat(before["expires_at"])
        left = seconds_left(until, context.now())
        who: dict[str, Any] = {"actor": HEALER, "role": ROLE, "now": context.now()}
        why = f"put back: {reason_of(context)}"[:1000]
        with refusals():
            if before["set"] and left is not None and left >= SHORTEST:
                given = {name: before[name] for name in ("value", *_PLACES)}
                toggle_set(key=key, expires_in=left, reason=why, **given, **who)
            else:
                # Its own end leads to what it rested upon.
                toggle_revert(key=key, reason=why, **who)
        now = _present(key)
        words = f"is {_shown(now['value'])} again" if now["set"] else "is unset again"
        return Done(f"{key} {words}. {heard(service_of('', context), context)}")


_PLACES = ("otherwise", "rollout", "services", "instances")


def _services(parameters: ToggleParameters, context: Context, before: dict[str, Any]) -> list[str]:
    if before["set"]:
        return list(before["services"])
    return list(parameters.services) or [context.subject.service]


def _present(key: str) -> dict[str, Any]:
    toggle = Toggle.objects.filter(key=key).first()
    if toggle is None or not toggle.is_set:
        version = toggle.version if toggle else 0
        return {
            "set": False, "value": None, "otherwise": False, "rollout": 1.0, "services": [],
            "instances": [], "expires_at": None, "version": version, "actor": "",
        }  # fmt: skip
    return {
        "set": True,
        "value": toggle.value,
        "otherwise": toggle.otherwise,
        "rollout": toggle.rollout,
        "services": toggle.services,
        "instances": toggle.instances,
        "expires_at": toggle.expires_at and toggle.expires_at.isoformat(),
        "version": toggle.version,
        "actor": toggle.actor,
    }


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 100 else f"{text[:99]}…"

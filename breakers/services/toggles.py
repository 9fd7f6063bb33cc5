"""Toggles: values that are switched while services run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from breakers.choices import Ending
from breakers.models import ControlDocument, Toggle
from breakers.models.telemetry import NAME
from breakers.selectors.names import service_check
from breakers.services.documents import Editing, document_catch_up, editing
from breakers.services.requests import (
    MAX_TEXT,
    expiry_checked,
    operator_needed,
    reason_checked,
    text_checked,
)
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role
from resilience_site.core.problems import Conflict, Invalid, NotFound

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)
_MAX_VALUE_BYTES = 4_096
# The document that carries the value is JSON as well, and encoders end at 254.
_MAX_VALUE_DEPTH = 32
_MAX_NAMES = 500
# What a permanent toggle is put back to when a temporary value ends.
_RESTING = ("value", "otherwise", "rollout", "services", "instances", "reason", "actor")


def toggle_set(
    *,
    key: str,
    value: Any,
    reason: Any,
    expires_in: Any = None,
    otherwise: Any = False,
    rollout: Any = 1.0,
    services: Any = (),
    instances: Any = (),
    owner: Any = None,
    description: Any = None,
    actor: Actor,
    role: Role | None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> Toggle:
    """Switch a toggle, for good or for `expires_in` seconds; then it goes back to what it was.

    `value` holds for the share `rollout` of those who ask, the rest gets `otherwise`. `services` and
    `instances` narrow where it is told; empty means everywhere. `owner` and `description` stay as
    they are where they are None. Raises `Forbidden`, `NotFound`, `Invalid` and `Conflict`; refusals
    are in the audit trail.
    """
    now = now or datetime.now(UTC)
    with _audited(key, "set", actor):
        operator_needed(role)
        if not _KEY.fullmatch(key):
            raise Invalid.field(
                "path.key", "A toggle's key has letters, digits, dots, dashes and underscores."
            )
        why = reason_checked(reason)
        until = expiry_checked(expires_in, role, now, needed=False)
        given: dict[str, Any] = {
            "value": _value(value, "value"),
            "otherwise": _value(otherwise, "otherwise"),
            "rollout": _share(rollout),
            "services": _names(services, "services"),
            "instances": _names(instances, "instances"),
            "reason": why,
            "actor": actor.name,
        }
        for name in given["services"]:
            service_check(name)
        kept = {
            name: text_checked(text, name, most)
            for name, text, most in (("owner", owner, NAME), ("description", description, MAX_TEXT))
            if text is not None
        }
        held = _all_services(given["services"])
        with editing(held, now) as work:
            toggle = Toggle.objects.select_for_update().filter(key=key).first()
            _check(toggle, if_match, given)
            before = _shown(toggle) if toggle else None
            resting = _resting(toggle) if until is not None else None
            if toggle is None:
                toggle = Toggle(key=key, version=0)
            for name, each in {**given, **kept}.items():
                setattr(toggle, name, each)
            toggle.created_at, toggle.expires_at = now, until
            toggle.resting, toggle.is_set = resting, True
            toggle.version += 1
            toggle.save()
            audit_record(
                actor=actor,
                action="toggle.set",
                object_type="toggle",
                object_id=key,
                reason=why,
                until=until,
                before=before,
                after=_shown(toggle),
            )
            work.tell(_entry(toggle, "toggle.set", actor))
        document_catch_up(held=held, concerned=_all_services(given["services"]), now=now)
    return toggle


def toggle_revert(
    *,
    key: str,
    reason: Any = "",
    actor: Actor,
    role: Role | None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> Toggle:
    """Put a toggle back: to its value before a temporary one, else as if it had never been set.

    Raises as `toggle_set` does.
    """
    now = now or datetime.now(UTC)
    with _audited(key, "revert", actor):
        operator_needed(role)
        why = reason_checked(reason, needed=False)
        known = Toggle.objects.filter(key=key).first()
        if known is None:
            keys = list(Toggle.objects.order_by("key").values_list("key", flat=True)[:50])
            named = ", ".join(keys) or "none yet"
            raise NotFound(f"There is no toggle {key!r}; known: {named}.", allowed=keys)
        held = _all_services(known.services)
        with editing(held, now) as work:
            toggle = Toggle.objects.select_for_update().get(key=key)
            _check(toggle, if_match, {"value": None})
            _end(work, toggle, actor, why, Ending.REVERTED)
        document_catch_up(held=held, concerned=_all_services(toggle.services), now=now)
    return toggle


def toggle_expire(*, key: str, now: datetime) -> bool:
    """Put a toggle back whose time is over; whether this call did it. Any number of callers may."""
    known = Toggle.objects.filter(key=key).first()
    if known is None:
        return False
    held = _all_services(known.services)
    with editing(held, now) as work:
        due = Toggle.objects.select_for_update().filter(key=key, expires_at__lte=now)
        toggle = due.filter(is_set=True).first()
        if toggle is None:
            return False
        _end(work, toggle, Actor.system("expiry"), "its time was over", Ending.EXPIRED)
    document_catch_up(held=held, concerned=_all_services(toggle.services), now=now)
    return True


def _end(work: Editing, toggle: Toggle, actor: Actor, reason: str, ending: Ending) -> None:
    before = _shown(toggle)
    if toggle.resting is None:
        toggle.is_set = False
    else:
        for name in _RESTING:
            setattr(toggle, name, toggle.resting[name])
    toggle.resting = toggle.expires_at = None
    toggle.version += 1
    toggle.save()
    audit_record(
        actor=actor,
        action=f"toggle.{ending}",
        object_type="toggle",
        object_id=toggle.key,
        reason=reason,
        before=before,
        after=_shown(toggle),
    )
    work.tell(_entry(toggle, f"toggle.{ending}", actor))


def _resting(toggle: Toggle | None) -> dict[str, Any] | None:
    """What a temporary value is put upon."""
    if toggle is None or not toggle.is_set:
        return None
    if toggle.expires_at is not None:
        return toggle.resting
    return {name: getattr(toggle, name) for name in _RESTING}


def _check(toggle: Toggle | None, if_match: int | None, proposed: dict[str, Any]) -> None:
    version = toggle.version if toggle else 0
    if if_match is not None and if_match != version:
        raise Conflict(
            f"The toggle has changed: it is at version {version}, and you saw {if_match}.",
            current={"version": version, **(_shown(toggle) if toggle else {})},
            proposed=proposed,
        )


def _all_services(named: Iterable[str]) -> list[str]:
    """The services whose documents a toggle may concern. It may have concerned others before, so
    that is all of them, and those that it names."""
    known = ControlDocument.objects.values_list("service", flat=True)
    return sorted({*known, *named})


def _value(value: Any, field: str) -> Any:
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise Invalid.field(f"body.{field}", f"{field} must be a JSON value.") from None
    if size > _MAX_VALUE_BYTES:
        raise Invalid.field(f"body.{field}", f"{field} has at most {_MAX_VALUE_BYTES} bytes.")
    if not _is_storable(value, _MAX_VALUE_DEPTH):
        raise Invalid.field(
            f"body.{field}",
            f"{field} holds no NUL characters, and is nested at most {_MAX_VALUE_DEPTH} deep.",
        )
    return value


def _is_storable(value: Any, deep: int) -> bool:
    """Whether PostgreSQL can hold the value, and `deep` levels are enough for it."""
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return deep > 0 and all(_is_storable(each, deep - 1) for each in value)
    return True


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Invalid.field("body.rollout", "rollout is a share from 0 to 1.")
    return float(value)


def _names(value: Any, field: str) -> list[str]:
    names = list(value) if isinstance(value, list | tuple) else None
    if names is None or len(names) > _MAX_NAMES:
        raise Invalid.field(f"body.{field}", f"{field} is a list of at most {_MAX_NAMES} names.")
    given = {text_checked(name, field, NAME) for name in names}
    # An empty list means everywhere: a name that says nothing must not lead there.
    if "" in given:
        raise Invalid.field(f"body.{field}", f"Each of {field} must be a name.")
    return sorted(given)


def _shown(toggle: Toggle) -> dict[str, Any]:
    return {
        "value": toggle.value if toggle.is_set else None,
        "set": toggle.is_set,
        "otherwise": toggle.otherwise,
        "rollout": toggle.rollout,
        "services": toggle.services,
        "instances": toggle.instances,
        "owner": toggle.owner,
        "expires_at": toggle.expires_at and toggle.expires_at.isoformat(),
    }


def _entry(toggle: Toggle, kind: str, actor: Actor) -> journal.Entry:
    state = "set" if toggle.is_set else "unset"
    payload = {"actor": actor.name, "reason": toggle.reason, "version": toggle.version,
               "services": toggle.services}  # fmt: skip
    return journal.Entry("toggles", kind, toggle.key, state, payload=payload)


def _audited(key: str, verb: str, actor: Actor) -> Any:
    return refusals_audited(
        actor=actor, action=f"toggle.{verb}", object_type="toggle", object_id=key
    )

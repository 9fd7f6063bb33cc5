"""Inhibitions as people make, change, switch and delete them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from alerting.choices import Origin
from alerting.domain.matchers import (
    MatcherError,
    matchers_json,
    matchers_read,
    matchers_stored,
    matchers_text,
    matches_everything,
)
from alerting.models import Inhibition
from alerting.services.locks import names_lock
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, Invalid, NotFound

# Each alert that fires is held against all of them.
MOST_INHIBITIONS: Final = 200
MOST_EQUAL: Final = 10
MOST_AFTER: Final = 86_400
FIELDS: Final = ("source", "target", "equal", "holds_after_seconds", "enabled")
_OBJECT: Final = "inhibition"
# A part of addresses.
_RESERVED: Final = "new"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}", re.ASCII)
_SIDES: Final = {"source": "hold back whatever fires", "target": "be held, whatever it is"}


def inhibition_create(*, name: Any, fields: Mapping[str, Any], actor: Actor) -> Inhibition:
    """Make an inhibition of `fields` (see `FIELDS`): `source` and `target` are needed, by default it
    holds whatever labels both have, and is switched on.

    Raises `Invalid` that names the field.
    """
    shown = printable(str(name)[:100])
    with (
        refusals_audited(
            actor=actor, action="inhibition.create", object_type=_OBJECT, object_id=shown
        ),
        transaction.atomic(),
    ):
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == _RESERVED:
            raise Invalid.field(
                "name", "name is letters, digits, dashes, at most 100, and not the word new."
            )
        names_lock(Inhibition)
        if Inhibition.objects.filter(name=name).exists():
            raise Invalid.field("name", f"There is an inhibition {name} already.")
        if Inhibition.objects.count() >= MOST_INHIBITIONS:
            raise Invalid(
                f"There are {MOST_INHIBITIONS} inhibitions already, the most there may be."
            )
        made = Inhibition(name=name, **_read({"source": None, "target": None, **fields}))
        made.save()
        _record("create", made, actor, None)
    return made


def inhibition_update(
    *, name: str, fields: Mapping[str, Any], if_match: int | None = None, actor: Actor
) -> Inhibition:
    """Change the given fields of an inhibition, or switch it on or off; it holds for what fires
    within seconds.

    Raises `NotFound`, `Conflict` and `Invalid`.
    """
    with (
        refusals_audited(
            actor=actor, action="inhibition.update", object_type=_OBJECT, object_id=name
        ),
        transaction.atomic(),
    ):
        found = _found(name, if_match, fields)
        before = inhibition_shown(found)
        for field, value in _read(fields).items():
            setattr(found, field, value)
        found.version += 1
        found.save()
        _record("update", found, actor, before)
    return found


def inhibition_delete(*, name: str, if_match: int | None = None, actor: Actor) -> None:
    """Delete an inhibition; what it held is told, if it still fires.

    Raises `NotFound`, `Conflict`, and `Invalid` for those that the site comes with: they would be
    made again at its next start.
    """
    with (
        refusals_audited(
            actor=actor, action="inhibition.delete", object_type=_OBJECT, object_id=name
        ),
        transaction.atomic(),
    ):
        found = _found(name, if_match, {})
        if found.origin == Origin.SHIPPED:
            raise Invalid("The site comes with this inhibition; switch it off instead.")
        _record("delete", found, actor, inhibition_shown(found))
        found.delete()


def inhibition_shown(inhibition: Inhibition) -> dict[str, Any]:
    """An inhibition for the audit trail and for whoever was slower."""
    return {
        "source": matchers_text(matchers_stored(inhibition.source)),
        "target": matchers_text(matchers_stored(inhibition.target)),
        "equal": inhibition.equal,
        "holds_after_seconds": inhibition.holds_after_seconds,
        "enabled": inhibition.enabled,
    }


def _found(name: str, if_match: int | None, proposed: Mapping[str, Any]) -> Inhibition:
    found = Inhibition.objects.select_for_update().filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no inhibition {name[:100]}.")
    if if_match is not None and if_match != found.version:
        raise Conflict(
            f"The inhibition has changed: it is at version {found.version}, and you saw "
            f"{if_match}.",
            current={"version": found.version, **inhibition_shown(found)},
            proposed=dict(proposed),
        )
    return found


def _read(fields: Mapping[str, Any]) -> dict[str, Any]:
    strange = sorted(set(fields) - set(FIELDS))
    if strange:
        raise Invalid.field(strange[0], f"An inhibition has no field {strange[0]!r}.")
    read: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _SIDES:
            read[name] = _matchers(name, value)
        elif name == "equal":
            read[name] = _equal(value)
        elif name == "holds_after_seconds":
            read[name] = _after(value)
        elif isinstance(value, bool):
            read[name] = value
        else:
            raise Invalid.field(name, f"{name} must be true or false.")
    return read


def _matchers(field: str, value: Any) -> list[dict[str, str]]:
    try:
        matchers = matchers_read(value or [])
    except MatcherError as error:
        raise Invalid.field(field, str(error)) from None
    if matches_everything(matchers):
        raise Invalid.field(
            field, f"{field} needs a matcher: without, every alert would {_SIDES[field]}."
        )
    return matchers_json(matchers)


def _equal(value: Any) -> list[str]:
    named = isinstance(value, list | tuple) and all(
        isinstance(each, str) and _LABEL.fullmatch(each) for each in value
    )
    if not named or len(value) > MOST_EQUAL:
        raise Invalid.field("equal", f"equal is a list of at most {MOST_EQUAL} names of labels.")
    return list(dict.fromkeys(value))


def _after(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_AFTER:
        raise Invalid.field(
            "holds_after_seconds",
            f"holds_after_seconds is a whole number from 0 to {MOST_AFTER:,} (a day).",
        )
    return value


def _record(
    verb: str, inhibition: Inhibition, actor: Actor, before: Mapping[str, Any] | None
) -> None:
    audit_record(
        actor=actor,
        action=f"inhibition.{verb}",
        object_type=_OBJECT,
        object_id=inhibition.name,
        before=before,
        after=None if verb == "delete" else inhibition_shown(inhibition),
    )
    payload = {"version": inhibition.version, "by": actor.name}
    entry = journal.Entry(Topic.ALERTS, "inhibition.changed", inhibition.name, payload=payload)
    journal.append([entry])

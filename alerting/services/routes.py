"""Routes as people change them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from alerting.domain.matchers import (
    MatcherError,
    matchers_json,
    matchers_read,
    matchers_stored,
    matchers_text,
)
from alerting.models import Channel, Route
from alerting.services.channel_fields import channels_required
from alerting.services.locks import names_lock
from alerting.services.shipped_routing import DEFAULT_ROUTE
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, Invalid, NotFound

LAST_POSITION: Final = 9_999
LONGEST_WAIT: Final = 3_600  # seconds
LONGEST_INTERVAL: Final = 86_400
LONGEST_REPEAT: Final = 30 * 86_400
MOST_GROUP_BY: Final = 10
# Each alert that fires is held against all of them.
MOST_ROUTES: Final = 200
_OBJECT: Final = "route"
_RESERVED: Final = ("test", "new")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}|\.\.\.", re.ASCII)
# Seconds: the least and the most of each.
_SECONDS: Final[Mapping[str, tuple[int, int]]] = {
    "group_wait_seconds": (0, LONGEST_WAIT),
    "group_interval_seconds": (10, LONGEST_INTERVAL),
    "repeat_interval_seconds": (60, LONGEST_REPEAT),
}
FIELDS: Final = (
    "position", "matchers", "group_by", *_SECONDS, "goes_on", "channels", "every_channel", "enabled",
)  # fmt: skip


def route_create(*, name: Any, fields: Mapping[str, Any], actor: Actor, now: datetime) -> Route:
    """Make a route of `fields` (see `FIELDS`); what is not given is as in the model.

    Raises `Invalid` that names the field.
    """
    with (
        refusals_audited(
            actor=actor,
            action="route.create",
            object_type=_OBJECT,
            object_id=printable(str(name)[:100]),
        ),
        transaction.atomic(),
    ):
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
            raise Invalid.field(
                "name", "name is letters, digits, blanks, dots, dashes, at most 100."
            )
        if name in _RESERVED:
            raise Invalid.field("name", f"{name} is a part of addresses; take another name.")
        names_lock(Route)
        if Route.objects.filter(name=name).exists():
            raise Invalid.field("name", f"There is a route {name} already.")
        if Route.objects.count() >= MOST_ROUTES:
            raise Invalid(f"There are {MOST_ROUTES} routes already, the most there may be.")
        read = _read({"position": 100, **fields})
        route = Route(name=name)
        _save(route, read)
        _record("create", route, actor, None)
    return route


def route_update(
    *,
    name: str,
    fields: Mapping[str, Any],
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Route:
    """Change the given fields of a route; alerts that fire are routed anew within seconds.

    Raises `NotFound`, `Conflict` and `Invalid`.
    """
    with (
        refusals_audited(actor=actor, action="route.update", object_type=_OBJECT, object_id=name),
        transaction.atomic(),
    ):
        route = _found(name, if_match, fields)
        before = route_shown(route)
        read = _read(fields)
        if name == DEFAULT_ROUTE:
            _default_check(read, route)
        route.version += 1
        _save(route, read)
        _record("update", route, actor, before)
    return route


def route_delete(*, name: str, if_match: int | None = None, actor: Actor, now: datetime) -> None:
    """Delete a route. Whoever was told that an alert fires is still told when it is over.

    Raises `NotFound`, `Conflict`, and `Invalid` for the route that takes what is left.
    """
    with (
        refusals_audited(actor=actor, action="route.delete", object_type=_OBJECT, object_id=name),
        transaction.atomic(),
    ):
        route = _found(name, if_match, {})
        if name == DEFAULT_ROUTE:
            raise Invalid("The default route takes what no other takes; it cannot be deleted.")
        before = route_shown(route)
        _record("delete", route, actor, before)
        route.delete()


def route_shown(route: Route) -> dict[str, Any]:
    """A route for the audit trail and for whoever was slower."""
    return {
        **{name: getattr(route, name) for name in FIELDS if name not in ("channels", "matchers")},
        "matchers": matchers_text(matchers_stored(route.matchers)),
        "channels": sorted(route.channels.values_list("name", flat=True)),
    }


def _found(name: str, if_match: int | None, proposed: Mapping[str, Any]) -> Route:
    route = Route.objects.select_for_update().filter(name=name).first()
    if route is None:
        raise NotFound(f"There is no route {name[:100]}.")
    if if_match is not None and if_match != route.version:
        raise Conflict(
            f"The route has changed: it is at version {route.version}, and you saw {if_match}.",
            current={"version": route.version, **route_shown(route)},
            proposed=dict(proposed),
        )
    return route


def _read(fields: Mapping[str, Any]) -> dict[str, Any]:
    strange = sorted(set(fields) - set(FIELDS))
    if strange:
        raise Invalid.field(strange[0], f"A route has no field {strange[0]!r}.")
    read: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _SECONDS:
            read[name] = _whole(name, value, *_SECONDS[name], "seconds")
        elif name == "position":
            read[name] = _whole(name, value, 1, LAST_POSITION + 1, "")
        elif name == "matchers":
            read[name] = _matchers(value)
        elif name == "group_by":
            read[name] = _group_by(value)
        elif name == "channels":
            read[name] = _channels(value)
        else:
            read[name] = _flag(name, value)
    return read


def _default_check(read: Mapping[str, Any], route: Route) -> None:
    if read.get("matchers"):
        raise Invalid.field("matchers", "The default route takes what is left: it has no matchers.")
    if read.get("enabled") is False:
        raise Invalid.field(
            "enabled", "The default route stays on; take its channels away instead."
        )
    if read.get("position", route.position) != route.position:
        raise Invalid.field("position", "The default route stays the last one.")


def _save(route: Route, read: Mapping[str, Any]) -> None:
    for name, value in read.items():
        if name != "channels":
            setattr(route, name, value)
    if route.name != DEFAULT_ROUTE and route.position > LAST_POSITION:
        raise Invalid.field("position", f"position is from 1 to {LAST_POSITION}.")
    route.save()
    if "channels" in read:
        route.channels.set(read["channels"])


def _whole(field: str, value: Any, least: int, most: int, unit: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Invalid.field(
            field, f"{field} is a whole number from {least} to {most} {unit}".strip() + "."
        )
    return value


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid.field(field, f"{field} must be true or false.")
    return value


def _matchers(value: Any) -> list[dict[str, str]]:
    try:
        return matchers_json(matchers_read(value))
    except MatcherError as error:
        raise Invalid.field("matchers", str(error)) from None


def _group_by(value: Any) -> list[str]:
    named = isinstance(value, list | tuple) and all(
        isinstance(each, str) and _LABEL.fullmatch(each) for each in value
    )
    if not named or len(value) > MOST_GROUP_BY:
        raise Invalid.field(
            "group_by",
            f'group_by is a list of at most {MOST_GROUP_BY} names of labels, or ["..."] to tell '
            "each alert by itself.",
        )
    return list(dict.fromkeys(value))


def _channels(value: Any) -> list[Channel]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise Invalid.field("channels", "channels is a list of names or ids of channels.")
    return channels_required("channels", value)


def _record(verb: str, route: Route, actor: Actor, before: Mapping[str, Any] | None) -> None:
    audit_record(
        actor=actor,
        action=f"route.{verb}",
        object_type=_OBJECT,
        object_id=route.name,
        before=before,
        after=None if verb == "delete" else route_shown(route),
    )
    payload = {"version": route.version, "by": actor.name}
    journal.append([journal.Entry(Topic.ALERTS, "route.changed", route.name, payload=payload)])

"""The fields of a channel beside its kind and target: read, checked, and shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from alerting.models import Channel
from alerting.selectors.channels import channels_named
from health.services.check_fields import flag_read, name_read
from resilience_site.core.problems import Invalid

MOST_NAME: Final = 100
_FLAGS: Final = ("send_resolved", "enabled")
MUTABLE: Final = frozenset({"name", "fallback", "target", *_FLAGS})


def fields_read(given: Mapping[str, Any], channel: Channel | None) -> dict[str, Any]:
    """The columns that `given` asks for; of a new channel (`None`) the name is needed. Raises
    `Invalid`."""
    unknown = sorted(set(given) - MUTABLE - {"kind"})
    if unknown:
        raise Invalid.field(unknown[0], f"A channel has no field {unknown[0]!r}.")
    fields: dict[str, Any] = {}
    if channel is None or "name" in given:
        fields["name"] = _name(given.get("name"), channel)
    for flag in _FLAGS:
        if flag in given:
            fields[flag] = flag_read(flag, given[flag])
    if "fallback" in given:
        fields["fallback"] = _fallback(given["fallback"], channel)
    return fields


def verify_read(given: Mapping[str, Any]) -> tuple[dict[str, Any], bool | None]:
    """The fields without `verify`, and that: whether secrets are tried before they are saved, None
    where it is left to the site. Raises `Invalid`."""
    rest = dict(given)
    wanted = rest.pop("verify", None)
    return rest, None if wanted is None else flag_read("verify", wanted)


def changes_read(changes: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """As `fields_read` for a channel that is there, whose kind stays."""
    if "kind" in changes and changes["kind"] != channel.kind:
        raise Invalid.field("kind", "The kind of a channel stays; make another channel.")
    return fields_read({k: v for k, v in changes.items() if k != "kind"}, channel)


def shown(channel: Channel) -> dict[str, Any]:
    """What the audit trail and a conflict show, without secrets."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "target": channel.target,
        "send_resolved": channel.send_resolved,
        "enabled": channel.enabled,
        "paused": channel.paused_at is not None,
        "fallback": channel.fallback.name if channel.fallback else None,
    }


def channels_required(field: str, names: Collection[str]) -> list[Channel]:
    """The channels of these names or ids, each once. Raises `Invalid` where there is one not."""
    found = channels_named(names)
    missing = sorted(set(names) - set(found))
    if missing:
        raise Invalid.field(field, f"There is no channel {missing[0][:100]!r}.")
    return list({each.pk: each for each in found.values()}.values())


def _name(value: Any, channel: Channel | None) -> str:
    name = name_read("name", value)
    if len(name) > MOST_NAME:
        raise Invalid.field("name", f"name has at most {MOST_NAME} characters.")
    others = Channel.objects.filter(name=name)
    if channel is not None:
        others = others.exclude(pk=channel.pk)
    if others.exists():
        raise Invalid.field("name", f"There is a channel {name} already.")
    return name


def _fallback(value: Any, channel: Channel | None) -> Channel | None:
    """Named by its name or its id; a channel is no fallback of itself."""
    if value in (None, ""):
        return None
    (found,) = channels_required("fallback", [str(value)])
    if channel is not None and found.pk == channel.pk:
        raise Invalid.field("fallback", "A channel cannot be its own fallback.")
    return found

"""The control document: built from what people decided, and as one instance is served it.

The whole document of a service holds, beside what concerns all its instances, what concerns single
ones: a breaker's `instances`, and the `instances` or `instance` of toggles and commands. Times are
RFC 3339 texts, since it is stored and sent as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

Json = dict[str, Any]

SECTIONS = ("breakers", "bulkheads", "toggles", "degraded", "isolated")


class Decided(NamedTuple):
    """Who decided, why, and until when (None: until it is taken back)."""

    reason: str
    actor: str
    expires_at: datetime | None


class OverrideGiven(NamedTuple):
    """A forced state. `scope` is instance, service or domain; `at` is when it was given."""

    scope: str
    name: str
    instance: str
    domain: str
    state: str
    at: datetime
    decided: Decided


class ToggleGiven(NamedTuple):
    """A toggle's value; `instances` empty means all of them."""

    key: str
    value: Any
    otherwise: Any
    rollout: float
    instances: tuple[str, ...]
    decided: Decided


class DegradedGiven(NamedTuple):
    """A service's level, and what its users are told."""

    service: str
    level: str
    notice: str
    decided: Decided


class CommandGiven(NamedTuple):
    """Something to do once; `instance` empty means every instance."""

    id: str
    instance: str
    action: str
    parameters: Json
    decided: Decided


def empty() -> Json:
    """What a service is told of which nobody decided anything."""
    return {
        "breakers": {},
        "bulkheads": {},
        "toggles": {},
        "degraded": {},
        "isolated": {},
        "commands": [],
    }


def build(
    *,
    overrides: Iterable[OverrideGiven] = (),
    domains: Mapping[str, Iterable[str]] | None = None,
    policies: Mapping[str, Json] | None = None,
    bulkheads: Mapping[str, Json] | None = None,
    toggles: Iterable[ToggleGiven] = (),
    degraded: Iterable[DegradedGiven] = (),
    commands: Iterable[CommandGiven] = (),
) -> Json:
    """The whole document of a service; the same decisions in any order make the same one.

    `policies` and `bulkheads` are the settings given to breakers and bulkheads by their names;
    `domains` names the breakers of the service in each failure domain. The narrowest override
    wins: one of the instance over one of the service over one of a domain; of several domains the
    one that is forced open, else the newest. A domain that is forced open is isolated as well, so
    that what else belongs to it in the service is cut off with its breakers.
    """
    made = empty()
    members = {name: sorted(set(of)) for name, of in (domains or {}).items()}
    for name, policy in sorted((policies or {}).items()):
        if policy:
            _entry(made, name)["policy"] = dict(policy)
    for name, policy in sorted((bulkheads or {}).items()):
        if policy:
            made["bulkheads"][name] = {"policy": dict(policy)}
    for given in sorted(overrides, key=_weight):
        told = {"state": given.state, **_told(given.decided)}
        if given.scope == "domain":
            for name in members.get(given.domain, ()):
                _entry(made, name)["override"] = told
            if given.state == "forced_open" and given.domain in members:
                made["isolated"][given.domain] = _told(given.decided)
        elif given.scope == "instance":
            _entry(made, given.name).setdefault("instances", {})[given.instance] = told
        else:
            _entry(made, given.name)["override"] = told
    for toggle in sorted(toggles, key=lambda each: each.key):
        made["toggles"][toggle.key] = {
            "value": toggle.value,
            "otherwise": toggle.otherwise,
            "rollout": toggle.rollout,
            "instances": sorted(toggle.instances),
            **_told(toggle.decided),
        }
    for mode in sorted(degraded, key=lambda each: each.service):
        if mode.level != "normal":
            made["degraded"][mode.service] = {
                "level": mode.level,
                "notice": mode.notice,
                **_told(mode.decided),
            }
    made["commands"] = [
        {
            "id": command.id,
            "instance": command.instance,
            "action": command.action,
            "parameters": command.parameters,
            **_told(command.decided),
        }
        for command in sorted(commands, key=lambda each: each.id)
    ]
    return made


def view(whole: Mapping[str, Any], *, instance: str, now: datetime) -> Json:
    """What one instance is served at `now`: what concerns others is left out, what has expired is
    gone, and each expiry is also told as `expires_in`, the seconds that are left."""
    served = empty()
    for name, entry in whole.get("breakers", {}).items():
        own = _left(entry.get("instances", {}).get(instance), now)
        override = own or _left(entry.get("override"), now)
        policy = entry.get("policy") or {}
        if override or policy:
            served["breakers"][name] = {"override": override, "policy": policy}
    served["bulkheads"] = dict(whole.get("bulkheads", {}))
    for key, entry in whole.get("toggles", {}).items():
        if entry["instances"] and instance not in entry["instances"]:
            continue
        if left := _left(entry, now):
            del left["instances"]
            served["toggles"][key] = left
    for section in ("degraded", "isolated"):
        for name, entry in whole.get(section, {}).items():
            if left := _left(entry, now):
                served[section][name] = left
    for command in whole.get("commands", []):
        if command["instance"] in ("", instance) and (left := _left(command, now)):
            del left["instance"]
            served["commands"].append(left)
    return served


def _entry(made: Json, name: str) -> Json:
    entry: Json = made["breakers"].setdefault(name, {"override": None, "policy": {}})
    return entry


_SCOPES = {"domain": 0, "service": 1, "instance": 2}


def _weight(given: OverrideGiven) -> tuple[Any, ...]:
    """Later ones win."""
    return (
        _SCOPES[given.scope],
        given.state == "forced_open",
        given.at,
        given.domain,
        given.name,
        given.instance,
    )


def _told(decided: Decided) -> Json:
    until = decided.expires_at
    return {
        "reason": decided.reason,
        "actor": decided.actor,
        "expires_at": until and until.isoformat().replace("+00:00", "Z"),
    }


def _left(entry: Mapping[str, Any] | None, now: datetime) -> Json | None:
    if entry is None:
        return None
    until = entry["expires_at"]
    if until is None:
        return {**entry, "expires_in": None}
    seconds = (datetime.fromisoformat(until) - now).total_seconds()
    return {**entry, "expires_in": round(seconds, 3)} if seconds > 0 else None

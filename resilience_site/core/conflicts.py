"""Both sides of a conflict as forms show them: what differs, who changed it, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from resilience_site.core.formatting import exact
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict

# What says which state of an object it is, and nothing about it.
_UNTOLD: Final = ("id", "version")
_NESTED: Final = 3
Told = dict[str, str]


@dataclass(frozen=True)
class LastChange:
    """The last change of an object that the audit trail tells of; `changes` are what it was of,
    before and after."""

    actor: str
    at: datetime
    reason: str
    changes: list[tuple[str, str, str]]


def conflict_sides(problem: Conflict) -> tuple[Told, Told]:
    """What stands now and what was asked for, field by field, where they differ; of an act that
    proposes no fields, all that stands."""
    current, proposed = told(problem.current), told(problem.proposed)
    if not proposed:
        return current, {}
    # What was not asked for stays as it is; a note, say, asks for no field at all.
    wanted = {name: text for name, text in current.items() if name in proposed}
    return differing(wanted or current, proposed)


def differing(
    standing: Mapping[str, Any] | list[tuple[str, Any]],
    asked: Mapping[str, Any] | list[tuple[str, Any]],
) -> tuple[Told, Told]:
    """Both sides without what is equal in them."""
    one, other = (
        {name: value_text(value) for name, value in dict(side).items()}
        for side in (standing, asked)
    )
    # In one order on both sides.
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return (
        {name: one[name] for name in names if name in one},
        {name: other[name] for name in names if name in other},
    )


def told(side: Mapping[str, Any]) -> Told:
    """Fields and texts; of nested ones each by itself, such as `Condition: threshold`."""
    found = {path: text for path, text in _flat(side, 0) if path[0] not in _UNTOLD}
    return {_label(path): text for path, text in found.items()}


def value_text(value: Any) -> str:
    """A value in a few words."""
    if value is None or value == "" or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return exact(value)
    if isinstance(value, list | tuple | set) and not any(_nested(each) for each in value):
        return ", ".join(map(str, value))
    if _nested(value):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def last_change(action: str, object_type: str, object_id: str) -> LastChange | None:
    """Who changed an object last; `action` is one of those that change it (`rule.update`)."""
    rows = AuditEntry.objects.filter(
        object_type=object_type,
        object_id=object_id,
        action__startswith=f"{action.partition('.')[0]}.",
        after__isnull=False,
    ).exclude(action__endswith=".refused")
    entry = rows.order_by("-at", "-id").first()
    if entry is None:
        return None
    before, after = (
        told(side) if isinstance(side, Mapping) else {} for side in (entry.before, entry.after)
    )
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changes = [(name, before.get(name, "none"), after.get(name, "none")) for name in names]
    return LastChange(entry.actor, entry.at, entry.reason, changes if before else [])


def _flat(side: Mapping[str, Any], depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, value in side.items():
        if isinstance(value, Mapping) and value and depth < _NESTED:
            for path, text in _flat(value, depth + 1):
                yield (str(name), *path), text
        else:
            yield (str(name),), value_text(value)


def _label(path: tuple[str, ...]) -> str:
    return ": ".join(path).replace("_", " ").capitalize()


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)

"""Fields of journal entries: looked up by path, compared, and made into labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from alerting.domain.rules.conditions import Where

_MOST_LABEL: Final = 255


@dataclass(frozen=True)
class Entry:
    """An entry of the journal as conditions see it."""

    id: int
    at: datetime
    topic: str
    kind: str
    key: str
    state: str = ""
    service: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


def field_value(entry: Entry, path: str) -> Any:
    """The value at `path`, None where there is none."""
    name, *rest = path.split(".")
    if name != "payload":
        return getattr(entry, name, None) if name in PLAIN and not rest else None
    found: Any = entry.payload
    for part in rest:
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


PLAIN: Final = ("kind", "key", "state", "service")


def matches(entry: Entry, kinds: Sequence[str], where: Iterable[Where]) -> bool:
    """Whether an entry is of one of the kinds and all comparisons are true."""
    return entry.kind in kinds and all(
        _OPS[each.op](field_value(entry, each.field), each.value) for each in where
    )


def labels_of(entry: Entry, fields: Mapping[str, str]) -> dict[str, str]:
    """The labels of an entry, `service` always among them; those without a value are left out."""
    found = {name: label_text(field_value(entry, path)) for name, path in fields.items()}
    found.setdefault("service", label_text(entry.service))
    return {name: value for name, value in found.items() if value}


def label_text(value: Any) -> str:
    """A value as a label: plain text up to a bound, empty for none or for what is no scalar."""
    if value is None or isinstance(value, Mapping | list | tuple):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:_MOST_LABEL]


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def op(found: Any, wanted: Any) -> bool:
        numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
        texts = isinstance(found, str) and isinstance(wanted, str)
        return (numbers or texts) and compare(found, wanted)

    return op


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    return isinstance(found, list | tuple) and wanted in found


_OPS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda found, wanted: bool(found == wanted),
    "!=": lambda found, wanted: bool(found != wanted),
    "in": lambda found, wanted: found in wanted,
    "not in": lambda found, wanted: found not in wanted,
    ">": _ordered(lambda found, wanted: found > wanted),
    ">=": _ordered(lambda found, wanted: found >= wanted),
    "<": _ordered(lambda found, wanted: found < wanted),
    "<=": _ordered(lambda found, wanted: found <= wanted),
    "contains": _contains,
    "starts with": lambda found, wanted: isinstance(found, str) and found.startswith(str(wanted)),
}

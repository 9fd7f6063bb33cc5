"""What the application of a catalogue file changes, in words; secrets stay masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from health.models import Dependency

_SIGNS: Final = {"add": "+", "change": "~", "remove": "-"}
_MOST_SHOWN: Final = 80


@dataclass(frozen=True)
class Change:
    """One thing that was added, changed or removed: `kind` is add, change or remove, `details` say
    how, one line each."""

    kind: str
    what: str
    details: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """As a diff shows it."""
        return [f"{_SIGNS[self.kind]} {self.what}", *(f"    {each}" for each in self.details)]


def changes_summary(changes: Iterable[Change]) -> str:
    """`2 added, 1 changed, 0 removed`, or `no change`."""
    counts = Counter(each.kind for each in changes)
    if not counts:
        return "no change"
    return f"{counts['add']} added, {counts['change']} changed, {counts['remove']} removed"


def service_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What changes of a service."""
    return tuple(_differences(before, after))


def check_change_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed of a check, as `check_shown` told of it before and after."""
    words = tuple(_differences(before, after))
    return words or ("target: a secret changed",)


def edge_strength(edge: Dependency, before: tuple[bool, str] | None) -> tuple[str, ...]:
    """How strong an edge is, and what it was: (hard, status)."""
    now = "hard" if edge.hard else "soft"
    if before is None:
        return (now,)
    hard, status = before
    words = []
    if hard != edge.hard:
        words.append(f"{'hard' if hard else 'soft'} → {now}")
    if status != edge.status:
        words.append(f"{status} → {edge.status}")
    return tuple(words)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key, value in after.items():
        former = before.get(key)
        if former == value:
            continue
        if isinstance(value, Mapping) and isinstance(former, Mapping):
            names = dict.fromkeys([*former, *value])
            yield from (
                f"{key}.{name}: {_shown(former, name)} → {_shown(value, name)}"
                for name in names
                if former.get(name) != value.get(name)
            )
        else:
            yield f"{key}: {_shown(before, key)} → {_shown(after, key)}"


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "(none)"
    text = orjson.dumps(values[key]).decode()
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"

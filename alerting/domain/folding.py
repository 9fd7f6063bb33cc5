"""Lines of a timeline that say the same at the same time, as one: what a message told every channel,
and what showed several times in a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from alerting.domain.timeline import Line

# Lines that are alike within this say one thing.
MOMENT: Final = timedelta(seconds=10)
# Senders work side by side: one message is with all of its channels within about this.
TURN: Final = timedelta(minutes=1)
_MOST_NAMED: Final = 5
# What people write stands there as they wrote it.
_NEVER: Final = frozenset({"note", "state"})


@dataclass
class _Fold:
    """Lines that say the same: the first of them, how many, and of a message whom it told."""

    first: Line
    count: int = 1
    names: list[str] = field(default_factory=list)


def folded(lines: Iterable[Line]) -> list[Line]:
    """The lines in their order, those that say the same as one where the first of them stood."""
    folds: list[_Fold] = []
    newest: dict[tuple[str, str], _Fold] = {}
    for line in lines:
        if line.kind in _NEVER:
            folds.append(_Fold(line))
            continue
        said, within = (line.kind, _said(line)), TURN if _is_told(line) else MOMENT
        fold = newest.get(said)
        if fold is None or line.at - fold.first.at > within:
            fold = newest[said] = _Fold(line, count=0)
            folds.append(fold)
        fold.count += 1
        if _is_told(line) and line.actor not in fold.names:
            fold.names.append(line.actor)
    return [_line(each) for each in folds]


def _is_told(line: Line) -> bool:
    """Whether the line begins with the channel that was told, or could not be."""
    return line.kind == "delivery" and bool(line.actor) and line.text.startswith(f"{line.actor} ")


def _said(line: Line) -> str:
    return line.text.removeprefix(line.actor) if _is_told(line) else line.text


def _line(fold: _Fold) -> Line:
    line = fold.first
    if fold.names:
        text = _said(line)
        if len(fold.names) > 1:
            text = text.replace(" was told", " were told", 1) if _delivered(text) else text
        return replace(line, text=f"{named(fold.names)}{text}")
    return replace(line, text=f"{line.text} ({fold.count} times)") if fold.count > 1 else line


def _delivered(text: str) -> bool:
    return text.startswith(" was told")


def named(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; of very many, how many more there are."""
    shown = sorted(names)[:_MOST_NAMED] if len(names) > _MOST_NAMED else sorted(names)
    rest = len(names) - len(shown)
    if rest:
        return f"{', '.join(shown)} and {rest:,} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))

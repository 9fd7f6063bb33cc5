"""Lines of a timeline that say the same at the same time, as one: what a message told every channel,
what showed several times in a moment, and messages of which one after the other a channel could not
be told."""

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
# A channel that fails does so for long, with each message anew.
FAILING: Final = timedelta(hours=1)
_MOST_NAMED: Final = 5
_FAILED: Final = " could not be told ("
# What people write stands there as they wrote it.
_NEVER: Final = frozenset({"note", "state"})


@dataclass
class _Fold:
    """Lines that say the same: the first of them, how many, of a message whom it told, and how many
    later ones failed like it, with the last of them."""

    first: Line
    count: int = 1
    names: list[str] = field(default_factory=list)
    more: int = 0
    last: Line | None = None


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
    return [_line(each) for each in _failing(folds)]


def _failing(folds: Iterable[_Fold]) -> list[_Fold]:
    """The folds, but messages of which the same channels could not be told for the same reason, and
    none of these of another one in between, with the first of them."""
    found: list[_Fold] = []
    failing: dict[tuple[frozenset[str], str], _Fold] = {}
    for fold in folds:
        names, said = frozenset(fold.names), _said(fold.first)
        if not (names and said.startswith(_FAILED)):
            failing = {key: of for key, of in failing.items() if key[0].isdisjoint(names)}
            found.append(fold)
            continue
        key = names, said.partition("): ")[0]
        before = failing.get(key)
        if before is not None and fold.first.at - before.first.at <= FAILING:
            before.more, before.last = before.more + 1, fold.first
        else:
            failing[key] = fold
            found.append(fold)
    return found


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
        if fold.last is not None:
            text = f"{text}; nor of {fold.more:,} more until {fold.last.at:%H:%M:%S}"
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

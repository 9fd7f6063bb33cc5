"""The states of a check as stretches of time, without gaps and without overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Turn:
    """From `since` on the state is `state`; before, it was `before`."""

    since: datetime
    before: str
    state: str


@dataclass(frozen=True)
class Stretch:
    """`state` held from `start` to `end`."""

    start: datetime
    end: datetime
    state: str

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def stretches(
    turns: Sequence[Turn], start: datetime, end: datetime, otherwise: str
) -> list[Stretch]:
    """The states between `start` and `end` from turns in the order in which they were found out.

    A later turn that is dated back overrides what stood there. `otherwise` is the state where
    there was no turn at all.
    """
    marks: list[tuple[datetime, str]] = []
    for turn in turns:
        while marks and marks[-1][0] >= turn.since:
            marks.pop()
        marks.append((turn.since, turn.state))
    first = turns[0].before if turns else otherwise
    found: list[Stretch] = []
    at, state = start, first
    for since, after in marks:
        if since >= end:
            break
        if since > at:
            _add(found, Stretch(at, since, state))
            at = since
        state = after
    if at < end:
        _add(found, Stretch(at, end, state))
    return found


def _add(found: list[Stretch], each: Stretch) -> None:
    if found and found[-1].state == each.state:
        found[-1] = Stretch(found[-1].start, each.end, each.state)
    else:
        found.append(each)

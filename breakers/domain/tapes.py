"""Recorded batches put one after the other, as far as nothing is missing between them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from breakers.runtime.batches import MARKS, Batch, Mark, Moved
from breakers.runtime.circuit_state import BreakerEvent
from breakers.runtime.collaborators import MOVED


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which the record is not complete; after it the replay starts anew.

    The reason is `missing` (batches did not arrive), `dropped` (more happened than is kept) or
    `restarted` (the process, or its connection, is another one).
    """

    since: datetime
    until: datetime
    reason: str


class Tape:
    """What happened to a breaker in one stretch without gaps.

    `marks` and `moves` are by the place of an entry: what it says, and the transitions that it led
    to. `ends` are the places at which batches end.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        self._begins = [batch.begins for batch in batches]
        self.times, self.durations = array("d"), array("d")
        self.kinds, self.eras = bytearray(), array("q")
        self.ends: list[int] = []
        marks: list[Mark] = []
        for batch in batches:
            columns = batch.columns
            self.times += columns.times
            self.durations += columns.durations
            self.kinds += columns.kinds
            self.eras += columns.eras
            self.ends.append(len(self.kinds))
            marks += columns.marks
        self.marks: dict[int, Mark] = {}
        self.moves: dict[int, list[Moved]] = {}
        self._place(iter(marks))

    def _place(self, marks: Iterator[Mark]) -> None:
        cause = -1
        for place, kind in enumerate(self.kinds):
            if kind != MOVED:
                cause = place
            if kind in MARKS:
                mark = next(marks)
                if isinstance(mark, Moved):
                    self.moves.setdefault(cause, []).append(mark)
                else:
                    self.marks[place] = mark

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def begins(self) -> float:
        return self.batches[0].begins

    @property
    def end(self) -> float:
        return self.batches[-1].ends

    def at(self, reading: float) -> datetime:
        """The time at which the clock showed `reading`."""
        return self._of(reading).at(reading)

    def seconds(self, reading: float) -> float:
        """The same in Unix time."""
        return reading + self._of(reading).offset

    def _of(self, reading: float) -> Batch:
        place = bisect_right(self._begins, reading) - 1
        return self.batches[max(0, place)]

    def recorded(self) -> list[BreakerEvent]:
        """The transitions that took place."""
        return [moved.event for moves in self.moves.values() for moved in moves]

    def rejections(self) -> Iterator[tuple[float, float, int, float]]:
        """From when to when how many calls were rejected, and what to add for Unix time.

        Within each of these times the breaker did not change its state.
        """
        for batch in self.batches:
            since, before = batch.begins, batch.rejected[0]
            moves = [
                (moved.event.at, moved.rejected)
                for moved in batch.columns.marks
                if isinstance(moved, Moved)
            ]
            for at, rejected in [*moves, (batch.ends, batch.rejected[1])]:
                # A wait for probes that is over may be noticed later than it ended.
                until = max(since, at)
                if rejected > before:
                    yield since, until, rejected - before, batch.offset
                since, before = until, max(before, rejected)


def tapes(batches: Iterable[Batch]) -> tuple[list[Tape], list[Gap]]:
    """The batches in their order, each once, in stretches; and what lies between those."""
    known = {(batch.run, batch.number): batch for batch in batches}
    begins: dict[str, float] = {}
    for batch in known.values():
        at = batch.begins + batch.offset
        begins[batch.run] = min(at, begins.get(batch.run, at))
    ordered = sorted(known.values(), key=lambda each: (begins[each.run], each.run, each.number))
    stretches: list[list[Batch]] = []
    gaps: list[Gap] = []
    for batch in ordered:
        before = stretches[-1][-1] if stretches else None
        if before is not None and batch.follows(before):
            stretches[-1].append(batch)
            continue
        if before is not None:
            gaps.append(_gap(before, batch))
        stretches.append([batch])
    if ordered and ordered[-1].dropped:
        gaps.append(_dropped(ordered[-1]))
    return [Tape(stretch) for stretch in stretches], gaps


def _gap(before: Batch, after: Batch) -> Gap:
    if before.dropped:
        return _dropped(before)
    reason = "missing" if before.run == after.run else "restarted"
    return Gap(before.until, max(before.until, after.since), reason)


def _dropped(batch: Batch) -> Gap:
    times = batch.columns.times
    return Gap(batch.at(times[-1]) if times else batch.since, batch.until, "dropped")

"""What is recorded of a breaker between two collections: its calls, and all else that moved it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from breakers.runtime.checkpoint import Checkpoint
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState
from breakers.runtime.collaborators import (
    ADOPTED_CLOSED,
    ADOPTED_OPEN,
    CONFIGURED,
    DECIDED,
    MOVED,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moved(NamedTuple):
    """A transition; `drawn` is the chance of its open time, `rejected` counts calls up to it."""

    event: BreakerEvent
    drawn: float
    rejected: int


class Decided(NamedTuple):
    """A person or the site set the state."""

    state: CircuitState
    reason: str


class AdoptedOpen(NamedTuple):
    """Other replicas opened it, for so many seconds."""

    reason: str
    open_for: float


class AdoptedClosed(NamedTuple):
    """Other replicas closed it."""

    reason: str


class Configured(NamedTuple):
    """It works by another policy from here on."""

    policy: BreakerPolicy


Mark = Moved | Decided | AdoptedOpen | AdoptedClosed | Configured
MARKS: dict[int, type[Mark]] = {
    MOVED: Moved,
    DECIDED: Decided,
    ADOPTED_OPEN: AdoptedOpen,
    ADOPTED_CLOSED: AdoptedClosed,
    CONFIGURED: Configured,
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Entries in the order in which they took effect, each by what it is (see `collaborators`).

    `times` are readings of the breaker's clock, `durations` and `eras` those of calls and else 0.
    `marks` says more of each entry that is no call and no look, in the same order.
    """

    times: array[float] = field(default_factory=lambda: array("d"))
    durations: array[float] = field(default_factory=lambda: array("d"))
    kinds: bytes = b""
    eras: array[int] = field(default_factory=lambda: array("q"))
    marks: tuple[Mark, ...] = ()

    def __len__(self) -> int:
        return len(self.kinds)


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened to a breaker from one reading of its clock to another.

    `run` tells one recorder from the next, `number` counts its batches, so that a lost one shows.
    `offset` is what to add to the clock for Unix time. `start` and `policy` are as of the
    beginning. `rejected` counts calls at the beginning and at the end. `dropped` entries came
    after the last one that is here, and are not known.
    """

    breaker: str
    run: str
    number: int
    begins: float
    ends: float
    offset: float
    policy: BreakerPolicy
    start: Checkpoint
    rejected: tuple[int, int]
    dropped: int
    columns: Columns

    @property
    def since(self) -> datetime:
        return self.at(self.begins)

    @property
    def until(self) -> datetime:
        return self.at(self.ends)

    def at(self, reading: float) -> datetime:
        """The time at which the clock showed `reading`."""
        return _EPOCH + timedelta(seconds=reading + self.offset)

    def follows(self, before: Batch) -> bool:
        """Whether nothing is missing between `before` and this one."""
        return self.run == before.run and self.number == before.number + 1 and not before.dropped

    def entries(self) -> Iterator[tuple[float, float, int, int]]:
        """Time, duration, kind and era of each."""
        each = self.columns
        return zip(each.times, each.durations, each.kinds, each.eras, strict=True)

"""What a replay finds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from breakers.domain.tapes import Gap
from breakers.runtime.circuit_state import BreakerPolicy

# Times are shown to the second: less than that would be told as no difference.
_TOLD_FROM = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state; the rate is None below the minimum number of calls."""

    at: datetime
    from_state: str
    to_state: str
    reason: str
    failure_rate: float | None
    calls: int


@dataclass(frozen=True, slots=True)
class Course:
    """How a breaker went: its transitions, how often it opened, and for how many seconds in all."""

    transitions: tuple[Transition, ...]
    opened: int
    open_seconds: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Calls of one part of the range, by their ends.

    `calls`, `failures` and `rejected` are what took place: calls let through, those of them that
    failed, and calls rejected. `admitted`, `failed` and `refused` are what the candidate would have
    made of those that were let through.
    """

    at: datetime
    calls: int
    failures: int
    rejected: int
    admitted: int
    failed: int
    refused: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What a candidate would have done with recorded calls, beside what took place.

    `reproduced`: the candidate's transitions are the recorded ones, in every detail. `verified`:
    those of the policy that was in force are, which has to be so: else the record was made by
    another version of the library, or was tampered with. `diverged_at` is when the candidate first
    went its own way.

    `record_since` and `record_until` are where the first batch that was used begins and the last
    one ends, be it within the range or beyond; None without any.

    `calls` were let through and succeeded or failed; `ignored` ones did neither. Of them the
    candidate refuses `failures_avoided`, `good_calls_refused` and `slow_avoided` (slow by its own
    threshold, or else by the one that was in force). `unknown` of the `rejected` calls it would
    have let through, to an end that nobody knows; the number is an estimate to the second.
    """

    since: datetime
    until: datetime
    record_since: datetime | None
    record_until: datetime | None
    policy: BreakerPolicy | None
    recorded: Course
    simulated: Course
    reproduced: bool
    verified: bool
    diverged_at: datetime | None
    gaps: tuple[Gap, ...]
    calls: int
    failures: int
    ignored: int
    slow_calls: int
    rejected: int
    failures_avoided: int
    good_calls_refused: int
    slow_avoided: int
    unknown: int
    series: tuple[Bin, ...]

    @property
    def begins_late(self) -> datetime | None:
        """Where the record begins, if that is a second or more after the range does."""
        begin = self.record_since
        return begin if begin is not None and begin - self.since >= _TOLD_FROM else None

    @property
    def ends_early(self) -> datetime | None:
        """Where the record ends, if that is a second or more before the range does."""
        end = self.record_until
        return end if end is not None and self.until - end >= _TOLD_FROM else None

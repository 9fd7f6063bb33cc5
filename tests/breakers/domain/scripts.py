"""Breakers that are recorded while a script is played, and replays of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from breakers.domain.replay import replay
from breakers.domain.replay_result import Replay
from breakers.runtime.batches import Batch
from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.outcomes import decode, encode
from tests.runtime.recorded import Recorded

ZERO = 1_000.0
"""What the clock of a script shows at its beginning; its batches say that this is BEGIN."""
BEGIN = datetime(2026, 11, 26, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


class Script(Recorded):
    """Calls at certain seconds, of a length that is part of the script."""

    def __init__(self, policy: BreakerPolicy) -> None:
        super().__init__(policy, now=ZERO)

    def collect(self) -> None:
        count = len(self.batches)
        super().collect()
        if len(self.batches) > count:
            offset = BEGIN.timestamp() - ZERO
            self.batches[-1] = decode(encode(replace(self.batches[-1], offset=offset)))

    def until(self, second: float) -> None:
        self.clock.now = ZERO + second

    def sequence(self, outcomes: str, *, begin: float, step: float = 1.0) -> None:
        """One call after the other, without duration: `f` fails, `s` succeeds, `-` is none."""
        for place, letter in enumerate(outcomes):
            self.until(begin + place * step)
            if letter != "-":
                self.call({"f": "failure", "s": "success", "i": "ignore"}[letter])


def run(
    batches: Sequence[Batch],
    policy: BreakerPolicy | None = None,
    since: datetime = BEGIN - timedelta(hours=1),
    until: datetime = BEGIN + timedelta(days=7),
    **more: Any,
) -> Replay:
    return replay(batches, policy, since=since, until=until, **more)


def moves(found: Replay, *, simulated: bool = True) -> list[tuple[float, str, str]]:
    """Seconds after BEGIN, to which state, and why."""
    course = found.simulated if simulated else found.recorded
    return [
        ((each.at - BEGIN).total_seconds(), each.to_state, each.reason)
        for each in course.transitions
    ]

"""Counts the calls of one breaker by outcome, with their durations as a histogram."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

# Seconds; those that OpenTelemetry advises for http.client.request.duration.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
OUTCOMES = ("success", "failure", "ignored")


class CallsOfOutcome(NamedTuple):
    """Calls that ended one way: counts per bucket, the last one unbounded, and seconds in all."""

    outcome: str
    buckets: tuple[int, ...]
    seconds: float


class CallMeter:
    """Adds up; it takes no lock, since its breaker calls it under its own."""

    __slots__ = ("_buckets", "_seconds")

    def __init__(self) -> None:
        self._buckets = [[0] * (len(BOUNDS) + 1) for _ in OUTCOMES]
        self._seconds = [0.0] * len(OUTCOMES)

    def record(self, outcome: int, duration: float) -> None:
        """One call took `duration` seconds; `outcome` is a place in OUTCOMES."""
        self._buckets[outcome][bisect_left(BOUNDS, duration)] += 1
        self._seconds[outcome] += duration

    def read(self) -> list[CallsOfOutcome]:
        """What was counted since the beginning, for each outcome that occurred."""
        return [
            CallsOfOutcome(outcome, tuple(buckets), seconds)
            for outcome, buckets, seconds in zip(
                OUTCOMES, self._buckets, self._seconds, strict=True
            )
            if any(buckets)
        ]

"""Counts the calls of one breaker by outcome, with their durations as a histogram."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
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

    def record(self, outcome: int, duration: float, now: float, era: int) -> None:
        """One call took `duration` seconds; `outcome` is a place in OUTCOMES."""
        self._buckets[outcome][bisect_left(BOUNDS, duration)] += 1
        self._seconds[outcome] += duration

    def note(self, what: int, now: float, *details: object) -> None:
        """What is not a call is not counted."""

    def count(self, calls: Iterable[tuple[int, float]]) -> None:
        """Add up calls by outcome and duration; what is no outcome is passed over."""
        buckets, seconds = self._buckets, self._seconds
        for outcome, duration in calls:
            if outcome < len(OUTCOMES):
                buckets[outcome][bisect_left(BOUNDS, duration)] += 1
                seconds[outcome] += duration

    def read(self, *others: CallMeter) -> list[CallsOfOutcome]:
        """What this one and `others` counted since the beginning, by outcome that occurred."""
        meters = (self, *others)
        found = []
        for place, outcome in enumerate(OUTCOMES):
            columns = zip(*(each._buckets[place] for each in meters), strict=True)
            buckets = tuple(sum(column) for column in columns)
            if any(buckets):
                seconds = sum(each._seconds[place] for each in meters)
                found.append(CallsOfOutcome(outcome, buckets, seconds))
        return found

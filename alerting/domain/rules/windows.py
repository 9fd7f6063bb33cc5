"""Figures of a window, out of those of its minutes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from statistics import median
from typing import Final

from alerting.domain.rules.conditions import FigureCondition

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
_EPS: Final = 1e-9


@dataclass(frozen=True)
class Sums:
    """What was counted in a time: calls, errors, durations by bucket, chains by where they began."""

    calls: int = 0
    errors: int = 0
    longest_ns: int = 0
    buckets: tuple[int, ...] = ()
    by_service: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Sums) -> Sums:
        return _total((self, other))


Minutes = Mapping[datetime, Sums]


class Windows:
    """The windows [end - width, end) over minutes that change no more.

    A trial asks for thousands of windows of up to a day, so counts are kept as running totals, and
    what whole hours came to is kept.
    """

    def __init__(self, minutes: Minutes, width: timedelta) -> None:
        self.width = width
        self._minutes = minutes
        self._at = sorted(minutes)
        self._calls = [0, *accumulate(minutes[at].calls for at in self._at)]
        self._errors = [0, *accumulate(minutes[at].errors for at in self._at)]
        self._hours: dict[datetime, Sums] = {}

    def counts(self, end: datetime) -> tuple[int, int]:
        """Calls and errors."""
        first, last = bisect_left(self._at, end - self.width), bisect_left(self._at, end)
        return self._calls[last] - self._calls[first], self._errors[last] - self._errors[first]

    def sums(self, end: datetime) -> Sums:
        """Everything."""
        return _total(self._parts(end - self.width, end))

    def within(self, end: datetime) -> Iterator[tuple[datetime, Sums]]:
        """Its minutes, one by one."""
        first, last = bisect_left(self._at, end - self.width), bisect_left(self._at, end)
        return ((at, self._minutes[at]) for at in self._at[first:last])

    def _parts(self, since: datetime, until: datetime) -> Iterator[Sums]:
        at = since
        while at < until:
            if at.minute or at + HOUR > until:
                if at in self._minutes:
                    yield self._minutes[at]
                at += MINUTE
            else:
                yield self._hour(at)
                at += HOUR

    def _hour(self, at: datetime) -> Sums:
        if at not in self._hours:
            every = (self._minutes.get(at + MINUTE * number) for number in range(60))
            self._hours[at] = _total(each for each in every if each is not None)
        return self._hours[at]


def _total(parts: Iterable[Sums]) -> Sums:
    calls = errors = longest = 0
    buckets: list[tuple[int, ...]] = []
    by_service: dict[str, int] = {}
    for each in parts:
        calls += each.calls
        errors += each.errors
        longest = max(longest, each.longest_ns)
        if each.buckets:
            buckets.append(each.buckets)
        for name, count in each.by_service.items():
            by_service[name] = by_service.get(name, 0) + count
    added = tuple(sum(column) for column in zip(*buckets, strict=True))
    return Sums(calls, errors, longest, added, by_service)


def baseline_ends(condition: FigureCondition, end: datetime) -> list[datetime]:
    """The ends of the windows whose median a figure is compared with: of each of the days before,
    those that follow each other within the same hour of the day, or the one that ends with it."""
    if condition.baseline is None:
        return []
    width = timedelta(seconds=condition.window_seconds)
    # A window that ends at 12:00 belongs to the hour before.
    hour = (end - MINUTE).replace(minute=0, second=0, microsecond=0)
    found = []
    for day in range(1, condition.baseline.days + 1):
        start = hour - timedelta(days=day)
        ends = [start + width * number for number in range(1, HOUR // width + 1)]
        found += ends or [start + HOUR]
    return found


def threshold_of(condition: FigureCondition, values: list[float]) -> tuple[float, float | None]:
    """The threshold that holds now, and the median that it was made of, if it was."""
    if condition.baseline is None or not values:
        return condition.threshold, None
    middle = float(median(values))
    return max(condition.threshold, condition.baseline.ratio * middle), middle


def meets(op: str, value: float, threshold: float) -> bool:
    """Whether the comparison is true."""
    match op:
        case ">":
            return value > threshold
        case ">=":
            return value >= threshold - _EPS * abs(threshold)
        case "<":
            return value < threshold
        case _:
            return value <= threshold + _EPS * abs(threshold)

"""Figures of a window, out of those of its minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
        return Sums(
            self.calls + other.calls,
            self.errors + other.errors,
            max(self.longest_ns, other.longest_ns),
            _added(self.buckets, other.buckets),
            {
                name: self.by_service.get(name, 0) + other.by_service.get(name, 0)
                for name in {*self.by_service, *other.by_service}
            },
        )


NOTHING: Final = Sums()
Minutes = Mapping[datetime, Sums]


def window_sums(minutes: Minutes, end: datetime, width: timedelta) -> Sums:
    """Everything in [end - width, end)."""
    total = NOTHING
    at = end - width
    while at < end:
        if at in minutes:
            total = total + minutes[at]
        at += MINUTE
    return total


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


def _added(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    if not first or not second:
        return first or second
    return tuple(a + b for a, b in zip(first, second, strict=True))

"""What the next value should be: the recent level, or what the time of day had on past days."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Final

DAY: Final = 86_400
# Parts of a day that are remembered apart, 5 minutes each.
_SLOTS: Final = 288
_SLOT: Final = DAY // _SLOTS
_DAYS: Final = 7
# Values at irregular times: the nearest part of the hour before stands in for an empty one.
_NEAR: Final = 12
# The recent level is the median of so many values.
_LEVEL: Final = 24
# Which of both is believed goes by their errors over about the last 200 values.
_TRUST: Final = 0.005

# A day's mean of a part, and of how many values it is.
_Mean = tuple[int, float, int]


class Expectation:
    """Two simple forecasts of a series; the one that has erred less of late is believed."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_LEVEL)
        self._slots: dict[int, list[_Mean]] = {}
        self._level_error = 0.0
        self._season_error = 0.0
        # A value is asked for and then learnt: what was worked out for both.
        self._asked: tuple[float, float, float] | None = None

    def expected(self, at: float) -> float | None:
        """The value expected at a time, in seconds; None before the first."""
        if not self._recent:
            return None
        level, season = self._both(at)
        return season if self._season_error <= self._level_error else level

    def add(self, at: float, value: float) -> None:
        """Learn the value of a time."""
        if self._recent:
            level, season = self._both(at)
            self._level_error += _TRUST * (abs(value - level) - self._level_error)
            self._season_error += _TRUST * (abs(value - season) - self._season_error)
        self._asked = None
        self._recent.append(value)
        day, slot = _place(at)
        means = self._slots.setdefault(slot, [])
        if means and means[-1][0] == day:
            _, mean, count = means[-1]
            means[-1] = (day, mean + (value - mean) / (count + 1), count + 1)
        else:
            means.append((day, value, 1))
            # One more than is read: the running day's is not.
            del means[: -_DAYS - 1]

    def _both(self, at: float) -> tuple[float, float]:
        """The recent level, and what past days had; the level where they had nothing."""
        if self._asked is None or self._asked[0] != at:
            level = median(self._recent)
            season = self._season(at)
            self._asked = at, level, level if season is None else season
        return self._asked[1:]

    def _season(self, at: float) -> float | None:
        today, slot = _place(at)
        for near in range(slot, slot - _NEAR, -1):
            means = self._slots.get(near % _SLOTS)
            if means:
                # Shortly after midnight the hour before is yesterday's.
                day = today if near >= 0 else today - 1
                past = [mean for on, mean, _ in means if day - _DAYS <= on < day]
                if past:
                    return median(past)
        return None

    def dump(self) -> tuple[list[float], list[float]]:
        """As plain numbers: errors and recent values, then the parts of days, four numbers each."""
        slots = [
            float(number)
            for slot, means in sorted(self._slots.items())
            for mean in means
            for number in (slot, *mean)
        ]
        return [self._level_error, self._season_error, *self._recent], slots

    @classmethod
    def load(cls, recent: list[float], slots: list[float]) -> Expectation:
        """What `dump` wrote."""
        found = cls()
        found._level_error, found._season_error = recent[:2]
        found._recent.extend(recent[2:])
        for slot, day, mean, count in zip(
            slots[::4], slots[1::4], slots[2::4], slots[3::4], strict=True
        ):
            found._slots.setdefault(int(slot), []).append((int(day), mean, int(count)))
        return found


def _place(at: float) -> tuple[int, int]:
    """The day of a time, and the part of the day."""
    day = math.floor(at / DAY)
    return day, min(_SLOTS - 1, int((at - day * DAY) // _SLOT))

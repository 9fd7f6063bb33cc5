"""Sliding windows: what a breaker knows of its last calls, each outcome added in constant time.

A window is pure arithmetic. It takes no lock and reads no clock; its breaker does both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

BUCKETS = 10


class Window(Protocol):
    """Outcomes of recent calls. `now` never goes back."""

    calls: int
    failed: int
    slow: int
    row: int
    """Failures since the last success."""

    def add(self, failed: bool, slow: bool, now: float) -> None:
        """Take in one outcome."""

    def expire(self, now: float) -> bool:
        """Forget what is too old; whether that changed anything."""

    def dump(self) -> dict[str, Any]:
        """All that it holds, as JSON can say it; `loaded` makes the same window of it."""


class CountWindow:
    """The last `size` outcomes, in a ring of one byte each."""

    __slots__ = ("_next", "_outcomes", "_size", "calls", "failed", "row", "slow")

    def __init__(self, size: int) -> None:
        self._size = size
        self._outcomes = bytearray(size)
        self._next = 0
        self.calls = self.failed = self.slow = self.row = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        place = self._next
        if self.calls < self._size:
            self.calls += 1
        elif old := self._outcomes[place]:
            self.failed -= old & 1
            self.slow -= old >> 1
        if failed:
            self.row += 1
            self.failed += 1
        else:
            self.row = 0
        if slow:
            self.slow += 1
        self._outcomes[place] = failed | slow << 1
        place += 1
        self._next = place if place < self._size else 0

    def expire(self, now: float) -> bool:
        """Only an outcome displaces an outcome."""
        return False

    @property
    def size(self) -> int:
        return self._size

    def resized(self, size: int, *, keep_slow: bool = True) -> CountWindow:
        """A window of another size with the last outcomes of this one that it can hold."""
        made = CountWindow(size)
        start = self._next if self.calls == self._size else 0
        held = (self._outcomes[start:] + self._outcomes[:start])[: self.calls]
        for outcome in held[-size:]:
            made.add(bool(outcome & 1), keep_slow and outcome > 1, 0.0)
        made.row = self.row
        return made

    def dump(self) -> dict[str, Any]:
        return {
            "kind": "count",
            "outcomes": self._outcomes.hex(),
            "next": self._next,
            "calls": self.calls,
            "row": self.row,
        }


class TimeWindow:
    """The outcomes of the last `seconds`, in ten buckets, of which the oldest goes at once.

    So a window of 10 s looks back between 9 and 10 s. The figures of the running bucket are not
    stored until it ends: an outcome is one comparison and one or two additions.
    """

    __slots__ = (
        "_at_start", "_place", "_ring", "_width", "calls", "ends", "failed", "row", "slow",
    )  # fmt: skip

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.ends = -math.inf
        self._ring = [(0, 0, 0)] * (BUCKETS - 1)
        self._place = 0
        self._at_start = (0, 0, 0)
        self.calls = self.failed = self.slow = self.row = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        if now >= self.ends:
            self.expire(now)
        self.calls += 1
        if failed:
            self.failed += 1
            self.row += 1
        else:
            self.row = 0
        if slow:
            self.slow += 1

    def expire(self, now: float) -> bool:
        late = now - self.ends
        if late < 0:
            return False
        if late >= self._width * (BUCKETS - 1):
            self._forget()
            self.ends = now + self._width
            return True
        calls, failed, slow = self._at_start
        done = (self.calls - calls, self.failed - failed, self.slow - slow)
        passed = int(late / self._width) + 1
        for _ in range(passed):
            self._place = (self._place + 1) % (BUCKETS - 1)
            old = self._ring[self._place]
            self.calls -= old[0]
            self.failed -= old[1]
            self.slow -= old[2]
            self._ring[self._place] = done
            done = (0, 0, 0)
        self._at_start = (self.calls, self.failed, self.slow)
        self.ends += passed * self._width
        return True

    @property
    def width(self) -> float:
        """Seconds of one bucket."""
        return self._width

    def dump(self) -> dict[str, Any]:
        return {
            "kind": "time",
            "width": self._width,
            "ends": self.ends if self.ends > -math.inf else None,
            "ring": [list(bucket) for bucket in self._ring],
            "place": self._place,
            "at_start": list(self._at_start),
            "calls": self.calls,
            "failed": self.failed,
            "slow": self.slow,
            "row": self.row,
        }

    def _forget(self) -> None:
        self._ring = [(0, 0, 0)] * (BUCKETS - 1)
        self._at_start = (0, 0, 0)
        self.calls = self.failed = self.slow = 0


def loaded(fields: Mapping[str, Any]) -> Window:
    """The window that `fields` were dumped of; raises ValueError where they make no window."""
    try:
        return _count_window(fields) if fields["kind"] == "count" else _time_window(fields)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"no window can be made of these fields: {error!r}") from None


def _count_window(fields: Mapping[str, Any]) -> CountWindow:
    outcomes = bytearray.fromhex(fields["outcomes"])
    window = CountWindow(len(outcomes))
    window.calls, window.row, window._next = _counts(fields["calls"], fields["row"], fields["next"])
    if not outcomes or window.calls > len(outcomes) or window._next >= len(outcomes):
        raise ValueError("a window of so many calls cannot hold so many")
    if max(outcomes) > 3:
        raise ValueError("an outcome is 0, or failed (1), slow (2) or both (3)")
    # Places that are not taken yet are 0.
    window.failed = sum(outcomes.count(value) for value in (1, 3))
    window.slow = sum(outcomes.count(value) for value in (2, 3))
    window._outcomes = outcomes
    return window


def _time_window(fields: Mapping[str, Any]) -> TimeWindow:
    width, ends = float(fields["width"]), fields["ends"]
    if fields["kind"] != "time" or not 0 < width < math.inf:
        raise ValueError("a window is by count or by time, of a bucket's width above 0")
    window = TimeWindow(width * BUCKETS)
    window._width = width
    window.ends = -math.inf if ends is None else float(ends)
    window._ring = [_bucket(each) for each in fields["ring"]]
    window._at_start = _bucket(fields["at_start"])
    (window._place,) = _counts(fields["place"])
    if len(window._ring) != BUCKETS - 1 or window._place >= BUCKETS - 1 or math.isnan(window.ends):
        raise ValueError(f"a window by time has {BUCKETS - 1} full buckets and one that runs")
    window.calls, window.failed, window.slow, window.row = _counts(
        *(fields[name] for name in ("calls", "failed", "slow", "row"))
    )
    return window


def _bucket(values: Any) -> tuple[int, int, int]:
    calls, failed, slow = _counts(*values)
    return calls, failed, slow


def _counts(*values: Any) -> list[int]:
    for value in values:
        if type(value) is not int or not 0 <= value < 1 << 53:
            raise ValueError(f"{value!r} is no count")
    return list(values)

"""Sliding windows: what a breaker knows of its last calls, each outcome added in constant time.

A window is pure arithmetic. It takes no lock and reads no clock; its breaker does both.
"""

from __future__ import annotations

from typing import Protocol

BUCKETS = 10


class Window(Protocol):
    """Outcomes of recent calls. `now` never goes back."""

    calls: int
    failed: int
    slow: int

    def add(self, failed: bool, slow: bool, now: float) -> None:
        """Take in one outcome."""

    def expire(self, now: float) -> None:
        """Forget what is too old."""

    def clear(self) -> None:
        """Forget everything."""


class ConsecutiveWindow:
    """The failures since the last success; a slow success counts as slow until a quick one."""

    __slots__ = ("calls", "failed", "slow")

    def __init__(self) -> None:
        self.calls = self.failed = self.slow = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        if failed:
            self.failed += 1
            self.calls += 1
        else:
            self.failed = 0
            self.calls = 1
        self.slow = self.slow + 1 if slow else 0

    def expire(self, now: float) -> None:
        """Only an outcome ends a row of outcomes."""

    def clear(self) -> None:
        self.calls = self.failed = self.slow = 0


class CountWindow:
    """The last `size` outcomes, in a ring of one byte each."""

    __slots__ = ("_next", "_outcomes", "_size", "calls", "failed", "slow")

    def __init__(self, size: int) -> None:
        self._size = size
        self._outcomes = bytearray(size)
        self._next = 0
        self.calls = self.failed = self.slow = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        place = self._next
        if self.calls == self._size:
            old = self._outcomes[place]
            if old:
                self.failed -= old & 1
                self.slow -= old >> 1
        else:
            self.calls += 1
        self._outcomes[place] = failed | slow << 1
        self.failed += failed
        self.slow += slow
        place += 1
        self._next = place if place < self._size else 0

    def expire(self, now: float) -> None:
        """Only an outcome displaces an outcome."""

    def clear(self) -> None:
        self._next = self.calls = self.failed = self.slow = 0


class TimeWindow:
    """The outcomes of the last `seconds`, in ten buckets, of which the oldest goes at once.

    So a window of 10 s looks back between 9 and 10 s. The figures of the running bucket are not
    stored until it ends: an outcome is one comparison and one or two additions.
    """

    __slots__ = ("_at_start", "_ends", "_place", "_ring", "_width", "calls", "failed", "slow")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self._ring = [(0, 0, 0)] * (BUCKETS - 1)
        self._place = 0
        self._ends = 0.0
        self._at_start = (0, 0, 0)
        self.calls = self.failed = self.slow = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        if now >= self._ends:
            self.expire(now)
        self.calls += 1
        if failed:
            self.failed += 1
        if slow:
            self.slow += 1

    def expire(self, now: float) -> None:
        if now < self._ends:
            return
        passed = int((now - self._ends) / self._width) + 1
        if self._ends == 0.0 or passed >= BUCKETS:
            self.clear()
            self._ends = now + self._width
            return
        calls, failed, slow = self._at_start
        done = (self.calls - calls, self.failed - failed, self.slow - slow)
        for _ in range(passed):
            self._place = (self._place + 1) % (BUCKETS - 1)
            old = self._ring[self._place]
            self.calls -= old[0]
            self.failed -= old[1]
            self.slow -= old[2]
            self._ring[self._place] = done
            done = (0, 0, 0)
        self._at_start = (self.calls, self.failed, self.slow)
        self._ends += passed * self._width

    def clear(self) -> None:
        self._ring = [(0, 0, 0)] * (BUCKETS - 1)
        self._place = 0
        self._ends = 0.0
        self._at_start = (0, 0, 0)
        self.calls = self.failed = self.slow = 0

"""Sliding windows: what a breaker knows of its last calls, each outcome added in constant time.

A window is pure arithmetic. It takes no lock and reads no clock; its breaker does both.
"""

from __future__ import annotations

import math
from typing import Protocol

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

    def expire(self, now: float) -> None:
        """Forget what is too old."""


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

    def expire(self, now: float) -> None:
        """Only an outcome displaces an outcome."""


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

    def expire(self, now: float) -> None:
        late = now - self.ends
        if late < 0:
            return
        if late >= self._width * (BUCKETS - 1):
            self._forget()
            self.ends = now + self._width
            return
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

    def _forget(self) -> None:
        self._ring = [(0, 0, 0)] * (BUCKETS - 1)
        self._at_start = (0, 0, 0)
        self.calls = self.failed = self.slow = 0

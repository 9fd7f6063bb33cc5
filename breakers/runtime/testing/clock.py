"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import threading


class FakeClock:
    """Calling it gives the time in seconds. Its sleeps advance it and return at once.

    `waits` are the sleeps so far. Threads and tasks may use it together.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self._lock = threading.Lock()
        self.now = now
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Let so many seconds pass; the time afterwards. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError(f"a clock does not go back, by {seconds} s")
        with self._lock:
            self.now += seconds
            return self.now

    def sleep(self, seconds: float) -> None:
        """What `time.sleep` is to a real clock."""
        self.waits.append(seconds)
        self.advance(max(0.0, seconds))

    async def async_sleep(self, seconds: float) -> None:
        """What `asyncio.sleep` is: other tasks have their turn."""
        self.sleep(seconds)
        await asyncio.sleep(0)

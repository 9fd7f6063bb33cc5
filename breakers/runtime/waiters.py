"""Callers that wait for a slot: threads, and tasks of any event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Literal, Protocol

Answer = Literal["granted", "shed", "isolated", "timeout"]


class Waiter(Protocol):
    """One waiting call. `answer` is set once, under the bulkhead's lock."""

    answer: Answer | None
    since: float

    def wake(self) -> bool:
        """Let it go on; false when there is nobody left to go on."""


class ThreadWaiter:
    """A thread that waits."""

    __slots__ = ("_lock", "answer", "since")

    def __init__(self, since: float) -> None:
        self.answer: Answer | None = None
        self.since = since
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, seconds: float | None) -> None:
        """Until it is woken, or at most `seconds`."""
        self._lock.acquire(timeout=-1 if seconds is None else seconds)

    def wake(self) -> bool:
        self._lock.release()
        return True


class TaskWaiter:
    """A task that waits. No `asyncio.wait_for`: on Python 3.11 it can lose what it was given."""

    __slots__ = ("_future", "_loop", "answer", "since")

    def __init__(self, since: float) -> None:
        self.answer: Answer | None = None
        self.since = since
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    async def wait(self, seconds: float | None) -> None:
        """Until it is woken, or at most `seconds`. May be cancelled."""
        timer = None if seconds is None else self._loop.call_later(seconds, self._go_on)
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._go_on)
        except RuntimeError:  # its event loop is closed
            return False
        return True

    def _go_on(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

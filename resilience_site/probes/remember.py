"""Answers that are open to anybody are worked out once, however often they are asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class StillWaitingError(Exception):
    """Another request has been working on the answer for longer than this one may wait."""


class Remembered(Generic[T]):
    """The result of `make`, at most `seconds` old, worked out by one thread at a time."""

    def __init__(
        self,
        make: Callable[[], T],
        seconds: float,
        patience: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._seconds = seconds
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[float, T] | None = None

    def get(self) -> T:
        """The answer; raises StillWaitingError after `patience` seconds."""
        if not self._lock.acquire(timeout=self._patience):
            raise StillWaitingError
        try:
            if self._known is None or self._clock() >= self._known[0] + self._seconds:
                # Its age counts from the end: a slow answer would be stale when it arrives.
                answer = self._make()
                self._known = (self._clock(), answer)
            return self._known[1]
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Work it out anew next time."""
        self._known = None

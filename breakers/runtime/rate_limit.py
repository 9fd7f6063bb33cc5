"""At most so many starts a second, evenly, with a burst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from breakers.runtime import checks


class RateLimit:
    """The generic cell rate algorithm (ITU-T I.371): `rate` starts a second, `burst` at once."""

    __slots__ = ("_arrival", "_clock", "_interval", "_lock", "_tolerance")

    def __init__(
        self, rate: float, burst: int = 1, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not checks.is_number(rate) or rate <= 0:
            checks.refuse("rate", rate, "a number of starts a second above 0")
        checks.count("burst", burst)
        self._interval = 1 / rate
        self._tolerance = self._interval * burst
        self._clock = clock
        self._lock = threading.Lock()
        self._arrival = 0.0

    def try_start(self) -> float:
        """0.0 and one start is taken, or the seconds after which there is one."""
        now = self._clock()
        with self._lock:
            following = max(self._arrival, now) + self._interval
            wait = following - now - self._tolerance
            # Sums of intervals differ from their product in the last bits.
            if wait > 1e-9:
                return wait
            self._arrival = following
            return 0.0

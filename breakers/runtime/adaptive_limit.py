"""A limit that follows what the other side can bear.

    AdaptiveLimit(bulkhead, min_limit=5, max_limit=200).start()

It reads the durations of calls: while they are as short as they were at best, the limit grows;
when they grow, calls are queueing somewhere, and it shrinks. "gradient" shrinks by the ratio of the
two (after Netflix's concurrency-limits), "aimd" by a tenth each time (as TCP does).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

from breakers.runtime import checks
from breakers.runtime.bulkhead import Bulkhead

Algorithm = Literal["gradient", "aimd"]

_DRIFT = 1.002  # a window; so a change that stays becomes the new normal within minutes
_SMOOTHING = 0.3
_STEEPEST = 0.5
_DECREASE = 0.9


class AdaptiveLimit:
    """Resizes `bulkhead` between `min_limit` and `max_limit`, once in `window` seconds.

    A number of calls at once that the bulkhead is tuned to stands in place of `max_limit`.

    Durations up to `tolerance` times the shortest mean are taken as normal. Windows of fewer than
    `min_samples` calls are prolonged.
    """

    def __init__(
        self,
        bulkhead: Bulkhead,
        *,
        min_limit: int = 1,
        max_limit: int = 1000,
        algorithm: Algorithm = "gradient",
        tolerance: float = 1.5,
        window: float = 0.5,
        min_samples: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        checks.count("min_limit", min_limit)
        checks.count("max_limit", max_limit, minimum=min_limit)
        if algorithm not in ("gradient", "aimd"):
            checks.refuse("algorithm", algorithm, "gradient or aimd")
        if not checks.is_number(tolerance) or tolerance < 1:
            checks.refuse("tolerance", tolerance, "a number of 1 or more")
        checks.seconds("window", window)
        checks.count("min_samples", min_samples)
        self._bulkhead = bulkhead
        self._min, self._max = min_limit, max_limit
        self._step = self._gradient if algorithm == "gradient" else self._aimd
        self._tolerance = tolerance
        self._window = window
        self._min_samples = min_samples
        self._clock = clock
        self._given = bulkhead.limit
        self._limit = float(self._given)
        self._shortest = math.inf
        self._ends = -math.inf
        self._calls = 0
        self._total = 0.0
        self._busiest = 0

    @property
    def limit(self) -> int:
        """The number of calls at once that it allows now."""
        return min(self._most, max(self._min, round(self._limit)))

    @property
    def _most(self) -> int:
        return int(self._bulkhead.tuned.get("max_concurrent_calls", self._max))

    def start(self) -> AdaptiveLimit:
        """Read the durations of the bulkhead's calls from now on."""
        self._limit = float(self._bulkhead.limit)
        self._bulkhead.observe(self.observe, self._max)
        # What is tuned would else hold only up to the bulkhead's own number.
        self._given = self.limit
        self._bulkhead.resize(self._given)
        return self

    def stop(self) -> None:
        """Leave the limit as it is, or as the bulkhead is tuned."""
        self._bulkhead.observe(None)

    def observe(self, duration: float, calls: int) -> None:
        """A call took `duration` seconds while `calls` ran at once.

        Two threads may come here together. A sample lost to that changes no decision, so there is
        no lock.
        """
        now = self._clock()
        self._calls += 1
        self._total += duration
        self._busiest = max(self._busiest, calls)
        if now < self._ends or self._calls < self._min_samples:
            return
        mean, busiest = self._total / self._calls, self._busiest
        begun = self._ends > -math.inf
        self._ends = now + self._window
        self._calls, self._total, self._busiest = 0, 0.0, 0
        if begun:
            self._adapt(mean, busiest)

    def _adapt(self, mean: float, busiest: int) -> None:
        self._shortest = min(self._shortest * _DRIFT, mean)
        self._limit = min(self._most, max(self._min, self._step(mean, busiest)))
        if self.limit != self._given:
            self._given = self.limit
            self._bulkhead.resize(self._given)

    def _gradient(self, mean: float, busiest: int) -> float:
        ratio = self._tolerance * self._shortest / mean if mean > 0 else 1.0
        wanted = self._limit * max(_STEEPEST, min(1.0, ratio)) + math.sqrt(self._limit)
        if wanted > self._limit and busiest < self._limit / 2:
            return self._limit  # nobody needs more, so more proves nothing
        return self._limit + _SMOOTHING * (wanted - self._limit)

    def _aimd(self, mean: float, busiest: int) -> float:
        if mean > self._tolerance * self._shortest:
            return self._limit * _DECREASE
        return self._limit + 1 if busiest >= self._limit / 2 else self._limit

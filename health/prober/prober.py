"""The prober of a process: claims due checks, runs them in one event loop, writes what they found.

Celery's tick keeps it alive (`health.tasks`); any number of probers share the work by claims.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from health.prober.life import Life
from health.prober.running import Runner

log = logging.getLogger(__name__)


class Prober:
    """Runs checks until it is stopped. `start` and `stop` may be called from any thread, one at a
    time."""

    def __init__(
        self,
        *,
        runner: Callable[[], Runner],
        concurrency: int,
        rng: random.Random | None = None,
    ) -> None:
        self._make_runner = runner
        self._concurrency = concurrency
        self._rng = rng or random.Random()  # noqa: S311  jitter is no secret
        self._life: Life | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs whole."""
        return self._life is not None and self._life.alive

    def start(self) -> None:
        """Begin to claim and run; does nothing while it does so already."""
        if self.alive:
            return
        if self._life is not None:
            log.error("the prober had come to an end by itself; it begins anew")
            self.stop()
        self._life = Life(runner=self._make_runner(), concurrency=self._concurrency, rng=self._rng)
        self._life.begin()

    def stop(self, seconds: float = 5.0) -> None:
        """Claim nothing more, write what is finished, give back what is not begun or not done.

        What takes longer than `seconds` goes on to its end, beside whatever is started next.
        """
        if self._life is not None:
            self._life.end(seconds)
            self._life = None

"""Until when the site's decisions hold in this process, and who takes them back at that moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from breakers.runtime import checks

logger = logging.getLogger(__name__)

_LONGEST_SLEEP = 3600.0  # seconds; a longer one than a platform allows would raise
_AFTER_A_FAILURE = 1.0


class Ends:
    """When each of the site's decisions ends, by this process's clock.

    A document says how many seconds are left. One that is served again, with the same
    `expires_at`, ends when it was first to end: it neither grows by the time that the document
    takes to arrive, nor begins anew after it ended here.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[object, float]] = {}

    def of(self, name: str, entry: Mapping[str, Any]) -> float | None:
        """The end of the decision about `name`, None for never; it may be over.

        Raises ConfigError for an `expires_in` that is no time.
        """
        left = entry.get("expires_in")
        if left is None:
            self._known.pop(name, None)
            return None
        checks.seconds("expires_in", left, zero=True)
        until = self._clock() + float(left)
        at = entry.get("expires_at")
        known = self._known.get(name)
        if known is not None and at is not None and known[0] == at:
            until = min(until, known[1])
        self._known[name] = (at, until)
        return until

    def keep(self, names: Collection[str]) -> None:
        """Forget all decisions but these."""
        for name in self._known.keys() - set(names):
            del self._known[name]


def seconds_left(ends: Iterable[float | None], now: float) -> float | None:
    """Seconds from `now` until the earliest of these ends; None where nothing ends."""
    earliest = min((each for each in ends if each is not None), default=None)
    return None if earliest is None else max(0.0, earliest - now)


class ExpiryThread:
    """Calls `work` whenever it is time. `work` returns in how many seconds that is next, or None.

    The thread lives while something is to come, and ends by itself.
    """

    def __init__(self, work: Callable[[], float | None]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._woken = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Look anew: something ends that did not before, or earlier."""
        with self._changed:
            self._woken = True
            # In a child after a fork the thread of the parent counts as ended.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="resilience-expiry", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._woken = False
            try:
                left = self._work()
            except Exception:
                logger.exception("What has expired could not be taken back")
                left = _AFTER_A_FAILURE
            with self._changed:
                if self._woken:
                    continue
                if left is None:
                    self._thread = None
                    return
                self._changed.wait(min(left, _LONGEST_SLEEP))

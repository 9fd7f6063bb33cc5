"""How sending went: whether the site is away, for how long to leave it alone, and what to say."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from breakers.runtime.backoff import backoff

logger = logging.getLogger(__name__)

# Seconds between two tries while the site is away.
SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 120.0
WRONG_KEY = ("401", "403")
_LATER = (*WRONG_KEY, "408", "425", "429")
_TOO_LARGE = "413"
_EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "urllib3.connectionpool",
)
_exporting: ContextVar[bool] = ContextVar("exporting", default=False)


class Outcome(NamedTuple):
    """How the last request of an export ended, and for how long it asked to stay away.

    Without a reason there was no request: the batch could not even be written.
    """

    arrived: bool
    reason: str = ""
    retry_after: float = 0.0

    @property
    def status(self) -> str:
        return self.reason.partition(" ")[0]

    @property
    def may_arrive_later(self) -> bool:
        """Whether this says nothing against the batch itself."""
        status = self.status
        return bool(status) and (not status.isdigit() or status.startswith("5") or status in _LATER)

    @property
    def may_arrive_in_parts(self) -> bool:
        return self.status in ("", _TOO_LARGE)


class Watch:
    """Knows whether the site is away, and for how long to leave it alone.

    It says once that telemetry stopped arriving, and once that it arrives again.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = url
        self.now = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._failures = 0
        self._heard_at = self._not_before = float("-inf")
        self._dropped = 0
        self._refused: set[tuple[str, str]] = set()
        self._on_arrival: dict[str, Callable[[], None]] = {}

    def on_arrival(self, signal: str, act: Callable[[], None]) -> None:
        """Have `act` called when the site is back, whatever signal has found that."""
        self._on_arrival[signal] = act

    def is_due(self) -> bool:
        """Whether the site may be asked again."""
        return self.now() >= self._not_before

    def pause(self) -> float:
        """Seconds until then."""
        return max(0.0, self._not_before - self.now())

    def hurry(self) -> None:
        """Let the site be asked at once."""
        self._not_before = float("-inf")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The exporters' own lines, several per batch, are held back inside, and their spans."""
        from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

        token = _exporting.set(True)
        untraced = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            yield
        finally:
            detach(untraced)
            _exporting.reset(token)

    def note(self, outcome: Outcome, began: float) -> None:
        """A request that began then has ended, so."""
        if outcome.arrived:
            self._arrived()
        elif outcome.may_arrive_later:
            self._failed(outcome, began)

    def _arrived(self) -> None:
        with self._lock:
            self._heard_at = self.now()
            back = self._failures > 0
            self._failures, self._not_before = 0, float("-inf")
            dropped = self._dropped
            if back:
                self._dropped = 0
        if not back:
            return
        if dropped:
            logger.warning(
                "Telemetry reaches %s again; %d records were dropped meanwhile", self._url, dropped
            )
        else:
            logger.info("Telemetry reaches %s again", self._url)
        for act in self._on_arrival.values():
            act()

    def _failed(self, outcome: Outcome, began: float) -> None:
        with self._lock:
            if began < self._heard_at:
                return  # another signal has found out meanwhile, be it good or bad
            news = self._failures == 0
            self._failures += 1
            self._heard_at = self.now()
            pause = backoff(
                self._failures, SHORTEST_PAUSE, LONGEST_PAUSE, "equal", chance=self._chance
            )
            self._not_before = self._heard_at + max(
                pause, min(outcome.retry_after, LONGEST_RETRY_AFTER)
            )
        if news:
            logger.warning(
                "Telemetry does not reach %s (%s); the newest is kept and sent when it does",
                self._url,
                outcome.reason,
            )

    def dropped(self, records: int) -> None:
        """So many records were dropped, because more waits than is kept."""
        with self._lock:
            news = self._dropped == 0
            self._dropped += records
        if news:
            logger.warning(
                "More telemetry waits for %s than is kept; the oldest is dropped", self._url
            )

    def refused(self, signal: str, reason: str) -> None:
        """The site, or what writes requests, will never take some records."""
        why = reason or "they cannot be written as OTLP"
        if (signal, why) not in self._refused:
            self._refused.add((signal, why))
            logger.warning("Some %s are not taken by %s (%s) and dropped", signal, self._url, why)


def hold_back_exporters() -> None:
    """Keep the exporters' own lines, several per failed batch, out of the program's log."""
    for name in _EXPORTER_LOGGERS:
        logging.getLogger(name).addFilter(_outside_exports)


def _outside_exports(record: logging.LogRecord) -> bool:
    return not _exporting.get()

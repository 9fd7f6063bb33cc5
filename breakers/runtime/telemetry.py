"""Sends what the library's parts say of themselves to the site, as OTel log events and metrics.

A caller's thread only notes the event, with the trace it belongs to; a thread of its own does the
rest. What comes faster than that is dropped, oldest first, and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from breakers.runtime import events
from breakers.runtime.breaker_reports import BreakerReports
from breakers.runtime.call_meter import OUTCOMES
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.events import Event
from breakers.runtime.figures import MAX_SERIES, Figures, with_calls
from breakers.runtime.telemetry_names import EVENTS, Signal

if TYPE_CHECKING:
    from breakers.runtime.connection import Connection
    from breakers.runtime.resilience import Resilience

logger = logging.getLogger(__name__)

SCOPE = "breakers.runtime"
MAX_PENDING = 10_000
OTHER = "other"
_INTERVAL = 0.25
_AGGREGATED = ("resilience.breaker.rejected", "resilience.bulkhead.rejected")
_COUNTED_INTERVAL = 1.0


class Telemetry:
    """Events and figures of one `Resilience`, sent by one connection until `stop`.

    With `record_outcomes` each call through a breaker by name is told, so that it can be replayed.
    """

    def __init__(
        self, connection: Connection, resilience: Resilience, *, record_outcomes: bool = True
    ) -> None:
        self._resilience = resilience
        self._connection = connection
        self._pending: deque[tuple[Event, int, Any]] = deque(maxlen=MAX_PENDING)
        self._breakers = BreakerReports(resilience, self._tell, record=record_outcomes)
        self._rejected: dict[str, int] = {}
        self._waiting: dict[tuple[str, tuple[tuple[str, Any], ...]], int] = {}
        self._next_counted = 0.0
        self._seen: dict[str, set[str]] = {}
        self._began = time.time_ns()
        self._noted = self._taken = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._make_instruments()
        self._forget_breakers = resilience.breakers.on_made(self._observe)
        self._unsubscribe = events.subscribe(self._note)
        self._thread = threading.Thread(target=self._run, name="resilience-telemetry", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send what is noted and end."""
        self._unsubscribe()
        self._forget_breakers()
        self._stop.set()
        self._thread.join(2.0)
        self._breakers.stop()

    def flush(self) -> None:
        """Hand everything that is noted to OpenTelemetry; never raises."""
        try:
            with self._lock:
                self._send_pending()
                self._send_counted()
        except Exception:
            logger.exception("Telemetry of the resilience library could not be recorded")

    # --- On the caller's thread

    def _note(self, event: Event) -> None:
        from opentelemetry.context import get_current

        if event.name in _AGGREGATED:
            # They come by the thousand, just when nothing may be slow, and none is to be lost.
            self._add((event.name, tuple(sorted(event.attributes.items()))), 1)
            return
        self._noted += 1
        self._pending.append((event, time.time_ns(), get_current()))

    def _add(self, key: tuple[str, tuple[tuple[str, Any], ...]], count: int) -> None:
        with self._counting:
            self._waiting[key] = self._waiting.get(key, 0) + count

    def _observe(self, breaker: CircuitBreaker) -> None:
        # What it rejected before is not this connection's to tell.
        self._rejected[breaker.name] = breaker.not_permitted_calls
        self._breakers.observe(breaker)

    # --- On the telemetry's thread

    def _run(self) -> None:
        while True:
            last = self._stop.wait(_INTERVAL)
            try:
                with self._lock:
                    self._send_pending()
                    now = time.monotonic()
                    if last or now >= self._next_counted:
                        self._next_counted = now + _COUNTED_INTERVAL
                        self._send_counted()
            except Exception:
                logger.exception("Telemetry of the resilience library could not be recorded")
            if last:
                return

    def _send_pending(self) -> None:
        while True:
            try:
                event, at, context = self._pending.popleft()
            except IndexError:
                break
            self._taken += 1
            signal = EVENTS.get(event.name)
            if signal is None:
                continue
            self._send(signal, dict(event.attributes), 1, at, context)

    def _send_counted(self) -> None:
        """Send what would be too much to be told one by one."""
        self._send_rejections()
        self._breakers.tell()

    def _tell(self, name: str, attributes: dict[str, Any]) -> None:
        self._send(EVENTS[name], attributes, 1, time.time_ns(), None)

    def _send_rejections(self) -> None:
        for breaker in list(self._resilience.breakers.named()):
            total = breaker.not_permitted_calls
            new = total - self._rejected.get(breaker.name, 0)
            if new > 0:
                self._rejected[breaker.name] = total
                key = ("resilience.breaker.rejected", (("resilience.breaker.name", breaker.name),))
                self._add(key, new)
        with self._counting:
            waiting, self._waiting = self._waiting, {}
        for (name, attributes), count in waiting.items():
            part = name.rpartition(".")[0]
            told = {**dict(attributes), f"{part}.count": count}
            self._send(EVENTS[name], told, count, time.time_ns(), None)

    def _send(
        self, signal: Signal, attributes: dict[str, Any], count: int, at: int, context: Any
    ) -> None:
        from opentelemetry._logs import LogRecord, SeverityNumber

        keys = {key: self._bounded(key, attributes.get(key)) for key in signal.keys}
        self._counters[signal.name].add(count, keys)
        self._log.emit(
            LogRecord(
                timestamp=at,
                context=context,
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=signal.meaning,
                attributes=attributes,
                event_name=signal.name,
            )
        )

    def _bounded(self, key: str, value: Any) -> str:
        """The value, or `other` where there are too many different ones."""
        text = str(value)
        seen = self._seen.setdefault(key, set())
        if text in seen:
            return text
        if len(seen) >= MAX_SERIES:
            if OTHER not in seen:
                seen.add(OTHER)
                logger.warning("More than %d values of %s are counted as other", MAX_SERIES, key)
            return OTHER
        seen.add(text)
        return text

    def _make_instruments(self) -> None:
        self._log = self._connection.logger_provider.get_logger(SCOPE)
        meter = self._connection.meter_provider.get_meter(SCOPE)
        self._counters = {
            each.name: meter.create_counter(each.name, each.unit, each.meaning)
            for each in EVENTS.values()
        }
        Figures(meter, self._resilience, self._dropped)

    def _dropped(self) -> int:
        # Read before the number that is pending, so that none is counted as dropped by mistake.
        taken = self._taken
        here = max(0, self._noted - taken - len(self._pending)) + self._breakers.lost
        return here + self._connection.dropped

    def add_calls(self, batch: Any) -> Any:
        """`batch` of metrics with the histogram of the breakers' calls added to it."""
        calls = islice(self._breakers.calls(), MAX_SERIES * len(OUTCOMES))
        return with_calls(batch, SCOPE, calls, self._began)

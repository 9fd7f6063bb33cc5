"""Sends what the library's parts say of themselves to the site, as OTel log events and metrics.

A caller's thread only notes the event, with the trace it belongs to; a thread of its own does the
rest. What comes faster than that is dropped, oldest first, and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from breakers.runtime import events
from breakers.runtime.call_meter import BOUNDS, CallMeter
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.events import Event
from breakers.runtime.telemetry_names import EVENTS, SIGNALS, Signal

if TYPE_CHECKING:
    from breakers.runtime.connection import Connection
    from breakers.runtime.resilience import Resilience

logger = logging.getLogger(__name__)

SCOPE = "breakers.runtime"
MAX_PENDING = 10_000
MAX_SERIES = 200
OTHER = "other"
_INTERVAL = 0.25
_AGGREGATED = ("resilience.breaker.rejected", "resilience.bulkhead.rejected")
_REJECTION_INTERVAL = 1.0


class Telemetry:
    """Events and figures of one `Resilience`, sent by one connection until `stop`."""

    def __init__(self, connection: Connection, resilience: Resilience) -> None:
        self._resilience = resilience
        self._connection = connection
        self._pending: deque[tuple[Event, int, Any]] = deque(maxlen=MAX_PENDING)
        self._meters: dict[str, CallMeter] = {}
        self._rejected: dict[str, int] = {}
        self._waiting: dict[tuple[str, tuple[tuple[str, Any], ...]], int] = {}
        self._next_rejections = 0.0
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

    def flush(self) -> None:
        """Hand everything that is noted to OpenTelemetry; never raises."""
        try:
            with self._lock:
                self._send_pending()
                self._send_rejections()
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
        meter = self._meters[breaker.name] = CallMeter()
        breaker.meter(meter)

    # --- On the telemetry's thread

    def _run(self) -> None:
        while True:
            last = self._stop.wait(_INTERVAL)
            try:
                with self._lock:
                    self._send_pending()
                    now = time.monotonic()
                    if last or now >= self._next_rejections:
                        self._next_rejections = now + _REJECTION_INTERVAL
                        self._send_rejections()
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

    # --- Figures, read when metrics are collected

    def _make_instruments(self) -> None:
        self._log = self._connection.logger_provider.get_logger(SCOPE)
        meter = self._connection.meter_provider.get_meter(SCOPE)
        self._counters = {
            each.name: meter.create_counter(each.name, each.unit, each.meaning)
            for each in EVENTS.values()
        }
        reads = {
            "resilience.breaker.failure_rate": self._failure_rates,
            "resilience.breaker.slow_call_rate": self._slow_call_rates,
            "resilience.breaker.state": self._states,
            "resilience.bulkhead.active": lambda _: self._bulkheads("active"),
            "resilience.bulkhead.queued": lambda _: self._bulkheads("queued"),
            "resilience.bulkhead.limit": lambda _: self._bulkheads("limit"),
        }
        for each in SIGNALS:
            if each.kind == "gauge":
                meter.create_observable_gauge(
                    each.name, [reads[each.name]], each.unit, each.meaning
                )
            elif each.kind == "counter":
                meter.create_observable_counter(each.name, [self._dropped], each.unit, each.meaning)

    def _dropped(self, options: object) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        # Read before the number that is pending, so that none is counted as dropped by mistake.
        taken = self._taken
        return [Observation(max(0, self._noted - taken - len(self._pending)))]

    def _breakers(self) -> list[CircuitBreaker]:
        return list(self._resilience.breakers.named())[:MAX_SERIES]

    def _failure_rates(self, options: object) -> Iterable[Any]:
        return self._rates("failure_rate")

    def _slow_call_rates(self, options: object) -> Iterable[Any]:
        return self._rates("slow_call_rate")

    def _rates(self, field: str) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for breaker in self._breakers():
            rate = getattr(breaker.snapshot(), field)
            if rate is not None:
                yield Observation(rate, {"resilience.breaker.name": breaker.name})

    def _states(self, options: object) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for breaker in self._breakers():
            name, state = "resilience.breaker.name", "resilience.breaker.state"
            yield Observation(1, {name: breaker.name, state: breaker.state.value})

    def _bulkheads(self, field: str) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for boundary in self._resilience.bulkheads.boundaries()[:MAX_SERIES]:
            value = getattr(boundary.bulkhead.snapshot(), field)
            yield Observation(value, {"resilience.bulkhead.name": boundary.resource_type})

    def add_calls(self, batch: Any) -> Any:
        """`batch` of metrics with the histogram of the breakers' calls added to it.

        The calls are counted by `CallMeter`, at a tenth of what recording them one by one costs,
        and the SDK has no instrument that observes a histogram.
        """
        from opentelemetry.sdk.metrics.export import (
            AggregationTemporality,
            Histogram,
            HistogramDataPoint,
            Metric,
            MetricsData,
            ResourceMetrics,
            ScopeMetrics,
        )

        now = time.time_ns()
        points = [
            HistogramDataPoint(
                attributes={
                    "resilience.breaker.name": name,
                    "resilience.breaker.outcome": calls.outcome,
                },
                start_time_unix_nano=self._began,
                time_unix_nano=now,
                count=sum(calls.buckets),
                sum=calls.seconds,
                bucket_counts=calls.buckets,
                explicit_bounds=BOUNDS,
                min=None,  # type: ignore[arg-type]  # not known, and optional in OTLP
                max=None,  # type: ignore[arg-type]
                exemplars=[],
            )
            for name, meter in list(self._meters.items())[:MAX_SERIES]
            for calls in meter.read()
        ]
        if not points or not batch.resource_metrics:
            return batch
        first, *others = batch.resource_metrics
        (signal,) = [each for each in SIGNALS if each.name == "resilience.breaker.calls"]
        data = Histogram(points, AggregationTemporality.CUMULATIVE)
        metric = Metric(signal.name, signal.meaning, signal.unit, data)
        scopes = []
        added = False
        for each in first.scope_metrics:
            metrics = list(each.metrics)
            if each.scope.name == SCOPE and not added:
                metrics.append(metric)
                added = True
            scopes.append(ScopeMetrics(each.scope, metrics, each.schema_url))
        if not added:
            return batch
        resource = ResourceMetrics(first.resource, scopes, first.schema_url)
        return MetricsData([resource, *others])

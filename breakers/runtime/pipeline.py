"""What carries the telemetry of a process: OpenTelemetry's providers and what sends for them."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakers.runtime.export import Exporter, KeepingExporter, Target
from breakers.runtime.watch import Watch, hold_back_exporters

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """Who reports: what OpenTelemetry's providers carry for as long as the process lives."""

    service: str
    environment: str
    version: str
    instance: str


@dataclass(frozen=True)
class Pipeline:
    """The providers of a process and what sends their telemetry."""

    identity: Identity
    tracer_provider: TracerProvider
    logger_provider: LoggerProvider
    meter_provider: MeterProvider
    processors: tuple[Any, ...]
    exporters: tuple[Exporter, ...]
    registered: bool

    def point_at(self, target: Target) -> None:
        watch = Watch(target.url)
        for exporter in self.exporters:
            exporter.point_at(target, watch)

    @property
    def keeping(self) -> list[KeepingExporter]:
        return [each for each in self.exporters if isinstance(each, KeepingExporter)]

    def flush(self, timeout: float) -> bool:
        """Send what is queued and what waits, though the site was away a moment ago."""
        self.exporters[0].hurry()
        pairs = zip(self.processors, self.exporters, strict=True)
        return _in_parallel([functools.partial(_flush, *pair) for pair in pairs], timeout)

    def shutdown(self, timeout: float) -> bool:
        """The same for the last time."""
        self.exporters[0].hurry()
        return _in_parallel([each.shutdown for each in self.processors], timeout)


def build(
    identity: Identity, target: Target, metric_interval: float, *, register: bool
) -> Pipeline:
    # Imported here, so that `import breakers.runtime` stays fast.
    from opentelemetry import _logs, trace
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.metrics import set_meter_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

    hold_back_exporters()
    resource = _resource(identity)
    watch = Watch(target.url)
    # Totals, whatever the variables of OpenTelemetry say: what is lost of them comes with the next.
    totals = functools.partial(OTLPMetricExporter, preferred_temporality=_running_totals())
    exporters: Any = (
        KeepingExporter(OTLPSpanExporter, "traces", SpanExportResult.SUCCESS, target, watch),
        KeepingExporter(OTLPLogExporter, "logs", LogRecordExportResult.SUCCESS, target, watch),
        Exporter(totals, "metrics", MetricExportResult.SUCCESS, target, watch),
    )
    spans = BatchSpanProcessor(exporters[0])
    # Transitions are shown to people who wait for them.
    logs = BatchLogRecordProcessor(exporters[1], schedule_delay_millis=500)
    metrics = PeriodicExportingMetricReader(
        exporters[2], export_interval_millis=metric_interval * 1000
    )

    tracer_provider = trace.get_tracer_provider()
    if not (register and isinstance(tracer_provider, TracerProvider)):
        tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        if register:
            trace.set_tracer_provider(tracer_provider)
    tracer_provider.add_span_processor(spans)

    logger_provider = _logs.get_logger_provider()
    if not (register and isinstance(logger_provider, LoggerProvider)):
        logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        if register:
            _logs.set_logger_provider(logger_provider)
    logger_provider.add_log_record_processor(logs)

    meter_provider = MeterProvider([metrics], resource=resource, shutdown_on_exit=False)
    if register:
        _set_first_meter_provider(meter_provider, set_meter_provider)

    return Pipeline(
        identity,
        tracer_provider,
        logger_provider,
        meter_provider,
        (spans, logs, metrics),
        exporters,
        register,
    )


def _running_totals() -> dict[type, Any]:
    from opentelemetry.sdk.metrics import (
        Counter,
        Histogram,
        ObservableCounter,
        ObservableUpDownCounter,
        UpDownCounter,
    )
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    kinds = (Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter)
    return dict.fromkeys(kinds, AggregationTemporality.CUMULATIVE)


def _resource(identity: Identity) -> Resource:
    from opentelemetry.sdk.resources import Resource

    attributes = {
        "service.name": identity.service,
        "service.instance.id": identity.instance,
        "deployment.environment.name": identity.environment,
        "service.version": identity.version,
    }
    return Resource.create({name: value for name, value in attributes.items() if value})


def _set_first_meter_provider(provider: Any, set_provider: Callable[[Any], None]) -> None:
    from opentelemetry.metrics import get_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider

    # A reader cannot join an existing provider, and OpenTelemetry complains about a second one.
    if not isinstance(get_meter_provider(), MeterProvider):
        set_provider(provider)


def _in_parallel(steps: list[Callable[[], object]], timeout: float) -> bool:
    """Run the steps beside each other; whether all ended within `timeout` seconds."""
    threads = [threading.Thread(target=_quietly, args=(step,), daemon=True) for step in steps]
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def _flush(processor: Any, exporter: Exporter) -> None:
    processor.force_flush()
    exporter.send_now()


def _quietly(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception:
        logger.debug("Telemetry could not be flushed", exc_info=True)

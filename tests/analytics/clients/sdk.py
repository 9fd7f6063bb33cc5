"""The OpenTelemetry SDK of Python as a service sets it up, and the results of its exports."""

from __future__ import annotations

import itertools
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

NEVER = 3_600_000  # milliseconds: what is exported is exported by a flush
# One that is given up is sent again, and counted twice.
EXPORT_SECONDS = 60
EXPONENTIAL = "plan.size"
_numbers = itertools.count(1)


class Sdk:
    """Spans, logs and metrics of one service. `results` is what each export ended with."""

    def __init__(self, url: str, key: str, *, gzip: bool) -> None:
        self.results: list[str] = []
        # One of its own for each test: the web process remembers which series a service has.
        self.service = service = f"shop-{os.getpid()}-{next(_numbers)}"
        resource = Resource.create(
            {
                "service.name": service,
                "service.version": "4.2.0",
                "service.instance.id": f"{service}-1",
                "deployment.environment.name": "test",
            }
        )
        options: dict[str, Any] = {
            "headers": {"authorization": f"Bearer {key}"},
            "compression": Compression.Gzip if gzip else Compression.NoCompression,
            "timeout": EXPORT_SECONDS,
        }
        self._tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._spans = OTLPSpanExporter(f"{url}/v1/traces", **options)
        self._tracing.add_span_processor(
            BatchSpanProcessor(self._told(self._spans), schedule_delay_millis=NEVER)
        )
        self.tracer = self._tracing.get_tracer("shop.orders", "1.0")
        self._logging = LoggerProvider(resource=resource, shutdown_on_exit=False)
        logs = OTLPLogExporter(f"{url}/v1/logs", **options)
        self._logging.add_log_record_processor(
            BatchLogRecordProcessor(self._told(logs), schedule_delay_millis=NEVER)
        )
        self.logger = logging.Logger(f"{service}.orders", logging.INFO)
        with warnings.catch_warnings():
            # Its successor lives in another package; services in the field still use this one.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.logger.addHandler(LoggingHandler(logging.INFO, self._logging))
        metrics = OTLPMetricExporter(f"{url}/v1/metrics", **options)
        exponential = ExponentialBucketHistogramAggregation()
        self._metering = MeterProvider(
            [PeriodicExportingMetricReader(self._told(metrics), NEVER)],
            resource,
            shutdown_on_exit=False,
            views=[View(Histogram, EXPONENTIAL, aggregation=exponential)],
        )
        self.meter = self._metering.get_meter("shop.orders", "1.0")

    def _told(self, exporter: Any) -> Any:
        export = exporter.export

        def told(batch: Sequence[Any], *args: Any, **options: Any) -> Any:
            result = export(batch, *args, **options)
            self.results.append(result.name)
            return result

        exporter.export = told
        return exporter

    def flush_spans(self) -> None:
        assert self._tracing.force_flush()

    def flush_logs(self) -> None:
        assert self._logging.force_flush()

    def flush_metrics(self) -> None:
        assert self._metering.force_flush(EXPORT_SECONDS * 1000)

    def close(self) -> None:
        for provider in (self._tracing, self._logging, self._metering):
            provider.shutdown()


@contextmanager
def running(url: str, key: str, *, gzip: bool = False) -> Iterator[Sdk]:
    sdk = Sdk(url, key, gzip=gzip)
    try:
        yield sdk
    finally:
        sdk.close()

"""How the demo's services report to the site, and keep a log of their own of what they reported."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

import breakers.runtime as resilience

_LOG_BYTES = 10_000_000
_LOG_FILES = 3


class ErrorLog:
    """One line per failure that leaves the process: time, trace id, span id, signal, type, name."""

    def __init__(self, path: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES)

    def write(
        self, at_ns: int, trace_id: int, span_id: int, signal: str, kind: str, name: str
    ) -> None:
        at = datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds")
        line = f"{at} {trace_id:032x} {span_id:016x} {signal} {kind} {' '.join(name.split())}"
        self._handler.handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        self._handler.close()


class ErrorSpanLog(SpanExporter):
    """Writes the spans that failed."""

    def __init__(self, log: ErrorLog) -> None:
        self._log = log

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            kind = _failure(span)
            context = span.get_span_context()
            if kind and context:
                self._log.write(
                    span.end_time or 0, context.trace_id, context.span_id, "span", kind, span.name
                )
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._log.close()


class ErrorRecordLog(LogRecordExporter):
    """Writes the log records that carry an exception."""

    def __init__(self, log: ErrorLog) -> None:
        self._log = log

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        for each in batch:
            record = each.log_record
            kind = (record.attributes or {}).get("exception.type")
            if kind:
                self._log.write(
                    record.timestamp or record.observed_timestamp or 0,
                    record.trace_id or 0,
                    record.span_id or 0,
                    "log",
                    str(kind),
                    str(record.body),
                )
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True  # every line is written at once

    def shutdown(self) -> None:
        self._log.close()


def _failure(span: ReadableSpan) -> str:
    """The type of the span's failure, "" where it did not fail."""
    for event in span.events:
        if event.name == "exception":
            return str((event.attributes or {}).get("exception.type", "exception"))
    if span.status.status_code is StatusCode.ERROR:
        return str((span.attributes or {}).get("error.type", "error"))
    return ""


def start(
    service: str, version: str, environ: Mapping[str, str] = os.environ
) -> resilience.Connection:
    """Connect this process, which runs `version`, to the site of RESILIENCE_URL with the key RESILIENCE_INGEST_KEY.

    Where PLANNER_EXPORT_LOG names a file, each failure that is reported also gets a line there.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # Each request at INFO would drown the lines that matter.
    for chatty in ("httpx", "httpx2", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Read by the instrumentations of HTTP and database clients when they are first used.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    connection = resilience.connect(
        required(environ, "RESILIENCE_URL"),
        key=required(environ, "RESILIENCE_INGEST_KEY"),
        service=service,
        version=version,
        environment="demo",
        # The same after a restart, as a container orchestrator would have it.
        instance=environ.get("RESILIENCE_INSTANCE", ""),
        log_level=logging.WARNING,
    )
    path = environ.get("PLANNER_EXPORT_LOG")
    if path:
        log = ErrorLog(path)
        connection.tracer_provider.add_span_processor(SimpleSpanProcessor(ErrorSpanLog(log)))
        connection.logger_provider.add_log_record_processor(
            SimpleLogRecordProcessor(ErrorRecordLog(log))
        )
    return connection


def required(environ: Mapping[str, str], name: str) -> str:
    """The variable's value; ends the process with one sentence where it is missing."""
    value = environ.get(name, "")
    if not value:
        sys.exit(f"{name} is not set.")
    return value

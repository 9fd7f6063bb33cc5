"""Python log records as OTLP log records, exceptions by the semantic conventions."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_current

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider

# What sending telemetry logs about itself must not become telemetry.
_OWN = (
    "opentelemetry", "urllib3", "requests", "breakers.runtime.export", "breakers.runtime.watch"
)  # fmt: skip
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARN"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
    (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
)


class OtlpHandler(logging.Handler):
    """Passes log records on to OpenTelemetry; the logger's name becomes the scope."""

    def __init__(self, provider: LoggerProvider, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        try:
            context = get_current()
            if record.name.startswith(_OWN) or context.get(_SUPPRESS_INSTRUMENTATION_KEY):
                return
            self._provider.get_logger(record.name).emit(_translated(record, context))
        except Exception:
            self.handleError(record)


def _translated(record: logging.LogRecord, context: Any) -> LogRecord:
    number, text = _severity(record.levelno)
    return LogRecord(
        timestamp=int(record.created * 1e9),
        observed_timestamp=time.time_ns(),
        context=context,
        severity_number=number,
        severity_text=text,
        body=record.getMessage(),
        attributes=_attributes(record),
        exception=record.exc_info[1] if record.exc_info else None,
    )


def _severity(level: int) -> tuple[SeverityNumber, str]:
    for least, number, text in _SEVERITIES:
        if level >= least:
            return number, text
    return SeverityNumber.TRACE, "TRACE"


def _attributes(record: logging.LogRecord) -> dict[str, Any]:
    extra = {
        name: value if isinstance(value, (str, bool, int, float)) else str(value)
        for name, value in vars(record).items()
        if name not in _STANDARD
    }
    return {
        "code.file.path": record.pathname,
        "code.function.name": record.funcName,
        "code.line.number": record.lineno,
        **extra,
    }

"""Errors out of telemetry: which spans and log records report a failure, and when two are one.

An exception reaches the site as an event on a span, as a log record, or as both; a span may also
fail without saying which exception it was. What stays the same in all of these is trace, span,
exception type and message. The stack trace does not: it grows while an exception travels up, and
whoever reports it last sees most of it.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import NamedTuple

from analytics.domain.stacktraces.base import ParsedStack
from analytics.domain.telemetry import Attributes, LogRecord, Resource, SpanRecord

# The values of `analytics.choices.ErrorSource`, which this pure module cannot import.
SPAN_EVENT, LOG, SPAN_STATUS, API = 1, 2, 3, 4

STATUS_ERROR = 2
SEVERITY_ERROR = 17
# Below INFO the conventions mean "not an issue": a record of work that went on as planned.
LOWEST_ERROR_SEVERITY = 9

CORRELATION_KEYS = (
    "correlation.id",
    "correlation_id",
    "X-Correlation-ID",
    "x-correlation-id",
    "http.request.header.x-correlation-id",
    "http.request.header.x_correlation_id",
)
_EXCEPTION_PREFIX = "exception."
_MAX_TYPE, _MAX_MESSAGE, _MAX_CORRELATION = 500, 8_192, 200


class ErrorRecord(NamedTuple):
    """One failure, before grouping. `key` is its identity; `stack` the raw trace or ""."""

    key: bytes
    occurred_ns: int
    resource: Resource
    operation: str
    type: str
    message: str
    severity: int
    source: int
    trace_id: str
    span_id: str
    correlation_id: str
    stack: str
    attributes: Attributes


def identity(*parts: str) -> bytes:
    """Ten bytes that tell one failure from another."""
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=10).digest()


def time_uuid_hex(time_ns: int, key: bytes) -> str:
    """A UUIDv8 as 32 hex digits: 48 bits of milliseconds, then 74 bits of `key` (10 bytes)."""
    bits = int.from_bytes(key, "big")
    value = (
        ((time_ns // 1_000_000) & 0xFFFFFFFFFFFF) << 80
        | 0x8 << 76
        | ((bits >> 62) & 0xFFF) << 64
        | 0b10 << 62
        | bits & 0x3FFFFFFFFFFFFFFF
    )
    return f"{value:032x}"


def uuid_time_ms(value: int) -> int:
    """The milliseconds since the epoch that `time_uuid_hex` put into an id (as an integer)."""
    return value >> 80


def correlation_id(*sources: Attributes) -> str:
    """The correlation id that the first of the attribute sets to have one carries, or ""."""
    for attributes in sources:
        for key in CORRELATION_KEYS:
            if key in attributes:
                value = attributes[key]
                # HTTP header attributes are lists of values.
                if isinstance(value, list) and value:
                    value = value[0]
                return str(value)[:_MAX_CORRELATION]
    return ""


def errors_of_span(span: SpanRecord) -> list[ErrorRecord]:
    """The failures that a span reports: its exception events, else its error status."""
    found: list[ErrorRecord] = []
    repeats: Counter[tuple[str, str, str]] = Counter()
    for event in span.events:
        if event.name != "exception":
            continue
        attributes = event.attributes
        type_ = str(attributes.get("exception.type") or "")
        message = str(attributes.get("exception.message") or "")
        if not type_ and not message:
            continue
        stack = str(attributes.get("exception.stacktrace") or "")
        extra = {k: v for k, v in attributes.items() if not k.startswith(_EXCEPTION_PREFIX)}
        at_ns = event.time_ns or span.end_ns
        # A second attempt may fail alike, and within the same millisecond.
        nth = repeats[type_, message, stack]
        repeats[type_, message, stack] += 1
        found.append(_of_span(span, at_ns, type_, message, stack, SPAN_EVENT, extra, nth))
    if not found and span.status_code == STATUS_ERROR:
        type_ = str(span.attributes.get("error.type") or "Error")
        message = span.status_message or f"{span.name} failed"
        found.append(_of_span(span, span.end_ns, type_, message, "", SPAN_STATUS, {}))
    return found


def _of_span(
    span: SpanRecord,
    time_ns: int,
    type_: str,
    message: str,
    stack: str,
    source: int,
    extra: Attributes,
    nth: int = 0,
) -> ErrorRecord:
    type_, message = (type_ or "Error")[:_MAX_TYPE], message[:_MAX_MESSAGE]
    correlation = correlation_id(extra, span.attributes, span.resource.attributes)
    return ErrorRecord(
        identity(span.trace_id, span.span_id, type_, message, stack, *([str(nth)] if nth else [])),
        time_ns,
        span.resource,
        span.name,
        type_,
        message,
        SEVERITY_ERROR,
        source,
        span.trace_id,
        span.span_id,
        correlation,
        stack,
        {**span.attributes, **extra} if extra else span.attributes,
    )


def error_of_log(record: LogRecord) -> ErrorRecord | None:
    """The failure that a log record reports, if it carries an exception."""
    attributes = record.attributes
    type_ = str(attributes.get("exception.type") or "")
    message = str(attributes.get("exception.message") or "")
    stack = str(attributes.get("exception.stacktrace") or "")
    if not (type_ or message) or 0 < record.severity < LOWEST_ERROR_SEVERITY:
        return None
    type_, message = (type_ or "Error")[:_MAX_TYPE], message[:_MAX_MESSAGE]
    extra = {k: v for k, v in attributes.items() if not k.startswith(_EXCEPTION_PREFIX)}
    body = record.body if isinstance(record.body, str) else ""
    if body and body != message:
        extra["log.body"] = body[:_MAX_MESSAGE]
    resource = record.resource
    correlation = correlation_id(extra, resource.attributes)
    if record.trace_id and record.span_id:
        key = identity(record.trace_id, record.span_id, str(record.time_ns), type_, message, stack)
    else:
        key = identity(
            resource.service, resource.instance, str(record.time_ns), record.trace_id,
            correlation, type_, message, stack, body,
        )  # fmt: skip
    return ErrorRecord(
        key,
        record.time_ns,
        resource,
        str(attributes.get("code.function.name") or "") if not record.span_id else "",
        type_,
        message,
        record.severity or SEVERITY_ERROR,
        LOG,
        record.trace_id,
        record.span_id,
        correlation,
        stack,
        extra,
    )


def bare_type(type_: str) -> str:
    """The name of an exception type without its module, which not every reporter tells."""
    return type_.rpartition(".")[2]


def as_stack_words_it(record: ErrorRecord, parsed: ParsedStack) -> ErrorRecord:
    """The error with the type and message that its Python traceback ends with.

    Python's log handlers report the type without its module and the first argument as message:
    `2` for `[Errno 2] No such file or directory`. Spans and tracebacks tell them in full.
    """
    if parsed.language != "python" or not parsed.exceptions:
        return record
    told = parsed.exceptions[0]
    if bare_type(told.type) != bare_type(record.type):
        return record
    type_ = record.type if "." in record.type else told.type[:_MAX_TYPE]
    said = "\n".join(record.message.splitlines()).rstrip()
    # Notes stand below the message in a traceback; other words are the reporter's own choice.
    is_whole = bool(said) and f"{told.message}\n".startswith(f"{said}\n")
    if is_whole or said not in told.message:
        return record._replace(type=type_)
    return record._replace(type=type_, message=told.message[:_MAX_MESSAGE])

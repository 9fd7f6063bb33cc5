"""Answers to OTLP requests, in the encoding of the request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from analytics.domain.otlp_values import clean
from analytics.domain.telemetry import Rejection

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MAX_MESSAGE_BYTES = 2048

_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_MAX_VIOLATIONS = 20
# Signal -> message, field of the count, its name in JSON.
_SUCCESS: dict[str, tuple[Any, str, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
}
_UNKNOWN, _INVALID_ARGUMENT, _INTERNAL = 2, 3, 13
_RPC_CODES = {
    400: _INVALID_ARGUMENT,
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    405: 12,  # UNIMPLEMENTED
    408: 4,  # DEADLINE_EXCEEDED
    409: 10,  # ABORTED
    413: _INVALID_ARGUMENT,
    415: _INVALID_ARGUMENT,
    422: _INVALID_ARGUMENT,
    429: 8,  # RESOURCE_EXHAUSTED
    499: 1,  # CANCELLED
    500: _INTERNAL,
    501: 12,  # UNIMPLEMENTED
    502: 14,  # UNAVAILABLE
    503: 14,  # UNAVAILABLE
    504: 4,  # DEADLINE_EXCEEDED
}


class Violation(NamedTuple):
    """A field of the request that is wrong, and what would be right."""

    field: str
    description: str


def success(signal: str, encoding: str, rejections: Sequence[Rejection]) -> bytes:
    """The answer to a request that was stored but for `rejections`; `signal` is traces, logs or
    metrics.

    Without rejections the answer is empty. Those of count 0 warn of something that was stored.
    """
    message_type, field, json_field = _SUCCESS[signal]
    told = [r for r in rejections if r.count or r.reason]
    if not told:
        return b"" if encoding == PROTOBUF else b"{}"
    rejected = sum(r.count for r in told)
    # What was lost comes first: the text is cut at its end.
    ordered = sorted(told, key=lambda r: -r.count)
    message = bounded("; ".join(f"{r.count}: {r.reason}" if r.count else r.reason for r in ordered))
    if encoding == PROTOBUF:
        answer = message_type()
        setattr(answer.partial_success, field, rejected)
        answer.partial_success.error_message = message
        return bytes(answer.SerializeToString())
    partial = {"errorMessage": message}
    if rejected:
        partial = {json_field: str(rejected), **partial}
    return orjson.dumps({"partialSuccess": partial})


def status(code: int, message: str, encoding: str, violations: Sequence[Violation] = ()) -> bytes:
    """The google.rpc.Status that goes with an HTTP status of 400 and above; `violations` become
    its BadRequest details."""
    told = [
        Violation(clean(v.field, MAX_MESSAGE_BYTES), bounded(v.description))
        for v in violations[:_MAX_VIOLATIONS]
    ]
    if encoding == PROTOBUF:
        return _protobuf_status(rpc_code(code), bounded(message), told)
    document: dict[str, Any] = {"code": rpc_code(code), "message": bounded(message)}
    if told:
        fields = [v._asdict() for v in told]
        document["details"] = [{"@type": _BAD_REQUEST, "fieldViolations": fields}]
    return orjson.dumps(document)


def _protobuf_status(code: int, message: str, violations: Sequence[Violation]) -> bytes:
    answer = Status(code=code, message=message)
    if violations:
        details = BadRequest()
        for violation in violations:
            details.field_violations.add(field=violation.field, description=violation.description)
        packed = AnyMessage()
        packed.Pack(details)
        answer.details.append(packed)
    return bytes(answer.SerializeToString())


def rpc_code(http_status: int) -> int:
    """The google.rpc.Code of an HTTP status."""
    known = _RPC_CODES.get(http_status)
    if known is not None:
        return known
    if 400 <= http_status < 500:
        return _INVALID_ARGUMENT
    return _INTERNAL if 500 <= http_status < 600 else _UNKNOWN


def bounded(text: str) -> str:
    """A clean text of at most 2 KiB in UTF-8."""
    encoded = clean(text, MAX_MESSAGE_BYTES).encode()
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded.decode()
    return encoded[: MAX_MESSAGE_BYTES - 3].decode(errors="ignore") + "…"

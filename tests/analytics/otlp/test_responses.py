"""Answers to OTLP requests read back by the messages that clients read them with."""

from __future__ import annotations

import orjson
import pytest
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from analytics.domain.otlp_responses import (
    JSON,
    MAX_MESSAGE_BYTES,
    PROTOBUF,
    Violation,
    rpc_code,
    status,
    success,
)
from analytics.domain.telemetry import Rejection

SIGNALS = [
    ("traces", ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    ("logs", ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    ("metrics", ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
]
every_signal = pytest.mark.parametrize(("signal", "kind", "field", "json_field"), SIGNALS)


@every_signal
def test_full_success_says_nothing(signal: str, kind: type, field: str, json_field: str) -> None:
    assert success(signal, PROTOBUF, []) == b""
    assert success(signal, JSON, []) == b"{}"


@every_signal
def test_partial_success_counts_and_explains(
    signal: str, kind: type, field: str, json_field: str
) -> None:
    rejections = [Rejection(0, "odd"), Rejection(2, "bad id"), Rejection(3, "too old")]
    partial = kind.FromString(success(signal, PROTOBUF, rejections)).partial_success  # type: ignore[attr-defined]
    assert getattr(partial, field) == 5
    assert partial.error_message == "3: too old; 2: bad id; odd"
    assert orjson.loads(success(signal, JSON, rejections)) == {
        "partialSuccess": {json_field: "5", "errorMessage": partial.error_message}
    }


def test_a_warning_rejects_nothing() -> None:
    warning = [Rejection(0, "series added up")]
    answer = ExportMetricsServiceResponse.FromString(success("metrics", PROTOBUF, warning))
    assert answer.HasField("partial_success")
    assert answer.partial_success.rejected_data_points == 0
    assert orjson.loads(success("metrics", JSON, warning)) == {
        "partialSuccess": {"errorMessage": "series added up"}
    }


@given(st.text(max_size=5).map(lambda text: text * 2000))
def test_messages_are_bounded_in_bytes_and_whole_in_characters(text: str) -> None:
    answer = orjson.loads(success("traces", JSON, [Rejection(1, text)]))
    assert len(answer["partialSuccess"]["errorMessage"].encode()) <= MAX_MESSAGE_BYTES
    read = Status.FromString(status(400, text, PROTOBUF))
    assert len(read.message.encode()) <= MAX_MESSAGE_BYTES
    assert orjson.loads(status(400, text, JSON))["message"] == read.message


def test_a_status_names_what_is_wrong() -> None:
    violations = [Violation("resourceSpans", "must be an array")]
    read = Status.FromString(status(400, "unreadable", PROTOBUF, violations))
    details = BadRequest()
    assert read.details[0].Unpack(details)
    assert (read.code, read.message) == (3, "unreadable")
    assert details.field_violations[0].field == "resourceSpans"
    assert details.field_violations[0].description == "must be an array"
    assert orjson.loads(status(400, "unreadable", JSON, violations)) == {
        "code": 3,
        "message": "unreadable",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "resourceSpans", "description": "must be an array"}],
            }
        ],
    }


def test_a_status_without_violations_has_no_details() -> None:
    assert orjson.loads(status(503, "store is down", JSON)) == {
        "code": 14,
        "message": "store is down",
    }
    assert not Status.FromString(status(503, "store is down", PROTOBUF)).details


@pytest.mark.parametrize(
    ("http_status", "code"),
    [
        *((status, 3) for status in (400, 413, 415, 418)),
        *((401, 16), (403, 7), (404, 5), (429, 8)),
        *((500, 13), (502, 14), (503, 14), (504, 4), (599, 13)),
    ],
)
def test_each_http_status_has_its_code(http_status: int, code: int) -> None:
    assert rpc_code(http_status) == code

"""What holds for all three signals alike at the running site's OTLP paths."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from django.db import connection
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from analytics.models import LogRollup, MetricRollup, MetricSeries, Span
from health.models import Service
from tests.analytics.otlp.documents import DATA
from tests.analytics.otlp.messages import to_json
from tests.analytics.outage import RECOVERY_SECONDS, closed_database
from tests.embedded.running import until
from tests.livesite import LiveSite

PROTOBUF, JSON = "application/x-protobuf", "application/json"
ENCODINGS = pytest.mark.parametrize("encoding", [PROTOBUF, JSON])
SIGNALS = pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
ANSWERS: dict[str, tuple[type[Message], str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}


def one_of(
    signal: str, service: str, at_ns: int | None = None, **resource: str
) -> ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest:
    """A request of one item, `at_ns` or a second ago."""
    at = at_ns or time.time_ns() - 1_000_000_000
    message: Any
    if signal == "traces":
        message = ExportTraceServiceRequest()
        group = message.resource_spans.add()
        span = group.scope_spans.add().spans.add(name="call", start_time_unix_nano=at)
        span.end_time_unix_nano = at + 1_000
        span.trace_id, span.span_id = at.to_bytes(16, "big"), at.to_bytes(8, "big")
    elif signal == "logs":
        message = ExportLogsServiceRequest()
        group = message.resource_logs.add()
        record = group.scope_logs.add().log_records.add(time_unix_nano=at, severity_number=9)
        record.body.string_value = f"{service} started"
        record.trace_id = at.to_bytes(16, "big")
    else:
        message = ExportMetricsServiceRequest()
        group = message.resource_metrics.add()
        gauge = group.scope_metrics.add().metrics.add(name="depth").gauge
        gauge.data_points.add(time_unix_nano=at, as_int=7)
    for key, value in {"service.name": service, **resource}.items():
        group.resource.attributes.add(key=key).value.string_value = value
    return message


def stored(signal: str, service: str) -> int:
    """Items of a service in the database, by what counts them."""
    if signal == "traces":
        return Span.objects.filter(service=service).count()
    if signal == "logs":
        rows = LogRollup.objects.filter(service=service).values_list("records", flat=True)
        return sum(rows)
    series = MetricSeries.objects.filter(service=service).values("id")
    return sum(MetricRollup.objects.filter(series_id__in=series).values_list("points", flat=True))


def send(http: httpx.Client, signal: str, message: Message, encoding: str) -> httpx.Response:
    body = message.SerializeToString() if encoding == PROTOBUF else orjson.dumps(to_json(message))
    return http.post(f"/v1/{signal}", content=body, headers={"content-type": encoding})


@SIGNALS
@ENCODINGS
def test_items_that_are_too_old_are_rejected_in_part_with_a_reason(
    http: httpx.Client, signal: str, encoding: str
) -> None:
    service = f"old-{signal}-{time.time_ns()}"
    message = one_of(signal, service)
    message.MergeFrom(one_of(signal, service, 1_544_712_660_000_000_000))  # type: ignore[arg-type]
    answer = send(http, signal, message, encoding)
    assert answer.status_code == 200
    kind, field = ANSWERS[signal]
    if encoding == PROTOBUF:
        partial = kind.FromString(answer.content).partial_success  # type: ignore[attr-defined]
        count, reason = getattr(partial, field), partial.error_message
    else:
        document = orjson.loads(answer.content)["partialSuccess"]
        name = kind.DESCRIPTOR.fields_by_name["partial_success"].message_type
        count = int(document[name.fields_by_name[field].json_name])
        reason = document["errorMessage"]
    assert count == 1
    assert "ERROR_RETENTION_DAYS" in reason
    assert stored(signal, service) == 1


@SIGNALS
@ENCODINGS
def test_a_batch_sent_again_is_counted_once(http: httpx.Client, signal: str, encoding: str) -> None:
    service = f"again-{signal}-{time.time_ns()}"
    message = one_of(signal, service)
    for _ in range(3):
        assert send(http, signal, message, encoding).status_code == 200
    assert stored(signal, service) == 1


@SIGNALS
@ENCODINGS
def test_a_body_that_cannot_be_read_is_told_in_the_details(
    http: httpx.Client, signal: str, encoding: str
) -> None:
    answer = http.post(f"/v1/{signal}", content=b"\x0a\xff{", headers={"content-type": encoding})
    assert answer.status_code == 400
    if encoding == PROTOBUF:
        [detail] = Status.FromString(answer.content).details
        violations = BadRequest()
        assert detail.Unpack(violations)
        assert violations.field_violations[0].description
    else:
        [shown] = orjson.loads(answer.content)["details"]
        assert shown["@type"] == "type.googleapis.com/google.rpc.BadRequest"
        assert shown["fieldViolations"][0]["description"]


@ENCODINGS
def test_while_the_store_is_down_senders_keep_their_items_and_come_back(
    http: httpx.Client, encoding: str
) -> None:
    connection.ensure_connection()
    messages = {s: one_of(s, f"down-{s}-{time.time_ns()}") for s in ANSWERS}
    services = {
        s: m.ListFields()[0][1][0].resource.attributes[0].value.string_value
        for s, m in messages.items()
    }
    with closed_database():
        for signal, message in messages.items():
            answer = send(http, signal, message, encoding)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["content-type"] == encoding
            if encoding == PROTOBUF:
                status = Status.FromString(answer.content)
                code, text = status.code, status.message
            else:
                document = orjson.loads(answer.content)
                code, text = document["code"], document["message"]
            assert code == 14
            assert "database" in text
    for signal, message in messages.items():
        until(
            lambda s=signal, m=message: send(http, s, m, encoding).status_code == 200,  # type: ignore[misc]
            RECOVERY_SECONDS,
            "recovery",
        )
        assert stored(signal, services[signal]) == 1
    until(lambda: http.get("/readyz").status_code == 200, RECOVERY_SECONDS, "readiness")


def test_a_resource_says_who_reports(http: httpx.Client) -> None:
    name = f"shop-{time.time_ns()}"
    stable = {
        "service.version": "4.2", "service.instance.id": "i-1", "service.criticality": "high",
        "deployment.environment.name": "prod", "telemetry.sdk.language": "java",
    }  # fmt: skip
    assert send(http, "traces", one_of("traces", name, **stable), JSON).status_code == 200
    service = Service.objects.get(name=name)
    assert (service.environment, service.version) == ("prod", "4.2")
    assert (service.language, service.criticality) == ("java", "high")
    assert Span.objects.get(service=name).instance == "i-1"

    older = one_of("traces", f"{name}-older", **{"deployment.environment": "stage"})
    assert send(http, "traces", older, PROTOBUF).status_code == 200
    assert Span.objects.get(service=f"{name}-older").environment == "stage"

    nameless = one_of("traces", "unknown_service:java")
    assert send(http, "traces", nameless, PROTOBUF).status_code == 200
    assert Span.objects.filter(service="unknown").exists()
    assert not Span.objects.filter(service__startswith="unknown_service").exists()


def test_the_key_comes_from_the_standard_variable_as_exporters_decode_it(
    site: LiveSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", site.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{site.ingest_key}")
    provider = TracerProvider(resource=Resource.create({"service.name": "by-variable"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    with provider.get_tracer("test").start_as_current_span("keyed"):
        pass
    provider.shutdown()
    assert Span.objects.get(service="by-variable").operation == "keyed"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "signal"),
    [("trace", "traces"), ("logs", "logs"), ("events", "logs"), ("metrics", "metrics")],
)
def test_the_published_examples_are_taken_whole(http: httpx.Client, name: str, signal: str) -> None:
    path = DATA / "opentelemetry-proto" / "examples" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no example {path}")
    # They are of 2018, which is past any retention.
    seconds = str(int(datetime.now(UTC).timestamp()) - 5)
    body = path.read_text().replace("154471266", seconds[:-1])
    answer = http.post(f"/v1/{signal}", content=body, headers={"content-type": JSON})
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert stored(signal, "my.service") > 0

"""The OTLP paths of the running site, point by point of OTLP/HTTP 1.11: what each answer says, and
what the database holds after it."""

from __future__ import annotations

import gzip
import socket
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from analytics.models import ErrorEvent, Span
from resilience_site.core.audit import Actor
from resilience_site.core.keys import key_create, key_revoke
from tests.analytics.otlp.documents import pairs
from tests.analytics.otlp.messages import to_json
from tests.livesite import LiveSite

PROTOBUF, JSON = "application/x-protobuf", "application/json"
ENCODINGS = pytest.mark.parametrize("encoding", [PROTOBUF, JSON])
PATHS = ["/v1/traces", "/v1/logs", "/v1/metrics"]


def request(*names: str, service: str = "gateway-test") -> ExportTraceServiceRequest:
    """A request of failed spans, each with an exception."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    spans = group.scope_spans.add().spans
    now = time.time_ns()
    for number, name in enumerate(names, 1):
        span = spans.add(name=name, kind=2, start_time_unix_nano=now - 5_000_000 * number)
        span.end_time_unix_nano = now
        span.trace_id = (now + number).to_bytes(16, "big")
        span.span_id = (now + number).to_bytes(8, "big")
        span.status.code = 2
        event = span.events.add(name="exception", time_unix_nano=now)
        event.attributes.add(key="exception.type").value.string_value = "GatewayError"
        event.attributes.add(key="exception.message").value.string_value = f"{name} failed"
    return message


def encoded(message: Message, encoding: str) -> bytes:
    if encoding == PROTOBUF:
        return message.SerializeToString()
    return orjson.dumps(to_json(message))


def stored() -> tuple[int, int]:
    """Spans and errors in the database."""
    spans = Span.objects.filter(service="gateway-test").count()
    return spans, ErrorEvent.objects.filter(service="gateway-test").count()


def status_of(answer: httpx.Response, encoding: str) -> Status:
    """The answer's body, which has to be a `google.rpc.Status` in the request's encoding."""
    assert answer.headers["content-type"] == encoding
    if encoding == PROTOBUF:
        return Status.FromString(answer.content)
    document = orjson.loads(answer.content)
    assert set(document) <= {"code", "message", "details"}
    return Status(code=document.get("code", 0), message=document["message"])


@pytest.mark.parametrize("path", PATHS)
@ENCODINGS
def test_each_signal_takes_an_empty_request_with_full_success(
    http: httpx.Client, path: str, encoding: str
) -> None:
    body = b"" if encoding == PROTOBUF else b"{}"
    answer = http.post(path, content=body, headers={"content-type": encoding})
    assert answer.status_code == 200
    assert answer.content == body
    assert answer.headers["content-type"] == encoding


@ENCODINGS
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_full_success_leaves_partial_success_unset_and_everything_is_stored(
    http: httpx.Client, encoding: str, coding: str
) -> None:
    body = encoded(request("a", "b"), encoding)
    body = gzip.compress(body) if coding == "gzip" else body
    headers = {"content-type": f"{encoding}; charset=utf-8", "content-encoding": coding}
    answer = http.post("/v1/traces", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.content == (b"" if encoding == PROTOBUF else b"{}")
    assert answer.headers["content-type"] == encoding
    assert stored() == (2, 2)


@ENCODINGS
def test_what_cannot_be_taken_is_counted_in_partial_success(
    http: httpx.Client, encoding: str
) -> None:
    message = request("good", "no trace", "no span")
    bad = message.resource_spans[0].scope_spans[0].spans
    bad[1].trace_id, bad[2].span_id = bytes(16), b""
    body = encoded(message, encoding)
    answer = http.post("/v1/traces", content=body, headers={"content-type": encoding})
    assert answer.status_code == 200
    if encoding == PROTOBUF:
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        assert (partial.rejected_spans, bool(partial.error_message)) == (2, True)
    else:
        document = orjson.loads(answer.content)["partialSuccess"]
        assert document["rejectedSpans"] == "2"
        assert document["errorMessage"]
    assert stored() == (1, 1)


@ENCODINGS
def test_a_batch_that_is_sent_again_is_stored_once(http: httpx.Client, encoding: str) -> None:
    body = encoded(request("a", "b", "c"), encoding)
    for _ in range(2):
        answer = http.post("/v1/traces", content=body, headers={"content-type": encoding})
        assert answer.status_code == 200
    assert stored() == (3, 3)


@ENCODINGS
def test_undecodable_bodies_are_400_with_details_and_nothing_is_stored(
    http: httpx.Client, encoding: str
) -> None:
    whole = encoded(request("a", "b"), encoding)
    headers = {"content-type": encoding}
    for body in (whole[:-3], b"\xff\xff\xff", whole[: len(whole) // 2]):
        answer = http.post("/v1/traces", content=body, headers=headers)
        assert answer.status_code == 400
        status = status_of(answer, encoding)
        assert status.code == 3
        assert status.message
    answer = http.post(
        "/v1/traces", content=gzip.compress(whole)[:-9],
        headers={**headers, "content-encoding": "gzip"},
    )  # fmt: skip
    assert answer.status_code == 400
    assert stored() == (0, 0)


@ENCODINGS
def test_every_refusal_is_a_status_in_the_encoding_of_the_request(
    http: httpx.Client, site: LiveSite, encoding: str
) -> None:
    body, headers = encoded(request("a"), encoding), {"content-type": encoding}
    refusals = [
        (http.post("/v1/profiles", content=body, headers=headers), 404),
        (http.post("/v1/traces/", content=body, headers=headers), 404),
        (http.request("GET", "/v1/traces", headers=headers), 405),
        (http.put("/v1/logs", content=body, headers=headers), 405),
        (
            http.post(
                "/v1/traces", content=body, headers={**headers, "content-encoding": "br"}
            ),
            415,
        ),
        (httpx.post(f"{site.url}/v1/traces", content=body, headers=headers), 401),
        (
            http.post(
                "/v1/traces", content=body, headers={**headers, "authorization": "Bearer wrong"}
            ),
            401,
        ),
        (
            http.post(
                "/v1/traces", content=body,
                headers={**headers, "authorization": f"Bearer {site.operator_key}"},
            ),
            403,
        ),
    ]  # fmt: skip
    for answer, code in refusals:
        assert answer.status_code == code, answer.text
        assert status_of(answer, encoding).message
    assert refusals[2][0].headers["allow"] == "POST"
    assert refusals[5][0].headers["www-authenticate"] == "Bearer"
    assert stored() == (0, 0)


def test_other_content_types_are_415(http: httpx.Client) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = http.post("/v1/traces", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
        assert "application/json" in status_of(answer, JSON).message


def test_a_revoked_key_is_refused(http: httpx.Client) -> None:
    key, token = key_create(name="gone", scope="ingest", actor=Actor.system("test"))
    key_revoke(key_id=key.pk, actor=Actor.system("test"))
    headers = {"content-type": PROTOBUF, "authorization": f"Bearer {token}"}
    assert http.post("/v1/traces", content=b"", headers=headers).status_code == 401


@ENCODINGS
def test_a_bomb_is_413_long_before_it_is_inflated(http: httpx.Client, encoding: str) -> None:
    layer = gzip.compress(bytes(1 << 20), 9)
    bomb = layer * 2_000
    headers = {"content-type": encoding, "content-encoding": "gzip"}
    answer = http.post("/v1/traces", content=bomb, headers=headers)
    assert answer.status_code == 413
    assert "64 MiB" in status_of(answer, encoding).message


def test_a_body_past_the_limit_is_413_while_the_sender_still_writes(
    http: httpx.Client,
) -> None:
    piece = bytes(1 << 20)
    answer = http.post(
        "/v1/traces", content=(piece for _ in range(66)), headers={"content-type": PROTOBUF}
    )
    assert answer.status_code == 413
    assert status_of(answer, PROTOBUF).message


@ENCODINGS
def test_chunked_bodies_without_a_length_are_read_to_their_end(
    site: LiveSite, encoding: str
) -> None:
    address = urlsplit(site.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
    body = encoded(request("a", "b", "c"), encoding)
    headers = {"Content-Type": encoding, "Authorization": f"Bearer {site.ingest_key}"}
    pieces = (body[at : at + 50] for at in range(0, len(body), 50))
    connection.request("POST", "/v1/traces", pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.read() == (b"" if encoding == PROTOBUF else b"{}")
    connection.close()
    assert stored() == (3, 3)


def test_a_connection_serves_many_requests_also_after_a_refusal(site: LiveSite) -> None:
    address = urlsplit(site.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {"Content-Type": PROTOBUF, "Authorization": f"Bearer {site.ingest_key}"}
    sockets: set[socket.socket] = set()
    for body, expected in ((request("a").SerializeToString(), 200), (b"\xff", 400), (b"", 200)):
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == expected
        sockets.add(connection.sock)
    assert len(sockets) == 1
    connection.close()


def test_json_is_read_leniently_where_the_standard_says_so(http: httpx.Client) -> None:
    now = time.time_ns()
    span = {
        "traceId": "ABCDEF0123456789ABCDEF0123456789", "spanId": "abcdef0123456789",
        "parentSpanId": None, "name": "lenient", "kind": 3, "unknownField": {"x": [1]},
        "startTimeUnixNano": str(now - 1000), "endTimeUnixNano": now, "events": None,
        **pairs({"n": {"intValue": "9007199254740993"}, "m": {"intValue": 7}, "u": None}),
        "status": {"code": 2, "futureField": True},
    }  # fmt: skip
    resource = pairs({"service.name": {"stringValue": "gateway-test"}})
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}], "new": 1}]}
    answer = http.post("/v1/traces", json=body)
    assert (answer.status_code, answer.content) == (200, b"{}")
    [row] = Span.objects.filter(service="gateway-test")
    assert row.trace_id == "abcdef0123456789abcdef0123456789"
    assert row.attributes["n"] == 9_007_199_254_740_993
    assert row.attributes["m"] == 7
    # A failed span without any exception is an error all the same.
    assert stored() == (1, 1)


def test_names_beyond_a_limit_are_stored_counted_together_and_said(
    http: httpx.Client, site: LiveSite
) -> None:
    """505 operations and addresses in one request, of which 500 are kept apart."""
    service = f"names-{time.time_ns()}"
    message = request("GET /0", service=service)
    spans = message.resource_spans[0].scope_spans[0].spans
    first = spans[0]
    first.ClearField("events")
    first.kind = 3
    for number in range(1, 505):
        span = spans.add()
        span.CopyFrom(first)
        span.name = f"GET /{number}"
        span.span_id = number.to_bytes(8, "big")
        span.attributes.add(key="peer.service").value.string_value = f"host-{number % 503}"
    answer = http.post(
        "/v1/traces", content=encoded(message, PROTOBUF), headers={"Content-Type": PROTOBUF}
    )
    assert answer.status_code == 200
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_spans == 0
    assert f"5 spans of service {service}, such as GET /504, are beyond its limit of 500" in (
        told.error_message
    )
    assert Span.objects.filter(service=service).count() == 505
    key = {"Authorization": f"Bearer {site.operator_key}"}
    items = http.get("/api/v1/limits", params={"service": service}, headers=key).json()["items"]
    assert {each["kind"]: (each["items"], each["most"]) for each in items} == {
        "operation": (5, 500),
        "peer": (3, 500),
    }

"""Spans and their attributes in OTLP/JSON: what is read, refused, cut and tolerated."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from analytics.domain import otlp_json, otlp_values
from analytics.domain.otlp_values import DecodeError
from tests.analytics.otlp.documents import attribute_of, one_span, pairs, span_json, traces_body
from tests.analytics.otlp.messages import NOW_NS


def test_a_span_keeps_what_was_sent() -> None:
    event = {"name": "exception", "timeUnixNano": NOW_NS + 7, **pairs({"a": {"intValue": "7"}})}
    link = {"traceId": "ab" * 16, "spanId": "cd" * 8}
    body = traces_body(
        span_json(
            kind=3,
            parentSpanId="",
            status={"code": 2, "message": "no stock"},
            events=[event],
            links=[link],
            flags=257,
            somethingNew={"x": [1]},
        ),
        resource={
            "service.name": {"stringValue": "orders"},
            "deployment.environment": {"stringValue": "staging"},
            "service.version": {"stringValue": "1.2"},
            "service.instance.id": {"stringValue": "pod-1"},
            "service.criticality": {"stringValue": "high"},
            "telemetry.sdk.language": {"stringValue": "nodejs"},
        },
    )
    (span,) = otlp_json.decode_traces(body, now_ns=NOW_NS).items
    assert span.trace_id == "5b8efff798038103d269b633813fc60c"
    assert span.span_id == "eee19b7ec3c1b174"
    assert (span.parent_span_id, span.name, span.kind) == ("", "GET /orders", 3)
    assert (span.start_ns, span.end_ns) == (NOW_NS, NOW_NS + 1000)
    assert (span.status_code, span.status_message) == (2, "no stock")
    assert span.events == [("exception", NOW_NS + 7, {"a": 7})]
    assert span.links == [("ab" * 16, "cd" * 8, {})]
    assert span.resource[:6] == ("orders", "staging", "pod-1", "1.2", "nodejs", "high")
    assert span.resource.attributes["deployment.environment"] == "staging"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"traceId": "ab"}, otlp_values.BAD_TRACE_ID),
        ({"traceId": "0" * 32}, otlp_values.BAD_TRACE_ID),
        ({"traceId": "W47/95gDgQPSabYzgT/GDA=="}, otlp_values.BAD_TRACE_ID),
        ({"spanId": None}, otlp_values.BAD_SPAN_ID),
        ({"spanId": "0" * 16}, otlp_values.BAD_SPAN_ID),
        ({"parentSpanId": "abc"}, otlp_values.BAD_PARENT_ID),
        ({"startTimeUnixNano": 0}, otlp_values.NO_START),
        ({"startTimeUnixNano": NOW_NS // 1000}, otlp_values.BAD_UNIT),
    ],
)
def test_a_bad_span_is_refused_and_its_neighbours_stay(fields: dict[str, Any], reason: str) -> None:
    body = traces_body(span_json(), span_json(**fields), span_json(**fields))
    decoded = otlp_json.decode_traces(body, now_ns=NOW_NS)
    assert len(decoded.items) == 1
    assert decoded.rejections == [(2, reason)]


def test_a_span_that_ends_before_it_starts_lasts_no_time() -> None:
    span = one_span(endTimeUnixNano=NOW_NS - 5)
    assert span.end_ns == span.start_ns


def test_a_bad_link_is_left_out_with_a_warning() -> None:
    body = traces_body(span_json(links=[{"traceId": "ab", "spanId": "cd"}]))
    decoded = otlp_json.decode_traces(body, now_ns=NOW_NS)
    assert decoded.items[0].links == []
    assert decoded.rejections == [(0, otlp_values.BAD_LINKS)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stringValue": "a\0b"}, "ab"),
        ({"stringValue": ""}, ""),
        ({"boolValue": False}, False),
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"intValue": 0}, 0),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"doubleValue": 3}, 3.0),
        ({"bytesValue": "_-8"}, "/+8="),
        ({"arrayValue": {"values": [{"intValue": 1}, {}, None]}}, [1, None, None]),
        ({"kvlistValue": {"values": [{"key": "a\0", "value": {"boolValue": True}}]}}, {"a": True}),
        ({"arrayValue": {}}, []),
        ({"stringValue": None}, None),
        ({"string_value": "snake case is unknown"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_attribute_values_become_what_json_holds(value: Any, expected: Any) -> None:
    assert attribute_of(value) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "SPAN_KIND_SERVER"},
        {"kind": True},
        {"kind": 2**31},
        {"name": 7},
        {"traceId": 7},
        {"startTimeUnixNano": "1e18"},
        {"startTimeUnixNano": -1},
        {"startTimeUnixNano": "18446744073709551616"},
        {"startTimeUnixNano": True},
        {"status": []},
        {"events": {}},
        {"events": ["exception"]},
        pairs({"k": {"intValue": "9223372036854775808"}}),
        pairs({"k": {"boolValue": "true"}}),
        pairs({"k": {"doubleValue": "infinity"}}),
        pairs({"k": {"bytesValue": "*"}}),
        pairs({"k": "bare"}),
    ],
)
def test_a_value_of_the_wrong_type_spoils_the_request(fields: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        otlp_json.decode_traces(traces_body(span_json(**fields)), now_ns=NOW_NS)


def test_null_stands_for_the_default() -> None:
    nothing = dict.fromkeys(
        [
            "parentSpanId",
            "name",
            "kind",
            "status",
            "attributes",
            "events",
            "links",
            "endTimeUnixNano",
        ]
    )
    span = one_span(**nothing)
    assert (span.name, span.kind, span.status_code, span.attributes) == ("", 0, 0, {})


def test_unknown_enum_numbers_are_unset() -> None:
    span = one_span(kind=9, status={"code": 3})
    assert (span.kind, span.status_code) == (0, 0)


def test_texts_and_attributes_are_cut_to_their_limits() -> None:
    long = {"stringValue": "x" * 100_000}
    span = one_span(
        **pairs({"exception.stacktrace": long, "k": long, "n" * 600: {"intValue": 1}}),
        name="n" * 600,
    )
    assert len(span.attributes["exception.stacktrace"]) == otlp_values.MAX_STACK
    assert len(span.attributes["k"]) == otlp_values.MAX_TEXT
    assert "n" * otlp_values.MAX_NAME in span.attributes
    assert len(span.name) == otlp_values.MAX_NAME
    many = one_span(**pairs({f"k{i}": {"intValue": i} for i in range(300)}))
    assert list(many.attributes.values()) == list(range(otlp_values.MAX_ATTRIBUTES))


def test_events_and_links_of_a_span_end_at_their_limits_and_the_sender_is_told() -> None:
    link = {"traceId": "1" * 32, "spanId": "2" * 16}
    event = {"name": "tick", "timeUnixNano": str(NOW_NS)}
    body = traces_body(span_json(events=[event] * 300, links=[link] * 300))
    decoded = otlp_json.decode_traces(body, now_ns=NOW_NS)
    (span,) = decoded.items
    assert (len(span.events), len(span.links)) == (otlp_values.MAX_EVENTS, otlp_values.MAX_LINKS)
    assert decoded.rejections == [(0, otlp_values.MANY_EVENTS), (0, otlp_values.MANY_LINKS)]


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    body = traces_body(span_json(name="NAME"))
    cut = body.replace(b"NAME", rb"\ud83d\ude00 \\ud800 \ud83d \ude00 \\\udc00")
    (span,) = otlp_json.decode_traces(cut, now_ns=NOW_NS).items
    assert span.name == "😀 \\ud800 � � \\�"


@pytest.mark.parametrize(
    ("attributes", "service", "environment"),
    [
        ({}, "unknown", ""),
        ({"service.name": "unknown_service:python"}, "unknown", ""),
        ({"service.name": " "}, "unknown", ""),
        ({"service.name": "s" * 300}, "s" * 200, ""),
        (
            {
                "service.name": "a",
                "deployment.environment.name": "b",
                "deployment.environment": "c",
            },
            "a",
            "b",
        ),
    ],
)
def test_resources_name_service_and_environment(
    attributes: dict[str, str], service: str, environment: str
) -> None:
    body = traces_body(span_json(), resource={k: {"stringValue": v} for k, v in attributes.items()})
    (span,) = otlp_json.decode_traces(body, now_ns=NOW_NS).items
    assert (span.resource.service, span.resource.environment) == (service, environment)


def test_equal_resources_of_a_request_are_one_object() -> None:
    group = orjson.loads(traces_body(span_json(), resource={"service.name": {"stringValue": "a"}}))
    body = orjson.dumps({"resourceSpans": group["resourceSpans"] * 2})
    first, second = otlp_json.decode_traces(body, now_ns=NOW_NS).items
    assert first.resource is second.resource

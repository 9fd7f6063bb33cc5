"""Both OTLP encodings become the same records, and nothing else comes of any body."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics.domain import otlp_json, otlp_protobuf, otlp_values
from analytics.domain.otlp_values import DecodeError
from analytics.domain.telemetry import Decoded
from tests.analytics.otlp import messages
from tests.analytics.otlp.documents import DATA, attribute_of, pairs, span_json, traces_body
from tests.analytics.otlp.messages import NOW_NS, json_body, to_json

Decode = Callable[..., Decoded]

SIGNALS: dict[str, tuple[st.SearchStrategy[Message], Decode, Decode]] = {
    "traces": (
        messages.trace_requests,
        otlp_protobuf.decode_traces,
        otlp_json.decode_traces,
    ),
    "logs": (messages.log_requests, otlp_protobuf.decode_logs, otlp_json.decode_logs),
    "metrics": (
        messages.metric_requests,
        otlp_protobuf.decode_metrics,
        otlp_json.decode_metrics,
    ),
}
every_signal = pytest.mark.parametrize("signal", SIGNALS)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "12", "-5", "1e3", "١٢", "1_0", "ab" * 16, "99999999999999999999"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def decoded_or_refused(decode: Decode, body: bytes) -> Decoded | None:
    try:
        result = decode(body, now_ns=NOW_NS)
    except DecodeError:
        return None
    for item in result.items:
        check_storable(item)
    for rejection in result.rejections:
        assert rejection.count >= 0
        assert rejection.reason
    return result


def check_storable(value: Any) -> None:
    """No text holds what PostgreSQL cannot, whatever it is nested in."""
    if isinstance(value, str):
        assert "\0" not in value
        value.encode()
    elif isinstance(value, dict):
        for key, each in value.items():
            check_storable(key)
            check_storable(each)
        orjson.dumps(value)
    elif isinstance(value, (list, tuple)):
        for each in value:
            check_storable(each)


def paths_of(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries: Any = ()
    if isinstance(document, dict):
        entries = document.items()
    elif isinstance(document, list):
        entries = enumerate(document)
    found = [path] if path else []
    for key, each in entries:
        found += paths_of(each, (*path, key))
    return found


@every_signal
@settings(max_examples=60, deadline=None)
@given(data=st.data(), numbers=st.booleans(), upper=st.booleans())
def test_both_encodings_become_the_same_records(
    signal: str, data: st.DataObject, numbers: bool, upper: bool
) -> None:
    requests, protobuf, json = SIGNALS[signal]
    request = data.draw(requests)
    first = decoded_or_refused(protobuf, request.SerializeToString())
    second = decoded_or_refused(json, json_body(request, numbers=numbers, upper=upper))
    assert first is not None
    # By their texts, as NaN does not equal itself.
    assert repr(first) == repr(second)


@every_signal
@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=60))
def test_random_bytes_are_read_or_refused(signal: str, body: bytes) -> None:
    _, protobuf, json = SIGNALS[signal]
    decoded_or_refused(protobuf, body)
    decoded_or_refused(json, body)


@every_signal
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_messages_are_read_or_refused(signal: str, data: st.DataObject) -> None:
    requests, protobuf, json = SIGNALS[signal]
    request = data.draw(requests)
    for decode, body in (
        (protobuf, request.SerializeToString()),
        (json, json_body(request)),
    ):
        at = data.draw(st.integers(0, len(body)))
        junk = data.draw(st.binary(max_size=3))
        decoded_or_refused(decode, body[:at] + junk + body[at + data.draw(st.integers(0, 3)) :])


@every_signal
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_values_of_any_type_anywhere_are_read_or_refused(signal: str, data: st.DataObject) -> None:
    requests, _, json = SIGNALS[signal]
    document = to_json(data.draw(requests))
    paths = paths_of(document)
    if paths:
        *way, last = data.draw(st.sampled_from(paths))
        holder = document
        for step in way:
            holder = holder[step]
        holder[last] = data.draw(json_values)
    decoded_or_refused(json, orjson.dumps(document))


@every_signal
@settings(max_examples=40, deadline=None)
@given(document=json_values)
def test_any_json_is_read_or_refused(signal: str, document: Any) -> None:
    decoded_or_refused(SIGNALS[signal][2], orjson.dumps(document))


@every_signal
def test_an_empty_request_has_no_items(signal: str) -> None:
    _, protobuf, json = SIGNALS[signal]
    assert protobuf(b"", now_ns=NOW_NS) == json(b"{}", now_ns=NOW_NS) == Decoded([], [])
    with pytest.raises(DecodeError):
        json(b"", now_ns=NOW_NS)


def test_deep_values_end_at_the_depth_limit_in_both_encodings() -> None:
    value: dict[str, Any] = {"intValue": 1}
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, start_time_unix_nano=NOW_NS)
    )
    pair = span.attributes.add(key="k")
    inner = pair.value
    for _ in range(20):
        value = {"arrayValue": {"values": [value]}}
        inner = inner.array_value.values.add()
    inner.int_value = 1
    found = attribute_of(value)
    decoded = otlp_protobuf.decode_traces(request.SerializeToString(), now_ns=NOW_NS)
    assert decoded.items[0].attributes["k"] == found
    for _ in range(otlp_values.MAX_DEPTH):
        (found,) = found
    assert found == otlp_values.TOO_DEEP


@pytest.mark.parametrize("levels", [300, 5000])
def test_nesting_without_end_is_refused_or_cut(levels: int) -> None:
    nested = b'{"arrayValue":{"values":[' * levels + b"]}}" * levels
    body = traces_body(span_json(**pairs({"k": {"intValue": 4242}})))
    decoded_or_refused(otlp_json.decode_traces, body.replace(b'{"intValue":4242}', nested))
    decoded_or_refused(otlp_json.decode_traces, b"[" * 100_000)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "signal"),
    [("trace", "traces"), ("logs", "logs"), ("events", "logs"), ("metrics", "metrics")],
)
def test_the_published_examples_are_read_whole(name: str, signal: str) -> None:
    path = DATA / "opentelemetry-proto" / "examples" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no example {path}")
    decoded = decoded_or_refused(SIGNALS[signal][2], path.read_bytes())
    assert decoded is not None
    assert decoded.items
    assert decoded.rejections == []
    assert {item.resource.service for item in decoded.items} == {"my.service"}


@pytest.mark.shared
@pytest.mark.parametrize("name", ["tt01", "tt_normal"])
def test_recorded_traces_are_read_whole(name: str) -> None:
    path = DATA / f"{name}.otlp.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recording {path}")
    with gzip.open(path) as lines:
        for _, line in zip(range(5), lines, strict=False):
            decoded = otlp_json.decode_traces(line, now_ns=NOW_NS)
            assert decoded.items
            assert decoded.rejections == []

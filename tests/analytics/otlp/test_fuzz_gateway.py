"""Whatever arrives on the OTLP paths, each item is stored or counted as refused, and nothing
breaks."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import orjson
import pytest
from django.db.models import Sum
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.models import ErrorEvent, IngestRollup, LogRecord, MetricRollup, Span
from tests.analytics.otlp import messages

PROTOBUF, JSON = "application/x-protobuf", "application/json"
REQUESTS = {
    "traces": messages.trace_requests,
    "logs": messages.log_requests,
    "metrics": messages.metric_requests,
}
SIGNALS = pytest.mark.parametrize("signal", list(REQUESTS))
fuzz = settings(
    max_examples=40,
    deadline=None,
    # The site keeps what earlier examples stored, and each example looks at what it added.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | messages.texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(messages.texts, inner, max_size=3),
)


def rows() -> list[int]:
    return [model.objects.count() for model in (Span, ErrorEvent, LogRecord, MetricRollup)]


def counted(signal: str) -> int:
    """Items of a signal that the site accounts for: stored, known already, or refused."""
    total = IngestRollup.objects.filter(signal=signal).aggregate(n=Sum("items"))["n"]
    return int(total or 0)


def items_of(signal: str, message: Any) -> int:
    if signal == "traces":
        return sum(len(s.spans) for r in message.resource_spans for s in r.scope_spans)
    return sum(len(s.log_records) for r in message.resource_logs for s in r.scope_logs)


def checked(answer: httpx.Response, encoding: str, allowed: tuple[int, ...]) -> None:
    assert answer.status_code in allowed, answer.text
    assert answer.headers["content-type"] == encoding
    if encoding == JSON:
        assert isinstance(orjson.loads(answer.content), dict)
    elif answer.status_code != 200:
        assert Status.FromString(answer.content).message


def taken_or_refused_whole(http: httpx.Client, signal: str, body: bytes, encoding: str) -> None:
    before = rows()
    answer = http.post(f"/v1/{signal}", content=body, headers={"content-type": encoding})
    checked(answer, encoding, (200, 400))
    if answer.status_code == 400:
        assert rows() == before


@SIGNALS
@fuzz
@given(data=st.data(), encoding=st.sampled_from([PROTOBUF, JSON]), zipped=st.booleans())
def test_each_item_of_a_wellformed_request_is_accounted_for(
    http: httpx.Client, signal: str, data: st.DataObject, encoding: str, zipped: bool
) -> None:
    message: Message = data.draw(REQUESTS[signal])
    body = message.SerializeToString() if encoding == PROTOBUF else messages.json_body(message)
    headers = {"content-type": encoding, "content-encoding": "gzip" if zipped else "identity"}
    before = counted(signal)
    answer = http.post(
        f"/v1/{signal}", content=gzip.compress(body) if zipped else body, headers=headers
    )
    checked(answer, encoding, (200,))
    if signal != "metrics":
        assert counted(signal) - before == items_of(signal, message)


@SIGNALS
@fuzz
@given(data=st.data())
def test_damaged_protobuf_breaks_nothing(
    http: httpx.Client, signal: str, data: st.DataObject
) -> None:
    whole = bytearray(data.draw(REQUESTS[signal]).SerializeToString())
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)
    ):
        if place < len(whole):
            whole[place] = byte
    body = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    taken_or_refused_whole(http, signal, body, PROTOBUF)


@SIGNALS
@fuzz
@given(data=st.data())
def test_json_of_the_wrong_shape_breaks_nothing(
    http: httpx.Client, signal: str, data: st.DataObject
) -> None:
    document = messages.to_json(data.draw(REQUESTS[signal]))
    _replace_something(document, data)
    try:
        body = orjson.dumps(document)
    except (TypeError, orjson.JSONEncodeError):
        body = repr(document).encode("utf-8", "replace")
    taken_or_refused_whole(http, signal, body, JSON)


@SIGNALS
@fuzz
@given(body=st.binary(max_size=80), encoding=st.sampled_from([PROTOBUF, JSON]))
def test_no_bytes_at_all_break_anything(
    http: httpx.Client, signal: str, body: bytes, encoding: str
) -> None:
    taken_or_refused_whole(http, signal, body, encoding)


def _replace_something(document: Any, data: st.DataObject) -> None:
    """Put any JSON value in the place of some part of the document."""
    here = document
    for _ in range(data.draw(st.integers(0, 9))):
        keys = list(here) if isinstance(here, dict) else range(len(here))
        inner = [key for key in keys if isinstance(here[key], dict | list) and here[key]]
        if not inner:
            break
        here = here[data.draw(st.sampled_from(inner))]
    keys = list(here) if isinstance(here, dict) else list(range(len(here)))
    if keys:
        here[data.draw(st.sampled_from(keys))] = data.draw(values)

"""Errors posted as plain JSON to a running site: what is taken, what is refused, and how."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from analytics.choices import ChainKind, ErrorSource
from analytics.models import CorrelationChain, ErrorEvent, IngestRollup
from analytics.services.chains import chains_build
from resilience_site.config import config
from tests.analytics.posted.conftest import PATH
from tests.livesite import LiveSite

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
MIB = 1 << 20


def error(**fields: Any) -> dict[str, Any]:
    return {"service": "till", "type": "PaymentError", "message": "declined", **fields}


def at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def is_problem(answer: httpx.Response, status: int) -> str:
    """The detail of a problem document with that status."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (answer.status_code, document["status"]) == (status, status)
    assert document["instance"] == PATH
    return str(document["detail"])


def test_one_error_is_stored_with_all_that_it_says(http: httpx.Client) -> None:
    stack = 'Traceback (most recent call last):\n  File "/app/till.py", line 3, in pay\nE: x'
    answer = http.post(
        PATH,
        json=error(
            id="a-1",
            stacktrace=stack,
            occurred_at=at(NOW),
            severity=21,
            environment="test",
            operation="pay",
            trace_id="AB" * 16,
            span_id="CD" * 8,
            correlation_id="order-7",
            attributes={"till": 3, "tags": ["a", None, {"b": 1.5}]},
            something_else=True,
        ),
    )

    (error_id,) = answer.json()["ids"]
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": [], "ids": [error_id]}
    stored = ErrorEvent.objects.get(id=UUID(error_id))
    assert (stored.service, stored.type, stored.message) == ("till", "PaymentError", "declined")
    assert (stored.occurred_at, stored.severity, stored.environment) == (NOW, 21, "test")
    assert (stored.operation, stored.correlation_id) == ("pay", "order-7")
    assert (stored.trace_id, stored.span_id) == ("ab" * 16, "cd" * 8)
    assert stored.attributes == {"till": 3, "tags": ["a", None, {"b": 1.5}]}
    assert stored.source == ErrorSource.API
    assert stored.stack_hash is not None


@pytest.mark.parametrize("said", [{"type": "E"}, {"message": "m"}, {"type": None, "message": "m"}])
def test_a_service_and_a_type_or_a_message_are_enough(
    http: httpx.Client, said: dict[str, Any]
) -> None:
    answer = http.post(PATH, json={"service": "till", **said})

    assert answer.status_code == 202
    stored = ErrorEvent.objects.get()
    assert stored.type == (said.get("type") or "Error")
    assert datetime.now(UTC) - stored.occurred_at < timedelta(minutes=1)


def test_a_list_is_taken_and_its_bad_items_are_told_one_by_one(http: httpx.Client) -> None:
    answer = http.post(
        PATH,
        json=[
            error(),
            {"type": "no service"},
            "no object",
            error(severity=25),
            error(occurred_at=at(NOW - timedelta(days=config.error_retention_days + 1))),
            error(occurred_at=at(NOW + timedelta(hours=1))),
            error(trace_id="xyz"),
            error(service=" \0"),
            {"service": "till"},
            error(message="second"),
        ],
    )

    document = answer.json()
    assert answer.status_code == 202
    assert (document["accepted"], document["duplicates"]) == (2, 0)
    assert [each is None for each in document["ids"]] == [False, *[True] * 8, False]
    reasons = {each["index"]: each["reason"] for each in document["rejected"]}
    assert sorted(reasons) == list(range(1, 9))
    assert reasons[1].startswith("body.service: ")
    assert reasons[3].startswith("body.severity: ")
    assert "ERROR_RETENTION_DAYS" in reasons[4]
    assert "future" not in reasons[4]
    assert "in the future" in reasons[5]
    assert "ERROR_RETENTION_DAYS" not in reasons[5]
    assert reasons[6].startswith("body.trace_id: ")
    assert reasons[7].startswith("body.service: ")
    assert "type or a message" in reasons[8]
    assert ErrorEvent.objects.count() == 2
    counted = IngestRollup.objects.filter(signal="errors", outcome="rejected")
    assert sum(row.items for row in counted) == 8


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", -5])
def test_a_time_that_cannot_be_is_refused(http: httpx.Client, moment: object) -> None:
    document = http.post(PATH, json=error(occurred_at=moment)).json()

    assert (document["accepted"], document["ids"]) == (0, [None])
    assert [each["index"] for each in document["rejected"]] == [0]


def test_one_bad_error_alone_is_refused_with_its_field(http: httpx.Client) -> None:
    answer = http.post(PATH, json=error(severity="loud"))

    assert "body.severity" in is_problem(answer, 422)
    assert [each["field"] for each in answer.json()["errors"]] == ["body.severity"]


def test_an_empty_list_and_a_full_one_are_taken_and_one_more_is_refused(
    http: httpx.Client,
) -> None:
    assert http.post(PATH, json=[]).json()["accepted"] == 0
    assert http.post(PATH, json=[error()] * 1_000).json()["accepted"] == 1_000
    assert "1000" in is_problem(http.post(PATH, json=[error()] * 1_001), 422)


def test_a_long_message_is_cut_and_a_long_stack_is_taken(http: httpx.Client) -> None:
    stack = 'Traceback (most recent call last):\n  File "/app/a.py", line 1, in f\n' * 2_000
    answer = http.post(PATH, json=error(message="x" * 10_000, stacktrace=f"{stack}E: x"))

    assert answer.status_code == 202
    stored = ErrorEvent.objects.get()
    assert len(stored.message) == 8_192
    assert stored.stack_hash is not None


def test_attributes_that_lie_too_deep_are_refused(http: httpx.Client) -> None:
    def nested(depth: int) -> dict[str, Any]:
        attributes: dict[str, Any] = {"end": 1}
        for _ in range(depth - 1):
            attributes = {"a": attributes}
        return attributes

    assert http.post(PATH, json=error(attributes=nested(32))).status_code == 202
    assert "32 levels" in is_problem(http.post(PATH, json=error(attributes=nested(33))), 422)
    assert "32 levels" in is_problem(http.post(PATH, json=error(attributes=nested(900))), 422)
    lists = b'{"service": "till", "type": "E", "attributes": {"a": %s}}'
    answer = http.post(PATH, content=lists % (b"[" * 5_000 + b"]" * 5_000))
    assert "JSON" in is_problem(answer, 400)


@pytest.mark.parametrize("fields", [{"id": "pay-1"}, {"occurred_at": at(NOW)}])
def test_an_error_that_is_sent_again_is_stored_once(
    http: httpx.Client, fields: dict[str, Any]
) -> None:
    first = http.post(PATH, json=error(**fields)).json()
    again = http.post(PATH, json=[error(**fields), error(message="another")]).json()

    assert (again["accepted"], again["duplicates"]) == (2, 1)
    assert again["ids"][0] == first["ids"][0]
    assert ErrorEvent.objects.filter(message="declined").count() == 1


def test_a_resend_with_another_correlation_header_is_stored_once(http: httpx.Client) -> None:
    for attempt in ("one", "two"):
        headers = {"X-Correlation-ID": attempt}
        http.post(PATH, json=error(occurred_at=at(NOW)), headers=headers)

    assert ErrorEvent.objects.get().correlation_id == "one"


def test_an_error_without_id_and_time_is_a_new_one_each_time(http: httpx.Client) -> None:
    for _ in range(2):
        assert http.post(PATH, json=error()).json()["duplicates"] == 0
    assert ErrorEvent.objects.count() == 2


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_gzip_and_chunks_are_read_whatever_the_content_type(
    http: httpx.Client, content_type: str | None
) -> None:
    body = gzip.compress(json.dumps([error(), error(message="x" * 5_000)]).encode())
    headers = {"Content-Encoding": "gzip"} | (
        {"Content-Type": content_type} if content_type else {}
    )

    def chunks() -> Iterator[bytes]:
        yield body[:10]
        yield body[10:]

    whole = http.post(PATH, content=body, headers=headers)
    chunked = http.post(PATH, content=chunks(), headers=headers)

    assert (whole.status_code, chunked.status_code) == (202, 202)
    assert ErrorEvent.objects.count() == 4


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b'{"service": ', {}),
        (b"\xff\xfe", {}),
        (b"service=till", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"no gzip", {"Content-Encoding": "gzip"}),
        (gzip.compress(b"[]", mtime=0)[:-4], {"Content-Encoding": "gzip"}),
    ],
)
def test_what_cannot_be_read_is_malformed(
    http: httpx.Client, body: bytes, headers: dict[str, str]
) -> None:
    is_problem(http.post(PATH, content=body, headers=headers), 400)
    assert not ErrorEvent.objects.exists()


def test_half_of_an_emoji_costs_only_itself(http: httpx.Client) -> None:
    body = b'[{"service": "till", "message": "sad \\ud83d"}, {"service": "\\uD83D\\uDE00", "type": "E"}]'

    assert http.post(PATH, content=body).json()["accepted"] == 2
    stored = ErrorEvent.objects.values_list("service", "message").order_by("service")
    assert list(stored) == [("till", "sad ?"), ("\U0001f600", "")]


@pytest.mark.parametrize("body", [b"null", b"7", b'"till"', b"true"])
def test_json_that_is_no_error_is_invalid(http: httpx.Client, body: bytes) -> None:
    is_problem(http.post(PATH, content=body), 422)


def test_an_unknown_encoding_is_named(http: httpx.Client) -> None:
    answer = http.post(PATH, content=b"x", headers={"Content-Encoding": "br"})
    assert "gzip" in is_problem(answer, 415)


def test_a_body_past_the_limit_is_refused_also_when_it_is_small_until_inflated(
    http: httpx.Client,
) -> None:
    limit = config.resilience_max_body_mib * MIB
    bomb = gzip.compress(b"[" + b" " * limit + b"]", 1)

    inflated = http.post(PATH, content=bomb, headers={"Content-Encoding": "gzip"})
    plain = http.post(PATH, content=b" " * (limit + 1))

    assert len(bomb) < MIB
    for answer in (inflated, plain):
        assert f"{config.resilience_max_body_mib} MiB" in is_problem(answer, 413)


def test_only_an_ingest_key_may_post(site: LiveSite) -> None:
    def status(**headers: str) -> int:
        answer = httpx.post(f"{site.url}{PATH}", json=error(), headers=headers)
        is_problem(answer, answer.status_code)
        return answer.status_code

    assert status() == 401
    assert status(Authorization="Bearer nobody") == 401
    assert status(Authorization=f"Basic {site.ingest_key}") == 401
    assert status(Authorization=f"Bearer {site.operator_key}") == 403
    assert not ErrorEvent.objects.exists()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Correlation-ID": "order-7"}, "order-7"),
        ({"Baggage": "tier=free, X-Correlation-ID = order%207;ttl=1"}, "order 7"),
        ({"Baggage": "correlation.id=b", "X-Correlation-ID": "h"}, "h"),
        ({"Baggage": "tier=free,,=,x"}, ""),
        ({"X-Correlation-ID": "x" * 300}, "x" * 200),
    ],
)
def test_the_headers_of_a_request_carry_the_correlation_id(
    http: httpx.Client, headers: dict[str, str], expected: str
) -> None:
    own = [error(correlation_id="own"), error(attributes={"correlation.id": "attribute"})]
    http.post(PATH, json=[error(), *own], headers=headers)

    stored = sorted(ErrorEvent.objects.values_list("correlation_id", flat=True))
    assert stored == sorted([expected, "own", "attribute"])


def test_errors_with_a_correlation_id_are_chained_within_the_window(http: httpx.Client) -> None:
    window = timedelta(minutes=config.error_correlation_window_minutes)
    begin = NOW - 5 * window
    times = [begin, begin + 0.9 * window, begin + 1.8 * window, begin + 3 * window]
    for service, moment in zip(("till", "bank", "till", "till"), times, strict=True):
        item = error(service=service, occurred_at=at(moment))
        http.post(PATH, json=item, headers={"X-Correlation-ID": "order-7"})
    http.post(PATH, json=error(occurred_at=at(begin), correlation_id="order-8"))

    while chains_build(now=datetime.now(UTC) + timedelta(seconds=1)):
        pass

    chains = CorrelationChain.objects.filter(correlation_id="order-7").order_by("started_at")
    assert [(each.kind, each.started_at, each.ended_at) for each in chains] == [
        (ChainKind.CORRELATION, times[0], times[2]),
        (ChainKind.CORRELATION, times[3], times[3]),
    ]
    assert sorted(chains[0].services) == ["bank", "till"]
    assert CorrelationChain.objects.count() == 3

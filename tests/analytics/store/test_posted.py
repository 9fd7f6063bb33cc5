"""Posted errors: the same errors as any, stored once however often they are posted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.choices import ErrorSource
from analytics.domain.posted_errors import PostedError
from analytics.models import ChainPending, ErrorEvent, ErrorPattern, PostedId, StackTrace
from analytics.selectors.ingest_status import ingest_status
from analytics.services.ingest_posted import PostedResult, store_posted_errors
from health.models import Service
from tests.analytics.store.telemetry import NOW, STACK, new_trace, ns, together

pytestmark = pytest.mark.usefixtures("store")


def posted(client_id: str = "", **fields: Any) -> PostedError:
    plain: dict[str, Any] = {
        "client_id": client_id,
        "service": "shop",
        "environment": "test",
        "operation": "pay",
        "type": "PaymentError",
        "message": "card 4711 declined",
        "stacktrace": STACK,
        "severity": 0,
        "occurred_ns": ns(NOW),
        "trace_id": "",
        "span_id": "",
        "correlation_id": "",
        "attributes": {"till": 3},
    }
    return PostedError(**(plain | fields))


def store(*errors: PostedError) -> PostedResult:
    return store_posted_errors(errors, received_at=datetime.now(UTC))


def test_a_posted_error_is_stored_like_any_other() -> None:
    trace = new_trace()
    result = store(posted(trace_id=trace, correlation_id="order-7"))
    error = ErrorEvent.objects.get()
    assert result == PostedResult([error.id], 1, 0, [])
    assert (error.service, error.type, error.operation) == ("shop", "PaymentError", "pay")
    assert (error.occurred_at, error.source, error.severity) == (NOW, ErrorSource.API, 17)
    assert (error.trace_id, error.correlation_id) == (trace, "order-7")
    assert error.attributes == {"till": 3}
    assert StackTrace.objects.get().hash == error.stack_hash
    assert ErrorPattern.objects.get().count == 1
    assert Service.objects.filter(name="shop").exists()
    assert ChainPending.objects.get().trace_id == trace
    assert ingest_status(now=datetime.now(UTC)).windows[5]["errors"].stored == 1


def test_the_same_client_id_is_the_same_error_whatever_else_changed() -> None:
    first = store(posted("a-1"))
    again = store(posted("a-1", message="other words", occurred_ns=0))
    assert again == PostedResult(first.ids, 0, 1, [])
    assert ErrorEvent.objects.count() == 1


def test_the_same_client_id_of_another_service_is_another_error() -> None:
    store(posted("a-1"), posted("a-1", service="till"))
    assert ErrorEvent.objects.count() == 2


def test_without_an_id_content_and_time_tell_errors_apart() -> None:
    first = store(posted())
    assert store(posted()) == PostedResult(first.ids, 0, 1, [])
    store(posted(message="card 12 declined"), posted(occurred_ns=ns(NOW + timedelta(seconds=1))))
    assert ErrorEvent.objects.count() == 3


def test_without_id_and_time_every_post_is_a_new_error() -> None:
    result = store(posted(occurred_ns=0), posted(occurred_ns=0))
    assert result.stored == 2
    assert len(set(result.ids)) == 2
    assert abs(ErrorEvent.objects.first().occurred_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_one_request_may_hold_old_new_repeated_and_refused_errors() -> None:
    known = store(posted("a-1")).ids[0]
    result = store(
        posted("a-2"),
        posted("a-1"),
        posted("a-3", occurred_ns=ns(NOW - timedelta(days=40))),
        posted("a-2", message="again"),
    )
    assert (result.stored, result.duplicates) == (1, 2)
    assert [r.count for r in result.rejections] == [1]
    assert result.ids[1:3] == [known, None]
    assert result.ids[0] == result.ids[3]
    assert not PostedId.objects.filter(error_id=None).exists()
    assert PostedId.objects.count() == 2


def test_the_same_post_at_one_moment_is_stored_once() -> None:
    for round_ in range(5):
        request = [posted(f"{round_}-{n}", occurred_ns=0) for n in range(5)]
        results = together(*[lambda request=request: store(*request)] * 3)
        assert sorted(r.stored for r in results) == [0, 0, 5]
        assert len({tuple(r.ids) for r in results}) == 1
    assert ErrorEvent.objects.count() == 25


def test_what_json_can_say_and_the_store_cannot_hold_is_left_out() -> None:
    odd = "a\0b\ud800"
    plain = dict.fromkeys(("service", "type", "message", "stacktrace", "correlation_id"), odd)
    attributes = {"k\0": [odd, {"n": 2**70, "m": 10**400, "f": 1.5, "t": True, "none": None}]}
    store(posted(odd, **plain, attributes=attributes))
    error = ErrorEvent.objects.get()
    assert {error.service, error.type, error.message, error.correlation_id} == {"ab?"}
    big = {"n": str(2**70), "m": str(10**400), "f": 1.5, "t": True, "none": None}
    assert error.attributes == {"k": ["ab?", big]}


def test_an_empty_list_is_no_error() -> None:
    assert store() == PostedResult([], 0, 0, [])

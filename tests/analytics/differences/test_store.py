"""What changed, over the calls and errors of the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from analytics.selectors import call_attributes
from analytics.selectors.differences import FailureFilter, difference
from analytics.services import ingest
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange
from tests.analytics.store.telemetry import (
    batch,
    exception,
    new_span,
    new_trace,
    resource,
    span_record,
)

pytestmark = pytest.mark.usefixtures("store")
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WITHIN, BEFORE = TimeRange(NOW - HOUR, NOW), TimeRange(NOW - 2 * HOUR, NOW - HOUR)


def send(
    since: datetime, fails: Callable[[str, int], bool], *, types: bool = False, calls: int = 60
) -> None:
    """Calls of two services in two regions, one a minute and each with a user of its own."""
    spans = []
    for number in range(calls):
        for service in ("planner", "mail"):
            for region in ("eu", "us"):
                failed = fails(f"{service}/{region}", number)
                span = span_record(
                    new_trace(),
                    new_span(),
                    at=since + number % 60 * MINUTE,
                    failed=failed,
                    exceptions=[exception(type_=f"{region}Error")] if failed and types else None,
                    source=resource(service, f"{service}-1"),
                )
                attributes = {
                    "region": region,
                    "user.id": f"{region}{since}{number}",
                    "http.response.status_code": 500 if failed else 200,
                    "deep": {"a": [1, 2]},
                }
                spans.append(span._replace(attributes=attributes))
    ingest.store_spans(batch(*spans), received_at=NOW)


def one_in_twenty(_: str, number: int) -> bool:
    return number % 20 == 0


def test_failed_calls_of_one_set_are_found_with_their_figures_and_examples() -> None:
    send(BEFORE.since, one_in_twenty)
    send(WITHIN.since, lambda name, number: name == "planner/eu" or number % 20 == 0)
    found = difference(WITHIN, BEFORE, FailureFilter())
    assert (found.source, found.cut, found.missing) == ("spans", False, "")
    assert (found.failed, found.total, found.failed_before, found.total_before) == (
        69,
        240,
        12,
        240,
    )
    first = found.sets[0]
    assert first.attributes == {"region": "eu", "service": "planner"}
    assert first.leading
    assert first.also == {"service.instance.id": "planner-1"}
    assert (first.failed, first.total, first.failed_before, first.total_before) == (60, 60, 3, 60)
    assert first.share == pytest.approx(60 / 69)
    assert first.share_before == pytest.approx(0.25)
    assert (first.ratio, first.ratio_before) == (1.0, 0.05)
    assert first.contrast == pytest.approx(60 / 69 - 0.25)
    assert len(first.examples) == 3
    # The same calls by the name of the instance are no further set.
    assert {"region": "eu", "service.instance.id": "planner-1"} not in [
        one.attributes for one in found.sets
    ]
    left_out = dict(found.left_out)
    assert left_out["http.response.status_code"] == "says how a call ended"
    assert "user.id" in left_out


def test_a_service_narrows_both_ranges() -> None:
    send(BEFORE.since, one_in_twenty)
    send(WITHIN.since, lambda name, number: name == "planner/eu" or number % 20 == 0)
    found = difference(WITHIN, BEFORE, FailureFilter(service="planner"))
    assert (found.total, found.total_before) == (120, 120)
    assert found.sets[0].attributes == {"region": "eu"}
    assert difference(WITHIN, BEFORE, FailureFilter(service="mail")).sets == ()


def test_errors_of_a_type_are_set_against_other_errors() -> None:
    send(BEFORE.since, one_in_twenty, types=True)
    send(WITHIN.since, lambda name, number: name == "planner/eu" or number % 20 == 0, types=True)
    found = difference(WITHIN, BEFORE, FailureFilter(type="euError"))
    assert found.source == "errors"
    assert found.failed == 63
    assert (found.sets[0].attributes, found.sets[0].failed) == ({"region": "eu"}, 63)


def test_too_few_failures_are_said() -> None:
    found = difference(WITHIN, BEFORE, FailureFilter())
    assert (found.sets, found.missing) == ((), "needs 5 failures in the window, has 0")
    send(WITHIN.since, lambda name, number: number == 0)
    found = difference(WITHIN, BEFORE, FailureFilter())
    assert (found.total, found.missing) == (240, "needs 5 failures in the window, has 4")


def test_no_more_rows_are_read_than_are_wanted_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_attributes, "MOST_ROWS", 120)
    monkeypatch.setattr(call_attributes, "_STEPS", 60)
    send(WITHIN.since, lambda name, number: name == "planner/eu")
    found = difference(WITHIN, BEFORE, FailureFilter())
    assert (found.total, found.cut) == (120, True)


def test_of_a_busy_minute_its_end_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_attributes, "MOST_ROWS", 1_200)
    late = WITHIN.until - timedelta(seconds=10)
    spans = [
        span_record(
            new_trace(),
            new_span(),
            at=at,
            failed=at >= late,
            source=resource("planner", "planner-1"),
        )
        for at in (WITHIN.until - timedelta(milliseconds=100 * (n + 1)) for n in range(600))
    ]
    ingest.store_spans(batch(*spans), received_at=NOW)
    found = difference(WITHIN, BEFORE, FailureFilter())
    assert (found.source, found.cut) == ("spans", True)
    assert found.failed / found.total == pytest.approx(1 / 6, abs=0.05)


def test_failures_beside_which_there_is_nothing_are_compared_with_nothing() -> None:
    send(WITHIN.since, lambda name, number: name == "planner/eu", types=True)
    found = difference(WITHIN, BEFORE, FailureFilter(type="euError"))
    assert (found.source, found.failed, found.total) == ("errors", 60, 60)
    assert found.missing.startswith("there is nothing that they could be compared with")


def test_what_takes_too_long_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_attributes, "_CALLS", "SELECT pg_sleep(5), %(since)s, %(service)s")
    monkeypatch.setattr(call_attributes, "_TIMEOUT_MS", 20)
    with pytest.raises(Invalid, match="took longer than 0 s"):
        difference(WITHIN, BEFORE, FailureFilter())


def test_the_api_answers_with_the_hour_before_as_baseline(viewer: Client) -> None:
    send(BEFORE.since, one_in_twenty)
    send(WITHIN.since, lambda name, number: name == "planner/eu" or number % 20 == 0)
    query = {"since": WITHIN.since.isoformat(), "until": WITHIN.until.isoformat()}
    body = viewer.get("/api/v1/what-changed", query).json()
    assert datetime.fromisoformat(body["baseline_since"]) == BEFORE.since
    assert datetime.fromisoformat(body["baseline_until"]) == BEFORE.until
    assert body["items"][0]["attributes"] == {"region": "eu", "service": "planner"}
    assert body["items"][0]["score"] == 1.0
    assert viewer.get("/api/v1/what-changed", {"baseline_since": "x"}).status_code == 422


def test_of_very_many_or_very_long_attributes_a_part_is_read() -> None:
    flood = {f"{number:04}{'k' * 300}": "v" * 1_000 for number in range(200)}
    span = span_record(new_trace(), new_span(), at=WITHIN.since, failed=True)
    ingest.store_spans(batch(span._replace(attributes={"a": 1, **flood})), received_at=NOW)
    [call] = call_attributes.calls_read(WITHIN).calls
    assert call.failed
    assert call.attributes["a"] == "1"
    assert len(call.attributes) <= 64 + 4
    assert max(len(name) for name in call.attributes) <= 100
    assert max(len(value) for value in call.attributes.values()) <= 120

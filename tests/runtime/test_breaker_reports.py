"""What a connection tells of each breaker: its policy, its outcomes, its slow calls; and budgets."""

from __future__ import annotations

import gc
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

import breakers.runtime as runtime
from breakers.runtime import (
    BreakerPolicy,
    Resilience,
    breaker_reports,
    telemetry,
)
from breakers.runtime.batches import Batch, Moved
from breakers.runtime.call_meter import CallMeter
from breakers.runtime.collaborators import IGNORED
from breakers.runtime.outcomes import decode
from breakers.runtime.policy_fields import POLICY_FIELDS
from breakers.runtime.recorder import Recorder
from tests.patience import PATIENCE, until
from tests.runtime.sink import Sink, attributes
from tests.runtime.test_telemetry import points


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent but by `flush` and `shutdown`."""
    monkeypatch.setattr(telemetry, "_INTERVAL", 3600)


def connect(sink: Sink, **more: Any) -> runtime.Connection:
    return runtime.connect(
        sink.url,
        key="k" * 20,
        service="planner",
        register=False,
        metric_interval=3600,
        control=False,
        **more,
    )


def told(sink: Sink, name: str) -> list[dict[str, Any]]:
    """The attributes of the events of one name."""
    return [attributes(r.attributes) for r in sink.logs() if r.event_name == name]


def batches(sink: Sink) -> list[Batch]:
    return [
        decode(each["resilience.breaker.batch"])
        for each in told(sink, "resilience.breaker.outcomes")
    ]


def calls(found: list[Batch]) -> int:
    return sum(kind <= IGNORED for batch in found for kind in batch.columns.kinds)


def test_every_call_is_told_once_in_batches_that_follow_each_other(
    sink: Sink, resilience: Resilience, by_hand: None
) -> None:
    connection = connect(sink)
    breaker = resilience.breaker("graph", failure_threshold=3)
    quiet = resilience.breaker("quiet")
    for place in range(30):
        for _ in range(10):
            breaker.call_sync(int)
        if place % 10 == 9:
            assert connection.flush(PATIENCE)
    for _ in range(3):
        with pytest.raises(OSError):
            breaker.call_sync(fail)
    connection.shutdown(PATIENCE)
    found = batches(sink)
    assert {batch.breaker for batch in found} == {"graph"}
    assert len(found) == 4
    assert all(after.follows(before) for before, after in itertools.pairwise(found))
    assert calls(found) == 303
    (moved,) = (mark for mark in found[-1].columns.marks if isinstance(mark, Moved))
    assert moved.event.retry_after == 60
    # When it is over the breakers are theirs alone again.
    assert breaker._meter is quiet._meter is None
    (counted,) = points(sink)["resilience.breaker.outcomes"]
    assert attributes(counted.attributes) == {"resilience.breaker.name": "graph"}
    assert counted.as_int == 4


def fail() -> None:
    raise ConnectionError("down")


def test_recording_can_be_switched_off(sink: Sink, resilience: Resilience) -> None:
    breaker = resilience.breaker("graph")
    connection = connect(sink, record_outcomes=False)
    for _ in range(50):
        breaker.call_sync(int)
    assert isinstance(breaker._meter, CallMeter)
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    assert told(sink, "resilience.breaker.outcomes") == []
    (point,) = points(sink)["resilience.breaker.calls"]
    assert point.count == 50


def test_a_newer_connection_keeps_what_it_records(sink: Sink, resilience: Resilience) -> None:
    breaker = resilience.breaker("graph")
    first = connect(sink)
    second = connect(sink)
    first.shutdown(PATIENCE)
    assert isinstance(breaker._meter, Recorder)
    breaker.call_sync(int)
    second.shutdown(PATIENCE)
    assert calls(batches(sink)) == 1


def test_policies_are_told_when_a_connection_opens_and_at_each_change(
    sink: Sink, resilience: Resilience, by_hand: None
) -> None:
    graph = resilience.breaker("graph", failure_threshold=4)
    resilience.bulkheads.failure_domain("graph-us", [graph])
    resilience.bulkheads.failure_domain("graph-eu", [graph, resilience.bulkhead("user_operations")])
    connection = connect(sink)
    assert connection.flush(PATIENCE)
    assert connection.flush(PATIENCE)
    database = resilience.breaker("database")
    assert connection.flush(PATIENCE)
    graph.configure(replace(graph.policy, timeout=5, sliding_window_type="time"))
    assert connection.flush(PATIENCE)
    resilience.bulkheads.failure_domain("late", [database])
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    found = told(sink, "resilience.breaker.configured")
    assert [
        (each["resilience.breaker.name"], each["resilience.breaker.domains"]) for each in found
    ] == [
        ("graph", "graph-eu,graph-us"),
        ("database", ""),
        ("graph", "graph-eu,graph-us"),
        ("database", "late"),
    ]
    first, _, changed, _ = (json.loads(each["resilience.breaker.policy"]) for each in found)
    assert set(first) == set(POLICY_FIELDS)
    assert (first["failure_threshold"], first["timeout"]) == (4, 60)
    assert (changed["timeout"], changed["sliding_window_type"]) == (5, "time")
    again = connect(sink)
    again.shutdown(PATIENCE)
    assert len(told(sink, "resilience.breaker.configured")) == 6


def test_slow_calls_and_budgets_are_figures(sink: Sink, resilience: Resilience) -> None:
    connection = connect(sink)
    graph = resilience.breaker("graph", slow_call_duration_threshold=1.0)
    graph.acquire().success(duration=1.0)
    graph.acquire().success(duration=0.5)
    graph.acquire().failure(OSError(), duration=3.0)
    budget = resilience.budget("database")
    assert budget is not None
    for _ in range(10):
        budget.record_call()
    assert budget.try_spend()
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    found = points(sink)
    (slow,) = found["resilience.breaker.slow_calls"]
    assert slow.as_int == 2
    assert attributes(slow.attributes) == {"resilience.breaker.name": "graph"}
    for name, value in (("window_calls", 10), ("window_retries", 1), ("budget_left", 31)):
        (point,) = found[f"resilience.retry.{name}"]
        assert attributes(point.attributes) == {"resilience.dependency": "database"}
        assert point.as_int == value


def test_what_waits_to_be_sent_is_bounded_and_the_gap_shows(
    sink: Sink, resilience: Resilience, by_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(sink)
    monkeypatch.setattr(breaker_reports, "MAX_HELD", 3000)
    reports = connection._telemetry._breakers  # type: ignore[union-attr]
    breaker = resilience.breaker("graph")
    sink.hold.clear()
    while not reports.lost:
        breaker.call_sync(int)
        connection._telemetry.flush()  # type: ignore[union-attr]
    assert 3000 <= sum(map(len, reports._held)) < 5000
    sink.hold.set()
    assert connection.flush(PATIENCE)

    def held() -> int:
        gc.collect()
        return sum(map(len, reports._held))

    # A thread that has sent the last batch may still be about to let go of it.
    until(lambda: held() == 0)
    breaker.call_sync(int)
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    *others, last = batches(sink)
    assert all(after.follows(before) for before, after in itertools.pairwise(others))
    assert last.number == others[-1].number + 2
    assert not last.follows(others[-1])
    (dropped,) = points(sink)["resilience.telemetry.dropped"]
    assert dropped.as_int == 1


def test_breakers_with_huge_windows_are_metered_and_not_recorded(
    sink: Sink, resilience: Resilience, by_hand: None, caplog: pytest.LogCaptureFixture
) -> None:
    huge = resilience.breaker("huge", sliding_window_type="count", sliding_window_size=1_000_000)
    grown = resilience.breaker("grown")
    connection = connect(sink)
    grown.configure(BreakerPolicy(permitted_calls_in_half_open_state=200_000))
    for _ in range(2):
        huge.call_sync(int)
        grown.call_sync(int)
        assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    assert told(sink, "resilience.breaker.outcomes") == []
    assert caplog.text.count("'huge' are not recorded") == 1
    assert caplog.text.count("'grown' are not recorded") == 1
    assert sorted(point.count for point in points(sink)["resilience.breaker.calls"]) == [2, 2]

"""What the library says of itself arrives as OTLP, and costs the caller nothing when it cannot."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

import breakers.runtime as runtime
from breakers.runtime import (
    BulkheadFull,
    CallNotPermitted,
    Resilience,
    ResourceLimits,
    RetryPolicy,
    events,
    export,
    telemetry,
)
from breakers.runtime.call_meter import BOUNDS, CallMeter
from breakers.runtime.telemetry_names import SIGNALS, markdown
from tests.patience import PATIENCE
from tests.runtime.sink import Sink, attributes


def connect(url: str) -> runtime.Connection:
    return runtime.connect(
        url,
        key="k" * 20,
        service="planner",
        register=False,
        metric_interval=3600,
        control=False,
    )


def points(sink: Sink) -> dict[str, list[Any]]:
    """The newest data points by metric."""
    found: dict[str, list[Any]] = {}
    for _, _, message in sink.of("/v1/metrics"):
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    found[metric.name] = list(data.data_points)
    return found


def down() -> None:
    raise ConnectionError("down")


def test_what_happens_arrives_as_events_on_the_current_trace(
    sink: Sink, resilience: Resilience, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rejections are told together, however long the calls take.
    monkeypatch.setattr(telemetry, "_INTERVAL", 3600)
    connection = connect(sink.url)
    call = resilience.protect("database", retry=RetryPolicy(max_attempts=2), fallback=lambda: "x")(
        down
    )
    tracer = connection.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("tool") as span:
        for _ in range(5):
            assert call() == "x"
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    told = [(each.event_name, attributes(each.attributes)) for each in sink.logs()]
    names = [name for name, _ in told]
    assert names.count("resilience.breaker.transition") == 1
    assert names.count("resilience.fallback.served") == 5
    assert names.count("resilience.retry.attempt") == 4
    transition = dict(told)["resilience.breaker.transition"]
    assert transition == {
        "resilience.breaker.name": "database",
        "resilience.breaker.from_state": "closed",
        "resilience.breaker.to_state": "open",
        "resilience.breaker.reason": "failure_threshold",
        "resilience.breaker.calls": 3,
        "resilience.breaker.retry_after": 60.0,
    }
    (record,) = [r for r in sink.logs() if r.event_name == "resilience.breaker.transition"]
    assert record.trace_id.hex() == f"{span.get_span_context().trace_id:032x}"
    (rejected,) = [a for n, a in told if n == "resilience.breaker.rejected"]
    assert rejected == {"resilience.breaker.name": "database", "resilience.breaker.count": 4}


def test_calls_are_counted_exactly_with_their_durations(sink: Sink, resilience: Resilience) -> None:
    connection = connect(sink.url)
    breaker = resilience.breaker("graph", failure_threshold=1000)
    for place in range(100):
        permit = breaker.acquire()
        if place % 4:
            permit.success(duration=0.02)
        else:
            permit.failure(OSError(), duration=3.0)
    breaker.acquire().ignore()
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    found = points(sink)
    calls = {
        attributes(p.attributes)["resilience.breaker.outcome"]: p
        for p in found["resilience.breaker.calls"]
    }
    assert {outcome: point.count for outcome, point in calls.items()} == {
        "success": 75,
        "failure": 25,
        "ignored": 1,
    }
    assert calls["success"].sum == pytest.approx(1.5)
    assert list(calls["success"].explicit_bounds) == list(BOUNDS)
    assert calls["success"].bucket_counts[BOUNDS.index(0.025)] == 75
    assert calls["failure"].bucket_counts[BOUNDS.index(5.0)] == 25
    (rate,) = found["resilience.breaker.failure_rate"]
    assert rate.as_double == 0.25
    (state,) = found["resilience.breaker.state"]
    assert attributes(state.attributes)["resilience.breaker.state"] == "closed"


def test_rejections_are_told_at_most_once_a_second_and_counted_exactly(
    sink: Sink, resilience: Resilience
) -> None:
    began = time.monotonic()
    connection = connect(sink.url)
    breaker = resilience.breaker("graph")
    breaker.adopt_open("test", 3600)
    boundary = resilience.bulkheads.boundary("background_tasks")
    boundary.bulkhead.isolate("test")
    for _ in range(1000):
        with pytest.raises(CallNotPermitted):
            breaker.acquire()
        with pytest.raises(BulkheadFull):
            boundary.bulkhead.acquire()
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    seconds = time.monotonic() - began
    for part in ("breaker", "bulkhead"):
        name = f"resilience.{part}.rejected"
        told = [attributes(r.attributes) for r in sink.logs() if r.event_name == name]
        # At the beginning, by the flush and at the end as well.
        assert len(told) <= seconds + 3
        assert sum(each[f"resilience.{part}.count"] for each in told) == 1000
        (point,) = points(sink)[name]
        assert point.as_int == 1000


def test_a_new_connection_does_not_tell_again_what_was_told(
    sink: Sink, resilience: Resilience
) -> None:
    breaker = resilience.breaker("graph")
    breaker.adopt_open("test", 60)
    for _ in range(2):
        connection = connect(sink.url)
        for _ in range(10):
            with pytest.raises(CallNotPermitted):
                breaker.acquire()
        connection.shutdown(PATIENCE)
    told = [r for r in sink.logs() if r.event_name == "resilience.breaker.rejected"]
    assert sum(attributes(r.attributes)["resilience.breaker.count"] for r in told) == 20


def test_an_sdk_that_raises_harms_nobody(
    sink: Sink, resilience: Resilience, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect(sink.url)
    assert connection._telemetry is not None
    connection._telemetry._log = None  # type: ignore[assignment]
    events.emit("resilience.retry.budget_exhausted", {"resilience.dependency": "d"})
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    assert "could not be recorded" in caplog.text


def test_a_site_that_hangs_costs_the_caller_nothing(
    sink: Sink, resilience: Resilience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "EXPORT_TIMEOUT", 0.3)
    monkeypatch.setattr(telemetry, "MAX_PENDING", 100)
    connection = connect(sink.url)
    sink.hold.clear()
    done = threading.Event()

    def work() -> None:
        for number in range(5000):
            events.emit(
                "resilience.retry.budget_exhausted", {"resilience.dependency": f"d{number}"}
            )
        done.set()

    threading.Thread(target=work).start()
    assert done.wait(PATIENCE)
    sink.hold.set()
    connection.shutdown(0.1)


def test_names_are_bounded(sink: Sink, resilience: Resilience) -> None:
    connection = connect(sink.url)
    for number in range(500):
        events.emit("resilience.retry.budget_exhausted", {"resilience.dependency": f"d{number}"})
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    found = points(sink)["resilience.retry.budget_exhausted"]
    named = {attributes(p.attributes)["resilience.dependency"]: p.as_int for p in found}
    assert len(named) == telemetry.MAX_SERIES + 1
    assert named["other"] == 300
    assert sum(named.values()) == 500


def test_what_comes_too_fast_is_dropped_oldest_first_and_counted(
    sink: Sink, resilience: Resilience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "MAX_PENDING", 50)
    monkeypatch.setattr(telemetry, "_INTERVAL", 3600)
    connection = connect(sink.url)
    for number in range(200):
        events.emit("resilience.retry.budget_exhausted", {"resilience.dependency": f"d{number}"})
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    told = [attributes(r.attributes)["resilience.dependency"] for r in sink.logs()]
    assert told == [f"d{number}" for number in range(150, 200)]
    (dropped,) = points(sink)["resilience.telemetry.dropped"]
    assert dropped.as_int == 150


def test_bulkheads_show_their_load(sink: Sink, resilience: Resilience) -> None:
    connection = connect(sink.url)
    boundary = resilience.bulkheads.boundary("critical_operations")
    with boundary.bulkhead:
        assert connection.shutdown(PATIENCE)
    found = points(sink)
    assert found["resilience.bulkhead.active"][0].as_int == 1
    assert found["resilience.bulkhead.limit"][0].as_int == ResourceLimits().thread_pool_size


def test_a_meter_counts_a_duration_in_one_bucket() -> None:
    meter = CallMeter()
    for duration in (0.0, 0.005, 0.0051, 11.0):
        meter.record(0, duration, 0.0, 1)
    (calls,) = meter.read()
    assert (calls.outcome, sum(calls.buckets)) == ("success", 4)
    assert calls.buckets[0] == 2
    assert calls.buckets[1] == 1
    assert calls.buckets[-1] == 1


def test_the_documented_table_is_the_one_that_is_sent() -> None:
    assert len({each.name for each in SIGNALS}) == len(SIGNALS)
    text = Path(runtime.__file__).with_name("TELEMETRY.md").read_text()
    assert markdown() in text


def test_unknown_events_are_passed_over(sink: Sink, resilience: Resilience) -> None:
    connection = connect(sink.url)
    events.emit("resilience.future.thing", {"a": 1})
    assert connection.flush(PATIENCE)
    connection.shutdown(PATIENCE)
    names = [record.event_name for record in sink.logs()]
    assert "resilience.future.thing" not in names

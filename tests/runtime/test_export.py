"""What did not arrive is kept, within bounds, and sent again in order once the site is back."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import breakers.runtime as runtime
from breakers.runtime import Resilience, export, watch
from breakers.runtime.backlog import Backlog, kind_of_log, weight
from breakers.runtime.testing import FakeClock
from breakers.runtime.watch import Watch
from tests.patience import PATIENCE, until
from tests.runtime.exporting import LOG, ByHand, by_hand, connection, no_threads, own
from tests.runtime.own_lines import lines
from tests.runtime.sink import Sink, attributes

TRANSITION = "resilience.breaker.transition"
DROPPED = "resilience.telemetry.dropped"
__all__ = ["by_hand", "connection", "no_threads"]


def moves(sink: Sink) -> list[tuple[str, str]]:
    found = [attributes(r.attributes) for r in sink.logs() if r.event_name == TRANSITION]
    return [
        (each[f"{TRANSITION[:-11]}.from_state"], each[f"{TRANSITION[:-11]}.to_state"])
        for each in found
    ]


def dropped(sink: Sink) -> int:
    """The newest value of the counter."""
    *_, last = (
        metric.sum.data_points[0].as_int
        for _, _, message in sink.of("/v1/metrics")
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == DROPPED
    )
    return int(last)


def fail_once(connection: runtime.Connection, number: int) -> None:
    tracer = connection.tracer_provider.get_tracer("test")
    with pytest.raises(ConnectionError), tracer.start_as_current_span(f"sync {number}"):
        raise ConnectionError(f"down {number}")


@pytest.mark.parametrize("how", ["hangs up", "answers 503"])
def test_what_happens_while_the_site_is_away_arrives_in_order_once_it_is_back(
    sink: Sink, connection: runtime.Connection, resilience: Resilience,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "breakers.runtime")
    monkeypatch.setattr(watch, "SHORTEST_PAUSE", 0.05)
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(watch, "LONGEST_RETRY_AFTER", 0.2)
    breaker = resilience.breaker("graph")
    assert connection.flush(PATIENCE)
    sink.away, sink.status = how == "hangs up", 200 if how == "hangs up" else 503
    for number in range(13):
        fail_once(connection, number)
        breaker.call_sync(int)
        breaker.force_open(f"test {number}")
        breaker.reset()
        LOG.warning("away %d", number)
    until(lambda: lines(caplog, "does not reach"))
    until(lambda: sum(each.waiting for each in connection._pipeline.keeping) >= 13)
    last = max(each.created for each in caplog.records if each.name == LOG.name)
    sink.away, sink.status = False, 200
    # Nobody flushes, and nothing else happens.
    until(lambda: len(sink.spans()) >= 13 and len(moves(sink)) >= 26 and len(own(sink)) >= 13)
    assert connection.flush(PATIENCE)
    assert [span.name for span in sink.spans()] == [f"sync {number}" for number in range(13)]
    assert moves(sink) == [("closed", "forced_open"), ("forced_open", "closed")] * 13
    assert own(sink) == [f"away {number}" for number in range(13)]
    for span in sink.spans():
        (error,) = [event for event in span.events if event.name == "exception"]
        assert span.start_time_unix_nano <= error.time_unix_nano <= last * 1e9
    assert dropped(sink) == 0
    # What sending says of itself is not sent.
    assert not [r for r in sink.logs() if sink.url in r.body.string_value]
    assert len(lines(caplog, "does not reach")) == len(lines(caplog, "again", logging.INFO)) == 1


def test_beyond_its_bound_the_oldest_is_dropped_and_counted_and_transitions_stay(
    sink: Sink, by_hand: ByHand, connection: runtime.Connection, resilience: Resilience,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    room = 20 * (weight(_like("chatter 000")) + 2000)
    rooms = {"events": room, "errors": room, "others": room}
    monkeypatch.setattr(by_hand.exporter, "_kept", Backlog(rooms, kind_of_log))
    sink.away = True
    breaker = resilience.breaker("graph")
    breaker.force_open("test")
    connection._telemetry.flush()  # type: ignore[union-attr]
    by_hand.log(*(f"chatter {number:03}" for number in range(200)))
    breaker.reset()
    connection._telemetry.flush()  # type: ignore[union-attr]
    by_hand.log("last")
    kept = by_hand.exporter.waiting
    sink.away = False
    assert connection.flush(PATIENCE)
    assert moves(sink) == [("closed", "forced_open"), ("forced_open", "closed")]
    arrived = own(sink)
    assert 10 < len(arrived) < 100
    assert arrived == [f"chatter {number:03}" for number in range(201 - len(arrived), 200)] + [
        "last"
    ]
    lost = connection.dropped
    # Its own telemetry is chatter, too: what the breaker works by and its calls.
    assert 201 - len(arrived) <= lost <= 201 - len(arrived) + 10
    assert len(sink.logs()) >= kept
    (said,) = lines(caplog, "than is kept")
    assert sink.url in said
    assert connection.flush(PATIENCE)
    assert dropped(sink) == lost


def _like(text: str) -> Any:
    class Like:
        body, attributes = text, {"code.file.path": "x" * 100}

    return Like()


def test_the_end_of_an_outage_says_how_much_was_lost_in_it(
    sink: Sink, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        by_hand.exporter, "_kept", Backlog({"others": 1 << 14}, lambda record: "others")
    )
    for _ in range(2):
        sink.status = 503
        by_hand.log("first")
        by_hand.exporter.send_now()
        by_hand.log(*(f"{number}" for number in range(50)))
        sink.status = 200
        by_hand.exporter.send_now()
    said = lines(caplog, sink.url)
    assert [line for line in said if "does not reach" in line] == said[0::3]
    assert [line for line in said if "than is kept" in line] == said[1::3]
    told = [int(line.split("again; ")[1].split()[0]) for line in said[2::3]]
    assert len(told) == 2
    assert sum(told) == by_hand.exporter.dropped > 80


def test_a_site_that_is_away_is_asked_less_and_less_often(sink: Sink, by_hand: ByHand) -> None:
    sink.status, sink.retry_after = 500, ""
    by_hand.log("first")
    by_hand.exporter.send_due()
    for tries, pause in enumerate([1, 2, 4, 8, 16, 30, 30], start=1):
        assert (len(sink.asked), by_hand.watch.pause()) == (tries, pause)
        by_hand.clock.now += pause - 0.01
        by_hand.log("more")
        by_hand.exporter.send_due()
        assert len(sink.asked) == tries
        by_hand.clock.now += 0.01
        by_hand.exporter.send_due()
    sink.status = 200
    by_hand.clock.now += 30
    by_hand.exporter.send_due()
    assert own(sink) == ["first"] + ["more"] * 7
    assert by_hand.watch.pause() == 0


def test_a_site_that_hangs_up_is_asked_once_more_and_then_left_alone(
    sink: Sink, by_hand: ByHand
) -> None:
    sink.away = True
    by_hand.log("first")
    by_hand.exporter.send_due()
    assert sink.asked == ["/v1/logs"] * 2
    assert by_hand.watch.pause() == 1


@pytest.mark.parametrize(("asked", "obeyed"), [("75", 75), ("86400", 120)])
def test_a_site_that_asks_for_time_is_given_it(
    sink: Sink, by_hand: ByHand, asked: str, obeyed: float
) -> None:
    sink.status, sink.retry_after = 503, asked
    by_hand.log("first")
    by_hand.exporter.send_due()
    assert by_hand.watch.pause() == obeyed
    by_hand.clock.now += obeyed - 0.01
    by_hand.exporter.send_due()
    assert len(sink.asked) == 1


def test_replicas_do_not_come_back_at_one_moment() -> None:
    pauses = set()
    for chance in (0.0, 0.5, 1.0):
        each = Watch("http://site", clock=lambda: 0.0, chance=lambda at=chance: at)  # type: ignore[misc]
        each.note(watch.Outcome(False, "ConnectionError"), 0.0)
        pauses.add(each.pause())
    assert pauses == {0.5, 0.75, 1.0}


def test_requests_that_fail_at_the_same_moment_are_one_failure() -> None:
    clock = FakeClock()
    each = Watch("http://site", clock=clock, chance=lambda: 1.0)
    began = clock.now
    clock.now += 0.5
    for _ in range(3):
        each.note(watch.Outcome(False, "ConnectionError"), began)
    assert each.pause() == 1.0


def test_a_request_that_fails_after_another_has_arrived_is_no_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    each = Watch("http://meanwhile.example", clock=clock, chance=lambda: 1.0)
    began = clock.now
    clock.now += 0.5
    each.note(watch.Outcome(True, "200 OK"), began)
    each.note(watch.Outcome(False, "ConnectionError"), began)
    assert (each.pause(), lines(caplog, "meanwhile")) == (0, [])
    each.note(watch.Outcome(False, "ConnectionError"), clock.now)
    assert each.pause() == 1.0
    assert len(lines(caplog, "meanwhile")) == 1


def test_what_any_signal_finds_lets_the_others_send_at_once(
    sink: Sink, by_hand: ByHand, connection: runtime.Connection
) -> None:
    sink.status = 503
    by_hand.log("first")
    by_hand.exporter.send_due()
    assert by_hand.watch.pause() > 0
    sink.status = 200
    woken: list[bool] = []
    by_hand.watch.on_arrival("logs", lambda: woken.append(True))
    spans = connection._pipeline.keeping[0]
    spans.point_at(connection._target, by_hand.watch)
    fail_once(connection, 1)
    connection._pipeline.processors[0].force_flush()  # type: ignore[attr-defined]
    spans.send_now()
    assert woken == [True]
    by_hand.exporter.send_due()
    assert own(sink) == ["first"]


def test_a_site_that_takes_only_small_requests_gets_small_ones_in_order(
    sink: Sink, by_hand: ByHand, caplog: pytest.LogCaptureFixture
) -> None:
    sink.largest = 20_000
    texts = [f"{number:04}" + "x" * 500 for number in range(200)]
    texts[77] = "too large for it " + "y" * 30_000
    by_hand.log(*texts)
    by_hand.exporter.send_due()
    assert own(sink) == texts[:77] + texts[78:]
    assert by_hand.exporter.dropped == 1
    assert by_hand.exporter.waiting == 0
    (said,) = lines(caplog, sink.url)
    assert "413" in said
    # It comes back to whole batches where it may.
    sink.largest = None
    before = len(sink.asked)
    for _ in range(6):
        by_hand.log(*(f"{number}" for number in range(500)))
        by_hand.exporter.send_due()
    assert len(sink.asked) - before < 40
    assert by_hand.exporter._most == export.MAX_BATCH


def test_whoever_hands_over_telemetry_does_not_wait_for_a_site_that_hangs(
    sink: Sink, connection: runtime.Connection
) -> None:
    sink.hold.clear()
    LOG.warning("first")
    logs = connection._pipeline.processors[1]
    until(lambda: connection._pipeline.keeping[1]._in_flight)
    # More than OpenTelemetry's queue holds: it is emptied though a request waits for its answer.
    for begin in range(0, 600, 100):
        for number in range(begin, begin + 100):
            LOG.warning("waits %d", number)
        logs.force_flush()  # type: ignore[attr-defined]
    assert own(sink) == []
    sink.hold.set()
    assert connection.flush(PATIENCE)
    assert own(sink) == ["first"] + [f"waits {number}" for number in range(600)]


def test_what_has_not_arrived_at_the_end_is_said(
    sink: Sink, connection: runtime.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    sink.status = 503
    LOG.warning("first")
    connection.shutdown(PATIENCE)
    assert any("have not reached" in said for said in lines(caplog, sink.url))


def test_metrics_are_running_totals_whatever_opentelemetry_is_set_to(
    sink: Sink, resilience: Resilience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA")
    connection = runtime.connect(
        sink.url, key="k" * 20, service="planner", register=False, control=False,
        metric_interval=3600,
    )  # fmt: skip
    counter = connection.meter_provider.get_meter("test").create_counter("test.total")
    sink.status = 503
    counter.add(3)
    connection.flush(PATIENCE)
    sink.status = 200
    counter.add(4)
    assert connection.shutdown(PATIENCE)
    (value,) = [
        metric.sum.data_points[0].as_int
        for _, _, message in sink.of("/v1/metrics")
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "test.total"
    ]
    assert value == 7

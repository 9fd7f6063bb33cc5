"""What waits to be sent is bounded, and what matters outlives the rest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from breakers.runtime.backlog import Backlog, backlog_of, kind_of_log, kind_of_span, weight
from breakers.runtime.telemetry_names import EVENTS, LASTING

TRANSITION = "resilience.breaker.transition"
OUTCOMES = "resilience.breaker.outcomes"


def log(
    text: str, event_name: str | None = None, severity: SeverityNumber = SeverityNumber.INFO
) -> Any:
    inner = SimpleNamespace(
        body=text, attributes={}, event_name=event_name, severity_number=severity
    )
    return SimpleNamespace(log_record=inner)


def texts(backlog: Backlog) -> list[str]:
    return [kept.record.log_record.body for kept in backlog.take(10**6, 10**9)]


@pytest.fixture
def small() -> Backlog:
    """Room for three events, two errors and four others."""
    one = weight(log("0000"))
    return Backlog({"events": 3 * one, "errors": 2 * one, "others": 4 * one}, kind_of_log)


def test_records_come_out_in_the_order_in_which_they_came_whatever_they_are(
    small: Backlog,
) -> None:
    small.add([log("0001"), log("0002", TRANSITION)], 0)
    small.add([log("0003", severity=SeverityNumber.ERROR), log("0004")], 1)
    assert texts(small) == ["0001", "0002", "0003", "0004"]


def test_chatter_pushes_out_chatter_alone_the_oldest_first(small: Backlog) -> None:
    small.add([log("open", TRANSITION), log("down", severity=SeverityNumber.ERROR)], 0)
    dropped = small.add([log(f"{number:04}", OUTCOMES) for number in range(100)], 0)
    assert dropped == 96
    assert texts(small) == ["open", "down", "0096", "0097", "0098", "0099"]


def test_errors_do_not_push_out_transitions(small: Backlog) -> None:
    small.add([log("open", TRANSITION)], 0)
    errors = [log(f"{number:04}", severity=SeverityNumber.FATAL) for number in range(9)]
    assert small.add(errors, 0) == 7
    assert texts(small) == ["open", "0007", "0008"]


def test_what_could_not_be_sent_stays_the_oldest_and_is_dropped_first(small: Backlog) -> None:
    small.add([log(f"{number:04}") for number in range(4)], 0)
    taken = small.take(3, 10**9)
    assert small.add([log("0004"), log("0005")], 0) == 0
    assert small.put_back(taken) == 2
    assert texts(small) == ["0002", "0003", "0004", "0005"]


def test_a_batch_is_bounded_but_has_a_record(small: Backlog) -> None:
    one = weight(log("0000"))
    small.add([log(f"{number:04}") for number in range(4)], 0)
    assert len(small.take(3, 2 * one)) == 2
    assert len(small.take(3, 1)) == 1
    assert len(small.take(3, 10**9)) == 1
    assert small.take(3, 10**9) == []


def test_a_record_that_no_room_can_hold_is_dropped_and_no_other_for_it(small: Backlog) -> None:
    assert small.add([log("0001"), log("x" * 10**6), log("0002")], 0) == 1
    assert texts(small) == ["0001", "0002"]


def test_what_waits_for_too_long_can_be_given_up(small: Backlog) -> None:
    small.add([log("0001"), log("0002", TRANSITION)], 10)
    small.add([log("0003")], 20)
    assert small.drop_before(20) == 2
    assert texts(small) == ["0003"]
    assert small.add([log(f"{number:04}") for number in range(4)], 30) == 0


def test_a_record_weighs_as_much_as_its_texts() -> None:
    plain = log("")
    filled = log("body" * 100)
    filled.log_record.attributes = {"stack": "s" * 1000, "list": ("t" * 300, "u" * 300), "n": 1}
    assert 2000 <= weight(filled) - weight(plain) <= 2400


def test_spans_with_errors_have_a_room_of_their_own_and_weigh_their_stacks() -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("well"):
        pass
    with tracer.start_as_current_span("mended") as span:
        span.record_exception(OSError("x" * 5000))
    with pytest.raises(OSError), tracer.start_as_current_span("failed"):
        raise OSError("down")
    well, mended, failed = memory.get_finished_spans()
    assert [kind_of_span(each) for each in (well, mended, failed)] == ["others", "errors", "errors"]
    assert weight(mended) > weight(well) + 5000


def test_the_rooms_take_16_mib_and_hold_an_hour_of_a_busy_breaker() -> None:
    rooms = [room for signal in ("traces", "logs") for room in backlog_of(signal)._rooms.values()]
    assert sum(room.limit for room in rooms) == 16 << 20
    logs = backlog_of("logs")
    # A transition every five seconds.
    assert logs.add([log("x" * 200, TRANSITION) for _ in range(720)], 0) == 0


def test_events_that_last_are_events() -> None:
    assert set(EVENTS) >= LASTING
    assert TRANSITION in LASTING
    assert OUTCOMES not in LASTING

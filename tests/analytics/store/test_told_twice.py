"""One failure that is reported in several forms, or several times, is one error."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Sum

from analytics.choices import ErrorSource
from analytics.models import ChainPending, ErrorEvent, ErrorPattern, ErrorRollup, StackTrace
from analytics.services.ingest import store_spans
from analytics.services.ingest_logs import store_logs
from tests.analytics.store.telemetry import (
    NOW,
    STACK,
    batch,
    exception,
    exception_log,
    new_span,
    new_trace,
    resource,
    span_record,
    together,
)

pytestmark = pytest.mark.usefixtures("store")
# As Python itself ends it.
QUOTED = STACK.replace("KeyError: x", "KeyError: 'x'")


def spans(*records: Any) -> Any:
    return store_spans(batch(*records), received_at=datetime.now(UTC))


def logs(*records: Any) -> Any:
    return store_logs(batch(*records), received_at=datetime.now(UTC))


def counted() -> tuple[int, int]:
    """Errors in the counts per minute, and in the patterns."""
    minutes = ErrorRollup.objects.aggregate(n=Sum("errors"))["n"] or 0
    return minutes, ErrorPattern.objects.aggregate(n=Sum("count"))["n"] or 0


class Failure:
    """One exception, as a span event, as a log record of that span, and as a bare status."""

    def __init__(self) -> None:
        self.trace, self.span = new_trace(), new_span()
        self.event = span_record(self.trace, self.span, exceptions=[exception()])
        self.status = span_record(self.trace, self.span)
        # Log and span tell of it at moments that differ a little.
        self.log = exception_log(self.trace, self.span, at=NOW + timedelta(milliseconds=3))

    def tell(self, form: str) -> Any:
        if form == "log":
            return logs(self.log)
        return spans(self.event if form == "event" else self.status)


@pytest.mark.parametrize(
    "order",
    [
        *itertools.permutations(["event", "log"]),
        *itertools.product(["event", "log"], repeat=3),
    ],
)
def test_a_span_event_and_a_log_record_are_one_error_in_every_order(order: tuple[str]) -> None:
    failure = Failure()
    for form in order:
        failure.tell(form)
    assert ErrorEvent.objects.count() == 1
    assert counted() == (1, 1)
    assert StackTrace.objects.count() == 1


@pytest.mark.parametrize(
    "order",
    [
        ("status", "log"),
        ("log", "status"),
        ("status", "log", "log"),
        ("status", "log", "status"),
    ],
)
def test_a_log_record_takes_the_place_of_a_bare_span_status(order: tuple[str]) -> None:
    failure = Failure()
    for form in order:
        failure.tell(form)
    error = ErrorEvent.objects.get()
    assert (error.source, error.type) == (ErrorSource.LOG, "KeyError")
    assert counted() == (1, 1)
    assert ErrorPattern.objects.filter(count__gt=0).count() == 1


def test_a_status_is_replaced_once_by_two_exceptions_of_its_span() -> None:
    failure = Failure()
    failure.tell("status")
    logs(failure.log, exception_log(failure.trace, failure.span, type_="TimeoutError"))
    assert set(ErrorEvent.objects.values_list("type", flat=True)) == {"KeyError", "TimeoutError"}
    assert counted() == (2, 2)


def test_only_the_reported_span_loses_its_status() -> None:
    failure, other = Failure(), Failure()
    spans(failure.status, other.status._replace(trace_id=failure.trace))
    logs(failure.log)
    assert sorted(ErrorEvent.objects.values_list("source", flat=True)) == [
        ErrorSource.LOG,
        ErrorSource.SPAN_STATUS,
    ]


def test_different_failures_stay_different() -> None:
    failure = Failure()
    failure.tell("event")
    logs(
        exception_log(failure.trace, failure.span, message="another plan"),
        exception_log(failure.trace, new_span()),
        exception_log(new_trace(), failure.span),
        exception_log(failure.trace, failure.span, type_="IndexError"),
    )
    assert ErrorEvent.objects.count() == 5


GROWN = STACK.replace("  File", '  File "/app/main.py", line 3, in main\n    load()\n  File')


@pytest.mark.parametrize("order", list(itertools.permutations(["event", "log"])))
def test_a_stack_that_grew_on_the_way_up_and_a_bare_type_make_no_second_error(
    order: tuple[str],
) -> None:
    failure = Failure()
    failure.event = span_record(
        failure.trace, failure.span, exceptions=[exception("shop.errors.KeyError", stack=GROWN)]
    )
    for form in order:
        failure.tell(form)
    assert ErrorEvent.objects.count() == 1
    assert counted() == (1, 1)


@pytest.mark.parametrize("order", list(itertools.permutations(["event", "log"])))
def test_a_log_that_tells_the_first_argument_alone_is_told_by_its_traceback(
    order: tuple[str],
) -> None:
    failure = Failure()
    failure.event = span_record(
        failure.trace, failure.span, exceptions=[exception(message="'x'", stack=QUOTED)]
    )
    failure.log = exception_log(failure.trace, failure.span, message="x", stack=QUOTED)
    for form in order:
        failure.tell(form)
    assert ErrorEvent.objects.get().message == "'x'"


def attempts(failure: Failure, count: int) -> tuple[Any, list[Any]]:
    """A span in which the same thing failed several times, and the log records of it."""
    event = span_record(failure.trace, failure.span, exceptions=[exception()] * count)
    moments = [NOW + timedelta(milliseconds=3 + nth) for nth in range(count)]
    return event, [exception_log(failure.trace, failure.span, at=at) for at in moments]


@pytest.mark.parametrize("spans_first", [True, False])
@pytest.mark.parametrize("logged", [0, 1, 2, 3])
def test_attempts_that_fail_alike_in_one_span_are_as_many_errors(
    spans_first: bool, logged: int
) -> None:
    event, records = attempts(Failure(), 3)
    tellings = [lambda: spans(event), lambda: logs(*records[:logged]) if logged else None]
    for tell in tellings if spans_first else reversed(tellings):
        tell()
    assert ErrorEvent.objects.count() == 3
    for tell in tellings:
        tell()
    assert ErrorEvent.objects.count() == 3
    assert counted() == (3, 3)


def test_attempts_logged_one_by_one_around_their_span_are_as_many_errors() -> None:
    event, records = attempts(Failure(), 3)
    logs(records[0])
    spans(event)
    logs(records[1])
    logs(records[2])
    spans(event)
    assert ErrorEvent.objects.count() == 3
    assert counted() == (3, 3)


def test_attempts_that_only_logs_tell_of_stay_apart_however_they_are_batched() -> None:
    _, records = attempts(Failure(), 3)
    logs(records[0])
    logs(records[1], records[2])
    assert ErrorEvent.objects.count() == 3


def test_log_errors_without_a_trace_are_told_apart_by_their_moment_and_instance() -> None:
    here, there = exception_log(), exception_log()._replace(resource=resource(instance="planner-2"))
    later = exception_log(at=NOW + timedelta(seconds=1))
    assert logs(here, there, later).stored == 3
    assert ErrorEvent.objects.count() == 3
    assert logs(here, there, later).duplicates == 3
    assert ErrorEvent.objects.count() == 3


def test_an_error_is_queued_for_its_chain_with_the_trace() -> None:
    failure = Failure()
    failure.tell("log")
    assert [p.trace_id for p in ChainPending.objects.all()] == [failure.trace]


def test_a_record_that_was_handled_as_planned_is_no_error() -> None:
    logs(exception_log()._replace(severity=5))
    assert not ErrorEvent.objects.exists()


@pytest.mark.timeout(400)
def test_both_forms_at_the_same_moment_are_one_error() -> None:
    rounds = 40
    for _ in range(rounds):
        failure = Failure()
        together(lambda f=failure: f.tell("event"), lambda f=failure: f.tell("log"))
    assert ErrorEvent.objects.count() == rounds
    assert counted() == (rounds, rounds)


@pytest.mark.timeout(400)
def test_status_and_log_at_the_same_moment_leave_the_log() -> None:
    rounds = 30
    for _ in range(rounds):
        failure = Failure()
        together(lambda f=failure: f.tell("status"), lambda f=failure: f.tell("log"))
    assert set(ErrorEvent.objects.values_list("source", flat=True)) == {ErrorSource.LOG}
    assert ErrorEvent.objects.count() == rounds
    assert counted() == (rounds, rounds)


@pytest.mark.timeout(400)
def test_many_overlapping_batches_at_once_store_each_failure_once() -> None:
    """Spans and logs of the same failures, each batch in another order, on four connections."""
    failures = [Failure() for _ in range(30)]

    def told(store: Callable[..., Any], form: str, shift: int) -> Callable[[], None]:
        def work() -> None:
            turned = failures[shift:] + failures[:shift]
            for start in range(0, len(turned), 6):
                store(*(getattr(f, form) for f in turned[start : start + 6]))

        return work

    together(
        told(spans, "event", 0),
        told(logs, "log", 0),
        told(spans, "event", 12),
        told(logs, "log", 12),
    )
    assert ErrorEvent.objects.count() == len(failures)
    assert counted() == (len(failures), len(failures))


@pytest.mark.parametrize("moment", [1, 2**63, 2**64 - 1])
def test_an_event_at_an_impossible_moment_happened_when_its_span_began(moment: int) -> None:
    record = Failure().event
    event = record.events[0]._replace(time_ns=moment)
    spans(record._replace(events=[event]))
    assert ErrorEvent.objects.get().occurred_at == NOW


def test_a_span_without_an_end_failed_when_it_began() -> None:
    spans(Failure().status._replace(end_ns=0))
    assert ErrorEvent.objects.get().occurred_at == NOW


def test_a_span_that_ends_far_ahead_is_refused() -> None:
    result = spans(Failure().event._replace(end_ns=2**64 - 1))
    assert (result.stored, [r.count for r in result.rejections]) == (0, [1])

"""What is stored after its minute was judged is kept apart, in whichever form it comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from analytics.domain.posted_errors import PostedError
from analytics.models import LateFigure
from analytics.models.late import LATE_KEPT
from analytics.services.ingest import store_spans
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_posted import store_posted_errors
from analytics.services.retention import retention_apply
from tests.analytics.store.telemetry import (
    NOW,
    batch,
    exception,
    exception_log,
    new_span,
    new_trace,
    ns,
    span_record,
    together,
)

pytestmark = pytest.mark.usefixtures("store")
MINUTE = timedelta(minutes=1)
# Stored half a minute before, and after, all that counts for the minute of NOW.
IN_TIME, TOO_LATE = NOW + timedelta(seconds=140), NOW + timedelta(seconds=200)


def span(**kind: Any) -> Any:
    return batch(span_record(new_trace(), new_span(), **kind))


def late() -> list[tuple[str, timedelta, int, int, int]]:
    rows = LateFigure.objects.order_by("known_from", "kind")
    return [
        (each.kind, each.known_from - each.minute, each.calls, each.errors, sum(each.buckets))
        for each in rows
    ]


def test_what_comes_in_time_is_in_the_counts_alone() -> None:
    store_spans(span(exceptions=[exception()]), received_at=IN_TIME)
    store_logs(batch(exception_log()), received_at=IN_TIME)
    assert late() == []


def test_late_calls_and_errors_of_an_arrival_are_one_row_each() -> None:
    store_spans(span(failed=False), received_at=IN_TIME)
    store_spans(span(exceptions=[exception()]), received_at=TOO_LATE)
    store_spans(span(exceptions=[exception(message="another")]), received_at=TOO_LATE)
    store_logs(batch(exception_log()), received_at=TOO_LATE)
    store_spans(span(failed=False), received_at=TOO_LATE + 10 * MINUTE)
    assert late() == [
        ("calls", 2 * MINUTE, 2, 2, 2),
        ("errors", 2 * MINUTE, 0, 3, 0),
        ("calls", 12 * MINUTE, 1, 0, 1),
    ]


def test_the_longest_of_the_timely_calls_is_known_beside_the_longest_of_all() -> None:
    for milliseconds, received in ((20, IN_TIME), (900, TOO_LATE), (40, IN_TIME), (70, TOO_LATE)):
        record = span_record(new_trace(), new_span(), failed=False)
        took = record._replace(end_ns=record.start_ns + milliseconds * 1_000_000)
        store_spans(batch(took), received_at=received)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT calls, duration_max_ns, prompt_max_ns FROM analytics_callrollup "
            "WHERE operation = ''"
        )
        assert cursor.fetchall() == [(4, 900_000_000, 40_000_000)]


def test_an_error_that_is_told_better_late_is_no_further_one() -> None:
    trace, own = new_trace(), new_span()
    store_spans(batch(span_record(trace, own)), received_at=IN_TIME)
    store_logs(batch(exception_log(trace, own)), received_at=TOO_LATE)
    # The log record takes the place of the mere status.
    assert [(row.kind, row.errors) for row in LateFigure.objects.all()] == [("errors", 0)]


def test_posted_errors_can_be_late_too() -> None:
    told = PostedError("", "planner", "", "", "E", "m", "", 17, ns(NOW), "", "", "", {})
    store_posted_errors([told], received_at=TOO_LATE)
    assert late() == [("errors", 2 * MINUTE, 0, 1, 0)]


def test_late_batches_at_once_add_up() -> None:
    def send(number: int) -> None:
        minutes = range(8) if number % 2 else reversed(range(8))
        spans = [
            span_record(
                new_trace(), new_span(), at=NOW - each * MINUTE,
                exceptions=[exception(message=str(uuid4()))],
            )
            for each in minutes
        ]  # fmt: skip
        store_spans(batch(*spans), received_at=TOO_LATE)

    together(*(lambda n=n: send(n) for n in range(4)))  # type: ignore[misc]
    assert [(row.calls, row.errors) for row in LateFigure.objects.filter(kind="calls")] == [
        (4, 4)
    ] * 8
    assert [row.errors for row in LateFigure.objects.filter(kind="errors")] == [4] * 8


@pytest.mark.usefixtures("present_again")
def test_it_is_forgotten_once_nobody_can_ask_for_it() -> None:
    store_spans(span(), received_at=TOO_LATE)
    known: datetime = LateFigure.objects.first().known_from  # type: ignore[union-attr]
    retention_apply(now=known + LATE_KEPT)
    assert LateFigure.objects.exists()
    retention_apply(now=known + LATE_KEPT + MINUTE)
    assert not LateFigure.objects.exists()

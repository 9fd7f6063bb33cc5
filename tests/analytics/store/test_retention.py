"""Retention: old partitions and rows go, young ones stay, and what is in use waits."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections, transaction

from analytics.models import (
    BatchReceipt,
    ErrorEvent,
    LogRecord,
    LogTemplate,
    MetricSeries,
    MetricStream,
    PostedId,
    Span,
    StackTrace,
)
from analytics.models import partitions as tables
from analytics.services.ingest import store_spans
from analytics.services.ingest_logs import store_logs
from analytics.services.retention import retention_apply
from resilience_site.config import config
from resilience_site.core import partitions, pruning
from tests.analytics.store.telemetry import (
    batch,
    exception,
    exception_log,
    new_span,
    new_trace,
    span_record,
    together,
)

pytestmark = pytest.mark.usefixtures("present_again")


def now() -> datetime:
    return datetime.now(UTC)


def fail(at: datetime) -> None:
    """Store one failed span and, of another failure, one log record of that moment."""
    span = span_record(new_trace(), new_span(), at=at, exceptions=[exception()])
    assert store_spans(batch(span), received_at=now()).stored == 1
    record = exception_log(new_trace(), new_span(), at=at)
    assert store_logs(batch(record), received_at=now()).stored == 1


def test_old_partitions_go_and_young_ones_stay() -> None:
    fail(now() - timedelta(days=29))
    fail(now())
    later = now() + timedelta(days=4)
    dropped = retention_apply(now=later).partitions
    assert any(name.startswith("analytics_errorevent_") for name in dropped)
    assert ErrorEvent.objects.count() == 2
    for table in (tables.ERRORS, tables.CALL_ROLLUPS, tables.LOG_ROLLUPS):
        oldest = later - table.retention()
        assert all(
            table.start_of(name) + table.width > oldest for name in partitions.existing(table)
        )
    # Spans and log records are kept for a shorter time: the young ones have gone by then, too.
    assert not Span.objects.exists()
    assert not LogRecord.objects.exists()


def test_a_second_run_finds_nothing_more() -> None:
    fail(now() - timedelta(days=29))
    later = now() + timedelta(days=4)
    assert retention_apply(now=later).partitions
    assert retention_apply(now=later).partitions == []


def test_a_shorter_retention_drops_more() -> None:
    fail(now() - timedelta(days=5))
    retention_apply(now=now())
    assert ErrorEvent.objects.count() == 2
    with config.override(error_retention_days=2):
        retention_apply(now=now())
    assert ErrorEvent.objects.count() == 0


def test_rows_come_in_again_where_another_process_dropped_the_partition() -> None:
    at = now() - timedelta(days=29)
    fail(at)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {tables.ERRORS.name(tables.ERRORS.floor(at))}")
        cursor.execute(f"DROP TABLE {tables.LOG_RECORDS.name(tables.LOG_RECORDS.floor(at))}")
    fail(at)
    assert ErrorEvent.objects.count() == 2


class Reader:
    """Somebody who reads a table in a long transaction, on a connection of their own."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._reading, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {self._table}")
                self._reading.set()
                self._done.wait(120)
        finally:
            connections.close_all()

    def __enter__(self) -> Reader:
        self._thread.start()
        assert self._reading.wait(60)
        return self

    def __exit__(self, *_: Any) -> None:
        self._done.set()
        self._thread.join(60)


def test_a_partition_in_use_is_left_for_the_next_run_and_the_others_go() -> None:
    for days in (29, 28, 27):
        fail(now() - timedelta(days=days))
    later = now() + timedelta(days=31)
    names = partitions.existing(tables.ERRORS)
    with Reader(names[0]):
        dropped = retention_apply(now=later).partitions
        assert names[0] not in dropped
        assert any(name.startswith("analytics_callrollup_") for name in dropped)
        # New errors come in all the while.
        fail(now())
    assert names[0] in retention_apply(now=later).partitions
    assert partitions.existing(tables.ERRORS) == [
        name for name in names if tables.ERRORS.start_of(name) + timedelta(days=31) > later
    ]


def test_late_rows_make_the_partition_again_once_nobody_reads_what_was_dropped() -> None:
    at = now() - timedelta(days=29)
    fail(at)
    name = tables.ERRORS.name(tables.ERRORS.floor(at))
    with Reader(name):
        assert name not in retention_apply(now=now() + timedelta(days=2)).partitions
        partitions.forget_known()
        # Nothing is lost: the sender is told to come again.
        with pytest.raises(OperationalError):
            fail(at)
    fail(at)
    assert ErrorEvent.objects.count() == 2


def test_two_workers_at_once_do_the_work_once() -> None:
    for days in (29, 28):
        fail(now() - timedelta(days=days))
    later = now() + timedelta(days=31)
    results = together(*[lambda: retention_apply(now=later).partitions] * 3)
    dropped = [name for result in results for name in result]
    assert dropped
    assert len(dropped) == len(set(dropped))


def test_small_tables_lose_their_old_rows_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_BATCH", 2)
    at = now()
    ages = [timedelta(0), *[timedelta(days=40)] * 5]
    for age in ages:
        seen = at - age
        StackTrace.objects.create(
            hash=uuid4(), language="python", raw="", frames=[], first_seen=seen, last_seen=seen
        )
        LogTemplate.objects.create(
            id=uuid4(), service="s", template="t", first_seen=seen, last_seen=seen
        )
        MetricSeries.objects.create(
            id=uuid4(), service="s", name="n", kind="gauge", temporality=0, monotonic=False,
            attributes={}, first_seen=seen, last_seen=seen,
        )  # fmt: skip
        MetricStream.objects.create(
            series_id=uuid4(), writer="w", service="s", start_ns=0, time_ns=0, value=0, count=0,
            updated_at=seen,
        )  # fmt: skip
        BatchReceipt.objects.create(digest=uuid4(), received_at=seen)
        PostedId.objects.create(id=uuid4(), error_id=uuid4(), received_at=seen)
    rows = retention_apply(now=at).rows
    models = (StackTrace, LogTemplate, MetricSeries, MetricStream, BatchReceipt, PostedId)
    assert {rows[model._meta.db_table] for model in models} == {5}
    assert [model.objects.count() for model in models] == [1] * 6


def test_partitions_are_made_ahead_of_their_time() -> None:
    with connection.cursor() as cursor:
        for table in (tables.ERRORS, tables.LOG_RECORDS):
            for name in partitions.existing(table):
                cursor.execute(f"DROP TABLE {name}")
    partitions.forget_known()
    partitions.ensure_ahead(now())
    hours = [tables.LOG_RECORDS.start_of(n) for n in partitions.existing(tables.LOG_RECORDS)]
    assert min(hours) <= now() <= max(hours) + timedelta(hours=1)
    assert max(hours) - now() > timedelta(minutes=59)

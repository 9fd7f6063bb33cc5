"""The state of ingest as the front page shows it, the flusher, and the schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError, connection
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from analytics.choices import Outcome
from analytics.domain.telemetry import Decoded, Rejection
from analytics.ingest import flusher
from analytics.models import ChainPending, EdgePending, IngestRollup
from analytics.selectors.ingest_status import ingest_status
from analytics.services import ingest_counters
from analytics.services.ingest_counters import record_refusal
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_metrics import store_metrics
from analytics.services.rollups import write_ingest_counts
from resilience_site.core import background, partitions
from resilience_site.core.taskqueue import SHORTEST_EXPIRY
from resilience_site.schedule import BEAT_SCHEDULE
from tests.analytics.store.telemetry import batch, log, new_trace, point

pytestmark = pytest.mark.usefixtures("store")


def now() -> datetime:
    return datetime.now(UTC)


def test_what_was_stored_known_and_refused_is_counted_by_signal() -> None:
    records = [log("one", trace=new_trace()), log("two")]
    store_logs(Decoded(records, [Rejection(3, "no span id")]), received_at=now())
    store_logs(batch(*records), received_at=now())
    store_metrics(batch(point(value=1)), received_at=now())
    record_refusal("logs", "wrong key")
    record_refusal("logs", "too large", items=0)
    record_refusal("logs", "wrong key")
    ingest_counters.flush_refusals()
    status = ingest_status(now=now())
    counts = status.windows[5]["logs"]
    assert (counts.accepted, counts.stored, counts.duplicates) == (4, 2, 2)
    assert (counts.rejected, counts.rejected_total) == ({"no span id": 3}, 3)
    assert counts.refused_requests == {"wrong key": 2, "too large": 1}
    assert counts.requests == 5
    assert status.windows[5]["metrics"].stored == 1
    assert status.windows[60]["traces"].accepted == 0


def test_windows_hold_their_minutes() -> None:
    at = now()
    for age in (0, 4, 6, 59, 61):
        minute = (at - timedelta(minutes=age)).replace(second=0, microsecond=0)
        partitions.ensure_ahead(minute)
        write_ingest_counts([(minute, "logs", str(Outcome.STORED), "", 10 ** age.bit_length(), 1)])
    status = ingest_status(now=at)
    assert status.windows[5]["logs"].requests == 2
    assert status.windows[60]["logs"].requests == 4


def test_nothing_waits_in_an_idle_store() -> None:
    status = ingest_status(now=now())
    assert (status.chains_age, status.edges_age) == (0.0, 0.0)


def test_the_age_of_what_waits_is_told() -> None:
    at = now()
    for due in (at + timedelta(seconds=30), at - timedelta(seconds=42)):
        ChainPending.objects.create(
            trace_id=new_trace(), correlation_id="", occurred_at=at, created_at=at, due_at=due
        )
    EdgePending.objects.create(
        trace_id=new_trace(), parent_span_id="", service="s", started_at=at, duration_ns=1,
        failed=False, created_at=at - timedelta(seconds=9),
    )  # fmt: skip
    status = ingest_status(now=at)
    assert (status.chains_age, status.edges_age) == (42.0, 9.0)
    assert status.oldest_age >= 42.0


# --- the flusher ------------------------------------------------------------------------------


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - another thread makes it true
            await asyncio.sleep(0.01)


@pytest.fixture
def every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "INTERVAL_SECONDS", 0.01)


def refused() -> int:
    return sum(row.requests for row in IngestRollup.objects.all())


@pytest.mark.usefixtures("every_moment")
async def test_refusals_are_written_in_the_background_and_once_more_at_the_end() -> None:
    flusher.start()
    record_refusal("traces", "wrong key")
    await until(lambda: not ingest_counters._pending)
    record_refusal("traces", "wrong key")
    await flusher.stop()
    assert await asyncio.to_thread(_closing(refused)) == 2
    assert flusher.NAME not in {status.name for status in background.statuses()}


@pytest.mark.usefixtures("every_moment")
async def test_refusals_wait_in_memory_while_the_store_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[int] = []

    def down() -> int:
        tries.append(1)
        raise OperationalError("connection refused")

    with monkeypatch.context() as outage:
        outage.setattr(flusher, "flush_refusals", down)
        flusher.start()
        record_refusal("traces", "wrong key")
        await until(lambda: len(tries) >= 3)
        (status,) = [s for s in background.statuses() if s.name == flusher.NAME]
        assert (status.state, status.restarts) == ("running", 0)
    await until(lambda: not ingest_counters._pending)
    await flusher.stop()
    assert await asyncio.to_thread(_closing(refused)) == 1


def _closing(read: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        try:
            return read()
        finally:
            connection.close()

    return run


# --- the schedule -----------------------------------------------------------------------------


def test_scheduled_work_does_not_pile_up_and_its_housekeeping_exists() -> None:
    current_app.loader.import_module("analytics.tasks")
    scheduler = DatabaseScheduler(current_app, lazy=True)
    scheduler.update_from_dict(BEAT_SCHEDULE)
    for name, entry in BEAT_SCHEDULE.items():
        stored = PeriodicTask.objects.get(name=name)
        assert (stored.task, stored.enabled) == (entry["task"], True)
        assert 0 < stored.expire_seconds <= max(entry["schedule"], SHORTEST_EXPIRY)
        assert scheduler.schedule[name].options["expires"] == stored.expire_seconds
    names = {entry["task"] for entry in BEAT_SCHEDULE.values()}
    assert {name for name in names if name in current_app.tasks} >= {
        "analytics.tasks.partitions_ahead",
        "analytics.tasks.metric_hours_sum",
        "analytics.tasks.retention_apply",
    }


@pytest.mark.parametrize("name", ["partitions_ahead", "metric_hours_sum", "retention_apply"])
def test_a_task_may_run_twice(name: str) -> None:
    current_app.loader.import_module("analytics.tasks")
    store_metrics(batch(point(value=1)), received_at=now())
    task = current_app.tasks[f"analytics.tasks.{name}"]
    assert task.apply().successful()
    assert task.apply().successful()

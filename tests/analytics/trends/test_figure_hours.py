"""How far errors reach and how full resources are, when what they were told from is gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from analytics.models import CorrelationChain, FigureHour
from analytics.models.partitions import CHAINS, FIGURE_HOURS, hour_retention
from analytics.selectors import resources
from analytics.selectors.trends import trend_read
from analytics.services.arrivals import Arrival
from analytics.services.chains import chains_write
from analytics.services.figure_hours import (
    chain_hours_sum,
    saturation_hours_begin,
    saturation_hours_sum,
)
from analytics.services.ingest_metrics import store_metrics
from analytics.services.metric_hours import metric_hours_sum
from analytics.services.retention import retention_apply
from resilience_site.core import partitions
from resilience_site.core.timerange import TimeRange
from tests.analytics.forecasts.gauges import gauge
from tests.analytics.store.telemetry import batch, point

pytestmark = pytest.mark.usefixtures("store")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
THIS_HOUR = NOW.replace(minute=0)
_numbers = count()

Points = dict[datetime, tuple[float | None, int]]


def read(
    metric: str, length: timedelta, service: str = "", step: timedelta = HOUR, now: datetime = NOW
) -> Points:
    """The steps of a trend that have something to tell."""
    within = TimeRange(now - length, now)
    found = trend_read(metric, within, now=now, service=service, step=step)
    return {each.at: (each.value, each.count) for each in found.points if each.count}


def chain(
    at: datetime, *services: str, key: UUID | None = None, written: datetime = NOW,
    lasted: timedelta = timedelta(seconds=1),
) -> CorrelationChain:  # fmt: skip
    """One that began at a moment and crossed services."""
    return CorrelationChain(
        id=key or uuid4(), opened_on=_opened(key) if key else at.date(), kind="trace",
        trace_id=f"{next(_numbers):032x}", correlation_id="", root_cause_id=uuid4(),
        root_cause_service=services[0], root_cause_type="E", root_cause_message="m",
        root_cause_operation="", services=list(services), error_count=1, span_count=1, gap_count=0,
        started_at=at, ended_at=at + lasted, updated_at=written,
    )  # fmt: skip


def write(*chains: CorrelationChain) -> None:
    """Store them as the builder of chains does."""
    starts = [each.started_at for each in chains]
    partitions.ensure(CHAINS, min(starts), max(starts))
    chains_write(chains, Arrival(max(each.updated_at for each in chains)))


def _opened(key: UUID) -> date:
    return CorrelationChain.objects.get(id=key).opened_on


def history(written: datetime = NOW) -> None:
    """Chains of twenty days: every seventh hour one of the planner alone, and every fifth one that
    reached graph and the gateway as well."""
    starts = {back: THIS_HOUR - back * HOUR + timedelta(minutes=back % 60) for back in range(480)}
    write(
        *(chain(at, "planner", written=written) for back, at in starts.items() if back % 7 == 1),
        *(
            chain(at, "graph", "planner", "gateway", written=written)
            for back, at in starts.items()
            if back % 5 == 1
        ),
    )


@pytest.mark.parametrize("service", ["", "planner", "gateway"])
@pytest.mark.parametrize("step", [HOUR, 6 * HOUR, DAY])
def test_how_far_errors_reach_outlives_the_chains(service: str, step: timedelta) -> None:
    history()
    before = read("impact_radius", 21 * DAY, service, step)
    assert len(before) >= 20
    assert len(set(before.values())) > 1 or (service, step) == ("gateway", HOUR)
    chain_hours_sum(now=NOW)
    assert read("impact_radius", 21 * DAY, service, step) == before
    CorrelationChain.objects.filter(started_at__lt=NOW - 2 * DAY).delete()
    assert read("impact_radius", 21 * DAY, service, step) == before


@pytest.mark.usefixtures("present_again")
def test_the_hours_outlive_the_retention_of_chains_and_gauges_by_weeks() -> None:
    began = THIS_HOUR - 2 * DAY
    write(chain(began, "graph", "planner"))
    gauge("planner", "system.memory.utilization", began + HOUR, [0.7], state="used")
    chain_hours_sum(now=NOW)
    saturation_hours_begin(now=NOW)
    later = NOW + 80 * DAY
    retention_apply(now=later)
    assert not CorrelationChain.objects.exists()
    assert read("impact_radius", 90 * DAY, now=later) == {began: (2.0, 1)}
    assert read("saturation", 90 * DAY, now=later) == {began: (0.7, 1)}
    retention_apply(now=NOW + hour_retention())
    assert not FigureHour.objects.exists()


def test_a_chain_that_turns_out_to_have_begun_earlier_counts_in_that_hour_alone() -> None:
    late, early = THIS_HOUR - 5 * HOUR, THIS_HOUR - 7 * HOUR
    moved = chain(late, "planner", written=NOW - HOUR)
    write(moved)
    chain_hours_sum(now=NOW - HOUR)
    assert read("impact_radius", DAY) == {late: (1.0, 1)}
    write(chain(early, "graph", "planner", key=moved.id, lasted=2 * HOUR))
    # Something newer, so that the moved chain is told from the hours.
    write(chain(THIS_HOUR, "planner"))
    chain_hours_sum(now=NOW)
    assert FigureHour.objects.filter(hour=early, service="").exists()
    assert read("impact_radius", DAY) == {early: (2.0, 1), THIS_HOUR: (1.0, 1)}


def test_only_hours_in_which_chains_changed_are_summed_up_again() -> None:
    history(written=NOW - HOUR)
    assert chain_hours_sum(now=NOW) >= len(read("impact_radius", 21 * DAY))
    rows = dict(FigureHour.objects.values_list("id", "hour"))
    later = NOW + HOUR
    assert chain_hours_sum(now=later) == 0
    at = THIS_HOUR - 3 * DAY
    write(chain(at, "planner", written=later))
    # The hour before as well: a chain that begins with the hour may have begun before it.
    assert chain_hours_sum(now=later) == 2
    kept = {key: hour for key, hour in rows.items() if hour not in (at, at - HOUR)}
    assert kept.items() <= dict(FigureHour.objects.values_list("id", "hour")).items()


def test_hours_of_which_chains_were_dropped_already_stay_as_they_are() -> None:
    at = THIS_HOUR - 20 * DAY
    write(chain(at, "graph", "planner", "gateway"), chain(NOW, "planner"))
    chain_hours_sum(now=NOW)
    CorrelationChain.objects.filter(started_at=at).delete()
    later = NOW + 11 * DAY
    write(chain(at, "planner", written=later))
    chain_hours_sum(now=later)
    assert read("impact_radius", 40 * DAY, now=later) == {at: (3.0, 1), THIS_HOUR: (1.0, 1)}


@pytest.mark.parametrize("service", ["", "planner"])
@pytest.mark.parametrize("step", [HOUR, 6 * HOUR, DAY])
def test_how_full_resources_were_outlives_the_hours_of_their_gauges(
    service: str, step: timedelta
) -> None:
    day = [hour % 24 / 24 for hour in range(96)]
    gauge("planner", "system.memory.utilization", NOW, day, state="used")
    gauge("graph", "system.memory.utilization", NOW, [0.9], state="used")
    # The limit is told once, half a day before the last of what it is the limit of.
    gauge(
        "planner",
        "resilience.bulkhead.active",
        NOW,
        [9.5, 2.0, 2.0],
        resilience__bulkhead__name="a",
    )
    gauge(
        "planner",
        "resilience.bulkhead.limit",
        NOW - 3 * HOUR,
        [10.0],
        resilience__bulkhead__name="a",
    )
    before = read("saturation", 5 * DAY, service, step)
    assert len(before) >= 4
    saturation_hours_begin(now=NOW)
    # As after each batch of minutes: one hour again, in which no limit was told.
    saturation_hours_sum([THIS_HOUR - HOUR], now=NOW)
    assert FigureHour.objects.get(hour=THIS_HOUR - HOUR, service="planner").count == 2
    assert read("saturation", 5 * DAY, service, step) == before
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM analytics_metricrolluphour WHERE hour < %s", [NOW - 2 * DAY])
    assert read("saturation", 5 * DAY, service, step) == before


def test_no_service_lacks_its_hours_for_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "MOST", 3)
    names = ["a", "b", "c", "d"]
    for place, service in enumerate(names, 1):
        for disk in range(3 if service == "b" else 1):
            gauge(service, "system.filesystem.utilization", NOW, [place / 10], mount=f"/{disk}")
    saturation_hours_begin(now=NOW)
    found = FigureHour.objects.filter(hour=THIS_HOUR - HOUR)
    assert {row.service: (row.value, row.count) for row in found} == {
        "a": (0.1, 1), "b": (0.2, 3), "c": (0.3, 1), "d": (0.4, 1), "": (0.4, 6),
    }  # fmt: skip


class Stopped(Exception):
    """The worker was stopped."""


def stop_at_second(task: Callable[..., Any]) -> None:
    """Let a task write once, and no further."""
    written = count(1)

    def wrapper(inner: Callable[..., Any], sql: Any, *rest: Any) -> Any:
        if "INSERT INTO analytics_figurehour" in str(sql) and next(written) > 1:
            raise Stopped
        return inner(sql, *rest)

    with pytest.raises(Stopped), connection.execute_wrapper(wrapper):
        task(now=NOW)


def statements(work: Callable[[], Any]) -> list[tuple[str, int]]:
    """What was asked of the database, and inside how many transactions."""
    made: list[tuple[str, int]] = []

    def wrapper(inner: Callable[..., Any], sql: Any, *rest: Any) -> Any:
        text = sql if isinstance(sql, str) else sql.as_string(None)
        depth = len(connection.savepoint_ids) + 1 if connection.in_atomic_block else 0
        made.append((text, depth))
        return inner(sql, *rest)

    with connection.execute_wrapper(wrapper):
        work()
    return made


def test_chains_of_many_days_are_summed_up_day_by_day_and_nothing_is_missed_after_a_stop() -> None:
    starts = [THIS_HOUR - back * DAY + HOUR / 2 for back in (9, 7, 5)]
    write(*(chain(at, "planner") for at in starts))
    stop_at_second(chain_hours_sum)
    hours = [at - HOUR / 2 for at in starts]
    assert FigureHour.objects.get(service="").hour == hours[0]
    assert read("impact_radius", 10 * DAY) == dict.fromkeys(hours, (1.0, 1))
    assert chain_hours_sum(now=NOW + HOUR) == 3
    assert sorted(FigureHour.objects.filter(service="").values_list("hour", flat=True)) == hours
    assert chain_hours_sum(now=NOW + 2 * HOUR) == 0


def test_gauges_of_many_days_are_summed_up_day_by_day_and_nothing_is_missed_after_a_stop() -> None:
    gauge("planner", "system.memory.utilization", NOW, [0.5] * 60, state="used")
    before = read("saturation", 5 * DAY)
    stop_at_second(saturation_hours_begin)
    done = FigureHour.objects.filter(service="").count()
    assert 0 < done < 60
    saturation_hours_begin(now=NOW)
    assert FigureHour.objects.filter(service="").count() == 60
    assert read("saturation", 5 * DAY) == before
    again = statements(lambda: saturation_hours_begin(now=NOW))
    assert not [text for text, _ in again if "INSERT" in text]


@pytest.mark.parametrize("task", [chain_hours_sum, metric_hours_sum])
def test_partitions_are_made_before_the_transaction_that_fills_them(
    task: Callable[..., Any],
) -> None:
    at = THIS_HOUR - 2 * DAY
    write(chain(at + HOUR / 2, "planner"))
    used = point(
        "system.memory.utilization", 0.5, kind="gauge", at=at, attributes={"state": "used"}
    )
    store_metrics(batch(used), received_at=datetime.now(UTC))
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {FIGURE_HOURS.name(FIGURE_HOURS.floor(at))}")
    partitions.forget_known()
    made = statements(lambda: task(now=NOW))
    depths = [depth for text, depth in made if 'PARTITION OF "analytics_figurehour"' in text]
    # In a transaction of its own.
    assert depths == [1]
    assert FigureHour.objects.filter(hour=at, service="planner").exists()

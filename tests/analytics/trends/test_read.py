"""The trend of any figure over any range, and what is said of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from analytics.models import ErrorTotal
from analytics.models.partitions import hour_retention
from analytics.selectors.trend_series import TREND_METRICS
from analytics.selectors.trends import Trend, trend_read
from analytics.services.call_hours import call_hours_sum
from health.domain.reliability import Failure, joined, reliability
from health.models import Outage
from health.selectors.failures import NONE, failures_by_step
from resilience_site.config import config
from resilience_site.core import keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from resilience_site.core.timerange import TimeRange
from tests.analytics.figures.history import MINUTE, write_calls, write_errors
from tests.analytics.forecasts.gauges import gauge
from tests.health.world import World

pytestmark = pytest.mark.usefixtures("store")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)


def read(metric: str, length: timedelta, **more: object) -> Trend:
    return trend_read(metric, TimeRange(NOW - length, NOW), now=NOW, **more)  # type: ignore[arg-type]


def weeks(days: int = 15) -> None:
    """Calls follow the day, and are doubled from three days ago on."""
    begin = NOW.replace(minute=0) - days * DAY

    def hour(at: datetime) -> tuple[int, int, float]:
        rhythm = 1 + 0.3 * math.sin(2 * math.pi * at.hour / 24)
        grown = 2 if at >= NOW - 3 * DAY else 1
        return round(3600 * rhythm * grown) + at.day % 3, 5, 40.0

    write_calls("planner", begin, NOW.replace(minute=0), hour, every=HOUR)


def test_a_rhythm_a_change_and_the_week_before_are_told() -> None:
    weeks()
    found = read("traffic", 7 * DAY, service="planner", step=HOUR)
    assert found.rhythm is not None
    assert found.rhythm.seconds == 86_400
    assert found.changes is not None
    assert len(found.changes) == 1
    assert abs(found.changes[0].at - (NOW - 3 * DAY)) <= 2 * HOUR
    assert found.changes[0].after == pytest.approx(2 * found.changes[0].before, rel=0.2)
    assert found.week is not None
    assert found.week.ratio == pytest.approx(3 / 7, abs=0.05)
    assert found.drift is not None
    assert found.missing == {}


def test_five_minutes_are_shown_and_nothing_is_concluded_from_them() -> None:
    write_calls("planner", NOW - 10 * MINUTE, NOW, lambda at: (60, 3, 20.0))
    found = read("error_rate", 5 * MINUTE)
    assert [point.value for point in found.points] == [0.05] * 5
    assert (found.changes, found.rhythm, found.week, found.drift) == (None, None, None, None)
    assert found.missing["changes"] == "not enough data: needs 12 steps, has 5"
    assert set(found.missing) == {"changes", "rhythm", "week", "drift"}


@pytest.mark.parametrize("metric", sorted(TREND_METRICS))
@pytest.mark.parametrize("length", [5 * MINUTE, DAY, 90 * DAY])
def test_every_figure_has_a_trend_without_any_data(metric: str, length: timedelta) -> None:
    found = read(metric, length)
    assert found.points
    assert {point.value for point in found.points} <= {None, 0.0}


def test_patterns_are_counted_by_step() -> None:
    for each in range(3):
        write_errors("planner", uuid4(), [(NOW - HOUR * 5, 2), (NOW - HOUR * (6 + each), 1)])
    found = read("patterns", DAY, service="planner", step=HOUR)
    values = {point.at: point.value for point in found.points if point.value}
    assert values[NOW.replace(minute=0) - 5 * HOUR] == 3
    assert values[NOW.replace(minute=0) - 7 * HOUR] == 1


def counted(length: timedelta, step: timedelta, service: str = "") -> dict[datetime, float]:
    found = read("patterns", length, step=step, service=service)
    return {point.at: point.value for point in found.points if point.value is not None}


@pytest.mark.parametrize("service", ["", "planner"])
@pytest.mark.parametrize("hours", [1, 2, 3, 6, 12, 24])
def test_patterns_of_long_steps_are_distinct_and_outlive_their_minutes(
    service: str, hours: int
) -> None:
    for each in range(4):
        seen = range(1, 70, each + 2)
        name = "planner" if each else "graph"
        write_errors(name, uuid4(), [(NOW - hour * HOUR, 1) for hour in seen])
    before = counted(3 * DAY, hours * HOUR, service)
    assert max(before.values()) == (3 if service else 4) or hours == 1
    call_hours_sum(now=NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM analytics_errorrollup WHERE minute < %s",
            [NOW.replace(minute=0) - 2 * HOUR],
        )
    assert counted(3 * DAY, hours * HOUR, service) == before


def test_errors_that_are_moved_away_leave_their_pattern_without_any() -> None:
    pattern, other = uuid4(), uuid4()
    write_errors("planner", pattern, [(NOW - 30 * HOUR, 2), (NOW - 40 * HOUR, 2)])
    write_errors("planner", other, [(NOW - HOUR, 1), (NOW - 30 * HOUR, 2)])
    call_hours_sum(now=datetime.now(UTC))
    write_errors("planner", pattern, [(NOW - 30 * HOUR, -2)])
    write_errors("planner", other, [(NOW - 30 * HOUR, -2)])
    call_hours_sum(now=datetime.now(UTC))
    assert sum(counted(3 * DAY, HOUR).values()) == 2
    errors = read("errors", 3 * DAY, step=HOUR)
    assert sum(point.value or 0 for point in errors.points) == 3


def test_totals_are_forgotten_with_their_hours() -> None:
    write_errors("planner", uuid4(), [(NOW - DAY, 1)])
    call_hours_sum(now=NOW)
    assert ErrorTotal.objects.filter(service="").count() == 5
    write_errors("planner", uuid4(), [(NOW, 1)])
    call_hours_sum(now=NOW + hour_retention() + DAY)
    assert not ErrorTotal.objects.filter(at__lt=NOW - 2 * HOUR, hours=1).exists()


def test_the_fullest_resource_is_the_saturation() -> None:
    gauge("planner", "system.memory.utilization", NOW, [0.4] * 30, state="used")
    gauge("planner", "resilience.bulkhead.active", NOW, [2.0, 9.0], resilience__bulkhead__name="a")
    gauge("planner", "resilience.bulkhead.limit", NOW, [10.0], resilience__bulkhead__name="a")
    found = read("saturation", DAY, service="planner", step=HOUR)
    assert [point.value for point in found.points[-4:]] == [0.4, 0.4, 0.9, None]


def test_repairs_and_availability_come_from_the_health_of_services() -> None:
    world = World(start=NOW - DAY)
    check = world.check("db", service="planner", critical=True)
    begin = (NOW - 4 * HOUR).replace(minute=0)
    Outage.objects.create(
        check_row=check, started_at=begin, confirmed_at=begin, announce_at=begin,
        ended_at=begin + 12 * MINUTE,
    )  # fmt: skip
    mttr = {p.at: p for p in read("mttr", DAY, step=HOUR).points}
    assert (mttr[begin].value, mttr[begin].count) == (720.0, 1)
    assert read("mttr", DAY, service="other", step=HOUR).points[-4].value is None
    mtbf = {p.at: p for p in read("mtbf", DAY, service="planner", step=HOUR).points}
    assert mtbf[begin].count == 1


@pytest.mark.parametrize("seed", range(5))
def test_failures_are_put_together_as_the_domain_says(seed: int) -> None:
    """Outages that overlap, touch, lie in one another, go on or do not count."""
    chance = random.Random(seed)
    world, first = World(start=NOW - 30 * DAY), NOW.replace(minute=0) - 4 * DAY
    failures: dict[str, list[Failure]] = {"a": [], "b": []}
    for service, own in failures.items():
        for name in ("one", "two", "three"):
            check = world.check(f"{service}-{name}", service=service, critical=name != "three")
            at = first - DAY
            for _ in range(40):
                at += chance.choice([0, 1, 20, 90, 300]) * MINUTE
                ended_at = at + chance.choice([0, 1, 20, 90, 300]) * MINUTE
                held_by = chance.choice(["", "", "flapping", "maintenance", "unreachable"])
                Outage.objects.create(
                    check_row=check, started_at=at, confirmed_at=at, announce_at=at,
                    ended_at=ended_at, held_by=held_by,
                )  # fmt: skip
                own += [Failure(at, ended_at, held_by)] * (name != "three")
                at = ended_at
    lasting = Outage.objects.filter(started_at__gte=NOW - DAY, check_row__critical=True).first()
    if lasting is not None:
        Outage.objects.filter(id=lasting.id).update(ended_at=None, held_by="")
        own = failures[lasting.check_row.service_id]
        own.remove(Failure(lasting.started_at, lasting.ended_at, lasting.held_by))
        own.append(Failure(lasting.started_at, None))
    found = failures_by_step(["a", "b"], first, NOW, HOUR)
    together = [
        each
        for own in failures.values()
        for each in joined(f for f in own if f.ended_at is None or f.ended_at >= first)
    ]
    for number in range((NOW - first) // HOUR + 1):
        at = first + number * HOUR
        said = reliability(together, at, min(at + HOUR, NOW), 0.0)
        each = found.get(at, NONE)
        assert (each.failures, each.repaired) == (said.failures, said.repaired), at
        assert each.mttr == (None if said.mttr is None else pytest.approx(said.mttr)), at
    assert sum(each.failures for each in found.values()) > 20


def test_with_trends_switched_off_the_points_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    weeks(8)
    monkeypatch.setattr(config, "error_trend_analysis", False)
    found = read("traffic", 7 * DAY)
    assert any(point.value for point in found.points)
    assert found.changes is None
    assert found.missing["changes"] == "switched off by ERROR_TREND_ANALYSIS"


@pytest.fixture
def ask() -> Callable[..., Any]:
    _, token = keys.key_create(name="reader", scope=Scope.READ, actor=Actor.system("test"))
    return Client(headers={"Authorization": f"Bearer {token}"}).get


def test_the_path_gives_points_unit_and_window(ask: Callable[..., Any]) -> None:
    weeks(8)
    query = {"service": "planner", "metric": "traffic", "since": "7d", "step": "3600"}
    answer = ask("/api/v1/trends", query).json()
    assert (answer["unit"], answer["window_seconds"], answer["metric"]) == (
        "1/s",
        3600.0,
        "traffic",
    )
    assert set(answer["points"][0]) == {"at", "value", "count"}
    assert answer["changes"][0]["after"] > answer["changes"][0]["before"]
    for wrong in ({"metric": "beauty"}, {"since": "2m"}, {"since": "100d"}, {"step": "61"}):
        refused = ask("/api/v1/trends", wrong)
        assert refused.status_code == 422, wrong
    assert ask("/api/v1/trends", {"since": "90d", "step": "60"}).status_code == 422

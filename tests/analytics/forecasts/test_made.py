"""Forecasts and exhaustions that the hourly task keeps, and what their paths answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from analytics.choices import ExhaustionKind, ForecastSpan
from analytics.models import Exhaustion, Forecast
from analytics.selectors.forecasts import FORECAST_METRICS, forecast_read
from analytics.services.exhaustions import exhaustions_make
from analytics.services.forecasts import forecasts_make
from resilience_site.config import config
from resilience_site.core import keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from tests.analytics.figures.history import write_calls
from tests.analytics.forecasts.gauges import HOUR, gauge
from tests.health.world import World

pytestmark = pytest.mark.usefixtures("store")

NOW = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)


@pytest.fixture
def ask() -> Callable[..., Any]:
    """GET with a key that may read."""
    _, token = keys.key_create(name="reader", scope=Scope.READ, actor=Actor.system("test"))
    client = Client(headers={"Authorization": f"Bearer {token}"})

    def get(path: str, status: int = 200, **query: str) -> Any:
        answer = client.get(f"/api/v1/{path}", query)
        assert answer.status_code == status, answer.content
        return answer.json()

    return get


def calls(
    service: str = "planner", days: int = 8, errors: Callable[[int], int] | None = None
) -> None:
    """An hour's calls follow the day; of a thousand at most two fail, or as many as `errors` of
    the hours that the history has left says."""
    begin = NOW.replace(minute=0) - timedelta(days=days)

    def hour(at: datetime) -> tuple[int, int, float]:
        rhythm = 1 + 0.5 * math.sin(2 * math.pi * at.hour / 24)
        failed = errors(int((NOW - at) / HOUR)) if errors else at.hour % 3
        return round(1000 * rhythm), failed, 50 * rhythm

    write_calls(service, begin, NOW.replace(minute=0), hour, every=HOUR)


def test_every_figure_of_every_active_service_is_forecast_once_a_step() -> None:
    calls()
    made = list(forecasts_make(now=NOW))
    assert len(made) == len(set(made)) == 2 * len(FORECAST_METRICS) * len(ForecastSpan)
    row = Forecast.objects.get(service="planner", metric="traffic", span="24h")
    assert len(row.points) == 24
    assert datetime.fromisoformat(row.points[0][0]) == NOW.replace(minute=0)
    for at, value, lower, upper in row.points:
        rhythm = 1 + 0.5 * math.sin(2 * math.pi * datetime.fromisoformat(at).hour / 24)
        assert value == pytest.approx(1000 * rhythm / 3600, rel=0.02)
        assert 0 <= lower <= value <= upper
    assert row.coverage is not None
    week = Forecast.objects.get(service="planner", metric="traffic", span="7d")
    assert (week.points, week.reason) == ([], "not enough data: needs 14 days, has 8")
    assert list(forecasts_make(now=NOW + timedelta(minutes=30))) == []
    # Days are forecast once a day, unless that hour begins one.
    later = len(list(forecasts_make(now=NOW + HOUR)))
    assert later == len(made) / (1 if (NOW + HOUR).hour == 0 else 2)


def test_a_turn_that_ends_early_is_taken_up_again() -> None:
    calls()
    turn = forecasts_make(now=NOW)
    first = next(turn)
    turn.close()
    rest = list(forecasts_make(now=NOW))
    assert first not in rest
    assert len(rest) == 15


def test_a_service_that_fell_silent_is_forecast_no_more(ask: Callable[..., Any]) -> None:
    Forecast.objects.create(
        service="gone", metric="traffic", span="24h", made_at=NOW, step_seconds=3600, points=[]
    )
    list(forecasts_make(now=NOW))
    assert not Forecast.objects.filter(service="gone").exists()
    answer = ask("forecasts", service="gone", metric="traffic")
    assert answer["points"] == []
    assert answer["reason"].startswith("not enough data")


def test_the_path_gives_points_with_their_band(ask: Callable[..., Any]) -> None:
    calls()
    list(forecasts_make(now=NOW))
    answer = ask("forecasts", service="planner", metric="latency_p95")
    assert (answer["unit"], answer["window_seconds"], answer["span"]) == ("ms", 3600.0, "24h")
    assert [set(point) for point in answer["points"]] == [{"at", "value", "lower", "upper"}] * 24
    assert answer["reason"] == ""
    assert "choose error_rate" in str(ask("forecasts", 422, metric="mttr"))


def test_a_disk_a_pool_a_budget_and_a_certificate_have_their_dates(
    ask: Callable[..., Any],
) -> None:
    disk = [0.6 + 0.002 * hour for hour in range(168)]
    gauge("planner", "system.filesystem.utilization", NOW, disk, mountpoint="/data", state="used")
    gauge("planner", "system.filesystem.utilization", NOW, [0.9] * 99, mountpoint="/", state="free")
    pool = {"db__client__connection__pool__name": "main"}
    used = [4.0 + hour % 2 for hour in range(168)]
    gauge("planner", "db.client.connection.count", NOW, used, **pool, state="used")
    gauge("planner", "db.client.connection.max", NOW, [20.0], **pool)
    calls(days=8, errors=lambda left: max(0, 12 - left // 16))
    world = World(start=NOW)
    status = world.check("front door", service="planner").status
    status.last_run_at = NOW
    status.last_observed = {"days_left": {"value": 12.5, "unit": "d"}}
    status.save()

    assert exhaustions_make(now=NOW) == 4
    found = {row.kind: row for row in Exhaustion.objects.all()}
    assert found[ExhaustionKind.DISK].subject == "/data"
    assert found[ExhaustionKind.DISK].probability > 0.9
    expected = found[ExhaustionKind.DISK].expected_at
    assert expected is not None
    assert abs(expected - (NOW + 33 * HOUR)) <= HOUR
    assert found[ExhaustionKind.POOL].probability < 0.01
    assert (found[ExhaustionKind.POOL].limit, found[ExhaustionKind.POOL].unit) == (
        20,
        "connections",
    )
    assert found[ExhaustionKind.BUDGET].probability == 1
    assert found[ExhaustionKind.CERTIFICATE].expected_at == NOW + timedelta(days=12.5)

    assert exhaustions_make(now=NOW + timedelta(minutes=20)) == 0
    items = ask("forecasts/exhaustions", service="planner")["items"]
    assert [item["kind"] for item in items][-1] == "pool"
    assert len(items) == 4
    assert exhaustions_make(now=NOW + timedelta(days=3)) == 1
    assert Exhaustion.objects.get().kind == ExhaustionKind.CERTIFICATE


@pytest.mark.parametrize("variable", ["error_trend_analysis", "error_analytics_enabled"])
def test_what_is_switched_off_is_not_taken_for_too_few_data(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    assert forecast_read("traffic").reason.startswith("not enough data")
    monkeypatch.setattr(config, variable, False)
    assert forecast_read("traffic").reason == f"switched off by {variable.upper()}"


def test_nothing_is_worked_out_while_trends_are_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls()
    monkeypatch.setattr(config, "error_trend_analysis", False)
    assert list(forecasts_make(now=NOW)) == []
    assert exhaustions_make(now=NOW) == 0
    assert not Forecast.objects.exists()

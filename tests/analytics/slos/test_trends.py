"""Error budgets over time say what the pages of objectives say of their moments."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from analytics.selectors.slos import slo_figures
from analytics.selectors.trend_series import trend_series
from resilience_site.core.timerange import TimeRange
from tests.analytics.slos.scenes import DAY, HOUR, MINUTE, NOW, calls, slo
from tests.health.availability.fleet import change, make_check

pytestmark = pytest.mark.usefixtures("store")

Point = tuple[float | None, int]


def read(metric: str, service: str, length: timedelta, step: timedelta) -> dict[datetime, Point]:
    found = trend_series(metric, TimeRange(NOW - length, NOW), now=NOW, service=service, step=step)
    return {each.at: (each.value, each.count) for each in found.points}


def test_the_burn_of_each_step_is_by_the_objective_of_the_service() -> None:
    calls("planner", NOW - 10 * HOUR, NOW - 2 * HOUR, lambda at: (100, 2 if at.hour == 9 else 0))
    slo("planner", objective=0.99)
    found = read("error_budget_burn", "planner", 6 * HOUR, HOUR)
    hour = NOW.replace(minute=0)
    assert found[hour - 3 * HOUR] == (pytest.approx(2.0), 6_000)
    assert found[hour - 4 * HOUR] == (0.0, 6_000)
    assert found[hour] == (None, 0)


@pytest.mark.parametrize("step", [HOUR, 7 * MINUTE])
def test_what_is_left_is_what_the_objective_says_at_that_moment(step: timedelta) -> None:
    calls("planner", NOW - 40 * DAY, NOW, lambda at: (9_000, 5), every=HOUR)
    calls("planner", NOW - 50 * MINUTE, NOW, lambda at: (100, 50), every=11 * MINUTE)
    objective = slo("planner")
    found = read("error_budget_left", "planner", 3 * HOUR, step)
    at = sorted(found)[-2]
    budget = slo_figures([objective], at + step)[0].budget
    assert found[at] == (budget.left, budget.total)
    budget = slo_figures([objective], NOW)[0].budget
    assert found[sorted(found)[-1]] == (budget.left, budget.total)


def test_budgets_of_checks_are_of_seconds() -> None:
    check = make_check("pg", service="store", since=NOW - 20 * HOUR)
    change(check, "up", NOW - 20 * HOUR)
    change(check, "down", NOW - 2 * HOUR)
    change(check, "up", NOW - 90 * MINUTE)
    objective = slo("store", source="checks", objective=0.9)
    hour = NOW.replace(minute=0)
    burnt = read("error_budget_burn", "store", 4 * HOUR, HOUR)
    assert burnt[hour - 2 * HOUR] == (pytest.approx(26 / 60 / 0.1), 3_600)
    left = read("error_budget_left", "store", 4 * HOUR, HOUR)
    budget = slo_figures([objective], NOW)[0].budget
    assert left[hour] == (pytest.approx(budget.left), round(budget.total))


def test_all_services_together_are_measured_by_the_target_of_the_site() -> None:
    for service, failed in (("planner", 10), ("mail", 0)):
        calls(service, NOW - 2 * DAY, NOW, lambda at, bad=failed: (10_000, bad), every=HOUR)  # type: ignore[misc]
    hour = NOW.replace(minute=0)
    burnt = read("error_budget_burn", "", 4 * HOUR, HOUR)
    assert burnt[hour - 2 * HOUR] == (pytest.approx(0.5), 20_000)
    value, count = read("error_budget_left", "", 4 * HOUR, HOUR)[hour - 2 * HOUR]
    assert value == pytest.approx(0.5)
    assert count == 20_000 * 47


@pytest.mark.parametrize("metric", ["error_budget_burn", "error_budget_left"])
def test_without_an_objective_there_is_a_gap(metric: str) -> None:
    calls("planner", NOW - 2 * HOUR, NOW, lambda at: (100, 1))
    slo("planner", enabled=False)
    assert {value for value, _ in read(metric, "planner", HOUR, 5 * MINUTE).values()} == {None}

"""Objectives of latency that are measured by the runs of checks, from what checks have stored."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.choices import SloKind
from analytics.domain.slos.burning import held_rows
from analytics.domain.slos.objectives import WINDOWS, Count
from analytics.models import Slo
from analytics.selectors.slo_counts import slow_from
from analytics.selectors.slos import bad_between, burn_windows, burning, slo_figures
from health.models import Maintenance
from health.services.hours import hours_sum
from health.services.minutes import minutes_sum
from resilience_site.core.timerange import TimeRange
from tests.analytics.slos.scenes import DAY, HOUR, MINUTE, NOW, runs, slo
from tests.health.availability.fleet import change, make_check

pytestmark = pytest.mark.usefixtures("store")

SECOND = timedelta(seconds=1)


def of_runs(service: str = "search", **fields: object) -> Slo:
    given = {"kind": SloKind.LATENCY, "source": "checks", "objective": 0.99, "min_bad": 3}
    return slo(service, **given | {"threshold_ms": 300.0} | fields)


def told(
    took: dict[datetime, float | None], bound: float, end: datetime
) -> list[tuple[int, int]]:  # fmt: skip
    """The model: of each window the runs that answered, one by one."""
    found = []
    for window in WINDOWS:
        some = [
            ms
            for at, ms in took.items()
            if end - timedelta(seconds=window) <= at < end and ms is not None
        ]
        found.append((sum(ms > bound for ms in some), len(some)))
    return found


def test_windows_are_those_of_a_model_of_single_runs_before_and_after_hours_are_summed_up() -> None:
    rng = random.Random(5)
    since = NOW - 4 * DAY
    took: dict[datetime, float | None] = {}
    for name in ("http", "tls"):
        check = make_check(name, service="search", since=since)
        change(check, "up", since)
        # Each check has its own place in its interval.
        begin = (
            since + rng.randrange(30) * SECOND + rng.randrange(1_000) * timedelta(milliseconds=1)
        )
        mine: dict[datetime, float | None] = {}

        def ms(at: datetime, mine: dict[datetime, float | None] = mine) -> float | None:
            mine[at] = rng.choice([None, 40.0, 40.0, 40.0, 299.0, 320.0, 330.0, 2_000.0])
            return mine[at]

        runs(check, begin, NOW, ms, every=7 * MINUTE)
        took |= mine
    chosen = [of_runs(), of_runs(threshold_ms=1_000.0, objective=0.9), of_runs("nobody")]
    ends = [NOW - number * 13 * MINUTE for number in range(30)]
    bounds = [slow_from(each) or 0.0 for each in chosen]
    assert bounds[0] == pytest.approx(324.94, abs=0.01)
    # No hour is summed up, however long it is over.
    by_results = burn_windows(chosen, ends)
    minutes_sum(now=NOW, budget_seconds=120)
    hours_sum(now=NOW)
    by_hours = burn_windows(chosen, ends)
    assert by_hours == by_results
    for number, end in enumerate(ends):
        for each, bound in zip(chosen[:2], bounds, strict=False):
            found = by_hours[each.id][number]
            assert list(zip(found.bad, found.total, strict=True)) == told(took, bound, end)
    assert burn_windows(chosen[:1], ends[7:8])[chosen[0].id] == [by_hours[chosen[0].id][7]]
    assert {sum(each.total) for each in by_hours[chosen[2].id]} == {0}


def test_a_budget_of_runs_is_read_day_by_day_and_its_end_foretold() -> None:
    check = make_check("http", service="search", since=NOW - 6 * DAY)
    change(check, "up", NOW - 6 * DAY)
    slow_since = NOW - 3 * DAY
    runs(
        check, NOW - 6 * DAY, NOW,
        # From then on one run of an hour's twelve is too slow.
        lambda at: 900.0 if at >= slow_since and at.minute == NOW.minute % 5 else 40.0,
        every=5 * MINUTE, now=NOW,
    )  # fmt: skip
    found = slo_figures([of_runs(objective=0.9, window_days=7)], NOW)[0]
    assert len(found.days) == 7
    assert found.budget.total == sum(day.total for day in found.days) == 6 * 24 * 12
    assert (found.budget.bad, found.budget.allowed) == (72, pytest.approx(172.8))
    assert found.budget.left == pytest.approx(1 - 72 / 172.8)
    assert found.state == "ok"
    # 24 of the 28.8 that are allowed a day: it lasts.
    assert found.ending.at is None
    assert found.ending.basis == WINDOWS[-1]
    tighter = slo_figures(
        [of_runs("search", objective=0.95, window_days=7, threshold_ms=301.0)], NOW
    )[0]
    # 14.4 are left. Of the 24 that come a day, 14.4 are allowed by the runs that come along, while
    # from the second day on the runs of good days leave: after a day and a fifth.
    assert tighter.ending.at is not None
    assert (tighter.ending.at - NOW) / DAY == pytest.approx(1.2, abs=0.1)
    # At 1.67 times what is allowed, where 1.4 over six hours calls somebody.
    assert (tighter.state, tighter.held and tighter.held.severity) == ("burning", "page")
    assert tighter.ending.words == "If it goes on as in the last 6 h."


def test_maintenance_and_failed_runs_are_nobody_s_slow_ones() -> None:
    check = make_check("http", service="search", since=NOW - 2 * HOUR)
    change(check, "up", NOW - 2 * HOUR)
    began, over = NOW - 40 * MINUTE, NOW - 20 * MINUTE
    runs(
        check, NOW - 2 * HOUR, NOW,
        lambda at: 900.0 if began <= at < over else None if at >= NOW - 5 * MINUTE else 40.0,
    )  # fmt: skip
    each = of_runs()
    assert burn_windows([each], [NOW])[each.id][0].of(3_600) == Count(40, 110)
    assert bad_between(each, TimeRange(began + 20 * SECOND, over - 70 * SECOND)) == 38
    Maintenance.objects.create(
        name="night", kind="single", reason="x", starts_at=began, ends_at=over, actor="ann",
        created_at=NOW, everything=True,
    )  # fmt: skip
    found = burn_windows([each], [NOW])[each.id][0]
    assert found.of(3_600) == Count(0, 70)
    assert found.of(300) == Count(0, 0)
    minutes_sum(now=NOW)
    hours_sum(now=NOW)
    assert burn_windows([each], [NOW])[each.id][0] == found


def test_a_slowdown_burns_and_two_slow_runs_do_not_minute_by_minute() -> None:
    check = make_check("http", service="search", since=NOW - 2 * DAY)
    change(check, "up", NOW - 2 * DAY)
    hiccup = NOW - 5 * HOUR
    start, end = NOW - 100 * MINUTE, NOW - 70 * MINUTE
    runs(
        check, NOW - 2 * DAY, NOW,
        lambda at: 900.0 if start <= at < end or hiccup <= at < hiccup + MINUTE else 40.0, now=NOW,
    )  # fmt: skip
    each = of_runs(objective=0.999)
    ends = [hiccup + number * MINUTE for number in range(300)]
    trial = burn_windows([each], ends)[each.id]
    paged = {
        windows.at
        for windows in trial
        if any(row.severity == "page" for row in held_rows(each.terms, windows))
    }
    # The third slow run is that of the second minute.
    assert min(paged) == start + 2 * MINUTE
    assert max(paged) >= end
    for at in ends[::37]:
        live = burn_windows([each], [at])[each.id][0]
        assert any(row.holds for row in burning(each, live) if row.severity == "page") == (
            at in paged
        )


def test_figures_of_many_objectives_of_runs_take_as_many_queries_as_of_one() -> None:
    make_check("http", service="search", since=NOW - DAY)
    rows = [of_runs()]
    with CaptureQueriesContext(connection) as one:
        slo_figures(rows, NOW)
    for number in range(30):
        make_check(f"c{number}", service=f"s{number}", since=NOW - DAY)
        rows.append(of_runs(f"s{number}"))
    with CaptureQueriesContext(connection) as many:
        slo_figures(rows, NOW)
    assert len(many) == len(one) == 6

"""Availability as it is read: from hours, cut hours and the minutes after them, without a gap or an
overlap between those."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from health.domain.availability import DEFAULT, Policy, Seconds, Segment, combined, total
from health.domain.score import NO_CHECKS
from health.models import Check, CheckStatus, Service
from health.selectors.availability import (
    DAY as LAST_DAY,
)
from health.selectors.availability import (
    MONTH,
    QUARTER,
    WEEK,
    WINDOWS,
    checks_availability,
    checks_reliability,
    critical_services,
    overall_availability,
    services_availability,
    services_days,
    services_reliability,
    target,
)
from health.selectors.latencies import checks_latencies
from health.selectors.service_health import health
from health.selectors.timelines import Wanted, segments_of
from health.services.hours import hours_sum
from health.services.minutes import minutes_sum
from resilience_site.config import config
from tests.health.availability.fleet import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    change,
    make_check,
    outage,
    results,
)

pytestmark = pytest.mark.usefixtures("store")
STATES = ["up", "degraded", "down", "unreachable", "unknown"]


def spent(segments: list[Segment], since: datetime, until: datetime) -> Seconds:
    """The seconds between two moments, counted from the segments themselves."""
    return total(
        Seconds(
            **{
                each.column: max(
                    0.0, (min(each.end, until) - max(each.start, since)).total_seconds()
                )
            }
        )
        for each in segments
    )


def close(found: Seconds, expected: Seconds) -> bool:
    return tuple(found) == pytest.approx(tuple(expected), rel=1e-5, abs=0.05)


def history(
    check: Check, rng: random.Random, start: datetime, end: datetime, longest: float
) -> None:
    at = start
    while at < end:
        change(check, rng.choice(STATES), at)
        at += rng.uniform(1, longest) * SECOND


def sum_up(now: datetime) -> None:
    minutes_sum(now=now, budget_seconds=600)
    hours_sum(now=now, budget_seconds=600)


# At the turn of an hour, just before its hours are summed up, just after, and in the middle.
MOMENTS = [NOON, NOON + 5 * MINUTE, NOON + 6 * MINUTE + SECOND, NOON + 37 * MINUTE + 12 * SECOND]


@pytest.mark.parametrize("now", MOMENTS)
def test_figures_are_what_the_changes_say_for_every_window(now: datetime) -> None:
    rng = random.Random(11)
    checks = [make_check(f"c{n}", since=now - 8 * DAY) for n in range(3)]
    for check in checks:
        history(check, rng, now - 8 * DAY, now, longest=6_000)
    sum_up(now)
    ids = [check.id for check in checks]
    truth = segments_of([Wanted(key, "planner", now - 8 * DAY, now) for key in ids])
    for key, figures in checks_availability(ids, now=now, windows=[LAST_DAY, WEEK]).items():
        for figure in figures:
            assert close(figure.seconds, spent(truth[key], figure.since, figure.until))
            assert sum(figure.seconds) == pytest.approx(
                (figure.until - figure.since).total_seconds()
            )
    for figure in services_availability(["planner"], now=now, windows=[LAST_DAY, WEEK])["planner"]:
        worst = combined(list(truth.values()))
        assert close(figure.seconds, spent(worst, figure.since, figure.until))


def test_figures_are_true_while_hours_wait_to_be_summed_up_again() -> None:
    now = NOON + 37 * MINUTE
    rng = random.Random(5)
    checks = [make_check(f"c{n}", since=now - 2 * DAY) for n in range(2)]
    for check in checks:
        history(check, rng, now - 2 * DAY, now, longest=3_000)
    sum_up(now)
    change(checks[0], "down", now - 5 * HOUR, at=now)
    minutes_sum(now=now)
    assert CheckStatus.objects.get(check_row=checks[0]).hours_from == NOON - 5 * HOUR
    ids = [check.id for check in checks]
    truth = segments_of([Wanted(key, "planner", now - 2 * DAY, now) for key in ids])
    for key, (figure,) in checks_availability(ids, now=now, windows=[LAST_DAY]).items():
        assert close(figure.seconds, spent(truth[key], figure.since, figure.until))
    (figure,) = services_availability(["planner"], now=now, windows=[LAST_DAY])["planner"]
    assert close(figure.seconds, spent(combined(list(truth.values())), figure.since, figure.until))


def test_long_windows_begin_at_a_whole_hour_and_cover_what_there_is() -> None:
    now = NOON + 37 * MINUTE
    check = make_check("pg", since=now - 40 * DAY)
    change(check, "up", now - 40 * DAY)
    change(check, "down", now - 35 * DAY)
    change(check, "up", now - 35 * DAY + 30 * MINUTE)
    sum_up(now)
    day, week, month, quarter = checks_availability([check.id], now=now)[check.id]
    assert [each.window for each in (day, week, month, quarter)] == ["24 h", "7 d", "30 d", "90 d"]
    assert (day.since, week.since) == (now - DAY, now - 7 * DAY)
    assert (month.since, quarter.since) == (NOON - 30 * DAY, NOON - 90 * DAY)
    assert (month.ratio, month.met) == (1.0, True)
    assert quarter.counted.counted == 40 * 86_400
    assert quarter.ratio == pytest.approx(1 - 1_800 / (40 * 86_400))
    assert quarter.met is True
    assert quarter.budget_left == pytest.approx(40 * 86.4 - 1_800, abs=1)


def test_without_data_nothing_is_available_or_not() -> None:
    check = make_check("pg")
    for figure in checks_availability([check.id], now=NOON)[check.id]:
        assert (figure.ratio, figure.met, figure.budget_left) == (None, None, None)
    (figure, *_) = services_availability(["planner"], now=NOON)["planner"]
    assert figure.ratio is None
    assert checks_latencies([check.id], now=NOON)[check.id].p50 is None


def test_another_policy_and_another_target_are_applied_to_the_same_seconds() -> None:
    check = make_check("pg", since=NOON - HOUR)
    change(check, "up", NOON - HOUR)
    change(check, "degraded", NOON - 15 * MINUTE)
    sum_up(NOON)
    strict = Policy(good=frozenset({"up"}), bad=DEFAULT.bad | {"degraded"})
    (figure,) = checks_availability([check.id], now=NOON, windows=[LAST_DAY], policy=strict)[
        check.id
    ]
    assert figure.ratio == 0.75
    with config.override(resilience_availability_target=75.0):
        (figure,) = checks_availability([check.id], now=NOON, windows=[LAST_DAY], policy=strict)[
            check.id
        ]
        assert (figure.target, figure.met) == (0.75, True)
    assert target() == 0.999


def test_the_bars_of_days_add_up_to_the_figures() -> None:
    now = NOON + 37 * MINUTE
    rng = random.Random(3)
    check = make_check("pg", since=NOON - 12 * DAY)
    history(check, rng, NOON - 12 * DAY, now, longest=40_000)
    sum_up(now)
    truth = segments_of([Wanted(check.id, "planner", NOON - 12 * DAY, now)])[check.id]
    days = services_days(["planner"], now=now)["planner"]
    assert len(days) == 90
    assert (days[0].day, days[-1].day) == ((NOON - 89 * DAY).date(), NOON.date())
    midnight = NOON.replace(hour=0)
    for back, day in enumerate(reversed(days)):
        start = midnight - back * DAY
        assert close(day.seconds, spent(truth, start, min(start + DAY, now)))
    assert days[0].counted.ratio is None


def test_mttr_and_mtbf_of_checks_and_of_their_service() -> None:
    first, second = make_check("pg", since=NOON - 2 * DAY), make_check("api", since=NOON - 2 * DAY)
    beside = make_check("disk", since=NOON - 2 * DAY, critical=False)
    for each in (first, second, beside):
        change(each, "up", NOON - 2 * DAY)
    outage(first, NOON - 10 * HOUR, NOON - 10 * HOUR + 10 * MINUTE)
    outage(second, NOON - 10 * HOUR + 5 * MINUTE, NOON - 10 * HOUR + 30 * MINUTE)
    outage(second, NOON - HOUR, None)
    outage(second, NOON - 5 * HOUR, NOON - 4 * HOUR, "unreachable")
    outage(beside, NOON - 3 * HOUR, NOON - 2 * HOUR)
    outage(first, NOON - 30 * HOUR, NOON - 25 * HOUR)
    sum_up(NOON)
    figures = checks_availability([first.id, second.id], now=NOON, windows=[LAST_DAY])
    found: dict[UUID, Any] = checks_reliability(figures)
    assert [(r.mttr, r.repaired, r.failures, r.mtbf) for r in found[first.id]] == [
        (600, 1, 1, 86_400)
    ]
    assert [(r.mttr, r.repaired, r.failures, r.mtbf) for r in found[second.id]] == [
        (1_500, 1, 2, 43_200)
    ]
    (planner,) = services_reliability(
        services_availability(["planner"], now=NOON, windows=[LAST_DAY])
    )["planner"]
    assert (planner.mttr, planner.repaired, planner.failures) == (1_800, 1, 2)
    assert checks_reliability({}) == {}


def test_percentiles_come_from_hours_and_from_the_results_after_them() -> None:
    check = make_check("pg", since=NOON - 2 * DAY)
    change(check, "up", NOON - 2 * DAY)
    slow = [(NOON - 3 * HOUR + n * MINUTE, "up", 100.0) for n in range(50)]
    fast = [(NOON + n * 10 * SECOND, "degraded", 10.0) for n in range(150)]
    old = [(NOON - 30 * HOUR, "up", 9_000.0)]
    results(check, [*slow, *fast, *old, (NOON + SECOND, "down", 7_000.0)])
    for now in (NOON + 40 * MINUTE, NOON + 62 * MINUTE, NOON + 67 * MINUTE):
        sum_up(now)
        found = checks_latencies([check.id], now=now)[check.id]
        assert found.runs == 200
        assert found.p50 == pytest.approx(10, rel=0.05)
        assert found.p95 == found.p99 == pytest.approx(100, rel=0.05)


def test_the_health_of_services_and_of_the_whole() -> None:
    now = NOON
    pg, disk = (
        make_check("pg", since=NOON - DAY),
        make_check("disk", since=NOON - DAY, critical=False),
    )
    web, off = (
        make_check("web", service="front", since=NOON - DAY),
        make_check("off", since=NOON - DAY, enabled=False),
    )
    Service.objects.create(name="bare", first_seen=now, last_seen=now)
    Service.objects.filter(name="planner").update(criticality="critical")
    for each in (pg, disk, web, off):
        change(each, "up", NOON - DAY)
    change(off, "unknown", NOON - HOUR)
    change(pg, "down", NOON - 86.4 * 4 * SECOND)
    CheckStatus.objects.filter(check_row=pg).update(culprit=web)
    change(disk, "degraded", NOON - MINUTE)
    sum_up(now)
    found = health(now=now)
    assert [(each.name, each.state, each.score.value, each.note) for each in found.services] == [
        ("bare", "unknown", None, NO_CHECKS),
        ("front", "up", 100, ""),
        ("planner", "down", 15, ""),
    ]
    planner = found.services[2]
    assert [row.name for row in planner.checks] == ["pg", "disk"]
    assert [row.culprit for row in planner.checks] == ["web", ""]
    assert [each.points for each in planner.score.deductions] == [60, 5, 20]
    assert (found.state, found.score.value) == ("down", 32)
    assert found.availability is not None
    assert found.availability.counted.bad == pytest.approx(345.6, abs=1)
    only = health(now=now, services=["front"])
    assert (only.state, only.score.value, len(only.services)) == ("up", 100, 1)


def test_reads_take_the_same_number_of_queries_for_one_check_and_for_many() -> None:
    now = NOON + 37 * MINUTE

    def queries() -> list[int]:
        ids = list(Check.objects.values_list("id", flat=True))
        names = critical_services()
        counts = []
        for read in (
            lambda: checks_availability(ids, now=now),
            lambda: services_availability(names, now=now),
            lambda: services_days(names, now=now),
            lambda: checks_latencies(ids, now=now),
            lambda: health(now=now),
        ):
            with CaptureQueriesContext(connection) as captured:
                read()
            counts.append(len(captured))
        return counts

    change(make_check("c", since=NOON - 2 * DAY), "up", NOON - 2 * DAY)
    sum_up(now)
    few = queries()
    for n in range(12):
        change(make_check(f"c{n}", service=f"s{n % 4}", since=NOON - DAY), "up", NOON - DAY)
    sum_up(now)
    assert queries() == few == [1, 8, 4, 2, 8]


def test_the_whole_is_the_time_of_all_services() -> None:
    for name, bad in (("a", 600), ("b", 0)):
        check = make_check(name, service=name, since=NOON - HOUR)
        change(check, "up", NOON - HOUR)
        if bad:
            change(check, "down", NOON - bad * SECOND)
    sum_up(NOON)
    (day,) = overall_availability(
        services_availability(critical_services(), now=NOON, windows=[LAST_DAY]).values()
    )
    assert (day.window, day.counted.good, day.counted.bad) == ("24 h", 6_600, 600)
    assert overall_availability([]) == ()
    assert [each.name for each in WINDOWS] == [LAST_DAY.name, WEEK.name, MONTH.name, QUARTER.name]

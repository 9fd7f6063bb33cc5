"""Figures of objectives as they are read: from minutes and hours, from changes of state, one moment
or a week of moments."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.domain.slos.burning import held_rows
from analytics.domain.slos.objectives import MILLION, WINDOWS, Count
from analytics.models import Slo
from analytics.selectors.slo_counts import slow_from_ms
from analytics.selectors.slos import availability_slos, burn_windows, burning, slo_figures
from analytics.views import slo_words
from health.models import Maintenance
from health.services.hours import hours_sum
from health.services.minutes import minutes_sum
from tests.analytics.slos.scenes import DAY, HOUR, MINUTE, NOW, calls, slo
from tests.health.availability.fleet import change, make_check

pytestmark = pytest.mark.usefixtures("store")

History = dict[datetime, tuple[int, int]]


def history(rng: random.Random, since: datetime, until: datetime) -> History:
    """Minutes with calls and failures, with gaps and bursts."""
    found: History = {}
    at = since
    while at < until:
        if rng.random() < 0.6:
            total = rng.randrange(1, 50)
            found[at] = (total, rng.randrange(total) if rng.random() < 0.05 else 0)
        at += MINUTE
    return found


def expected(minutes: History, end: datetime) -> list[tuple[int, int]]:
    """Of each window what was bad, and all, minute by minute."""
    counts = []
    for window in WINDOWS:
        chosen = [
            each
            for at, each in minutes.items()
            if end - timedelta(seconds=window) <= at < end
        ]  # fmt: skip
        counts.append((sum(bad for _, bad in chosen), sum(total for total, _ in chosen)))
    return counts


def test_windows_are_the_same_from_minutes_and_from_hours_for_one_moment_and_for_many() -> None:
    rng = random.Random(7)
    minutes = history(rng, NOW - 4 * DAY, NOW)
    calls("planner", NOW - 4 * DAY, NOW, minutes.get, slow=3)
    chosen = [slo(), slo(kind="latency", objective=0.9, threshold_ms=300.0), slo("nobody")]
    ends = [NOW - number * 7 * MINUTE for number in range(60)]
    by_minutes = burn_windows(chosen, ends)
    calls("other", NOW - 4 * DAY, NOW - 4 * DAY + HOUR, lambda at: (9, 9), now=NOW)
    by_hours = burn_windows(chosen, ends)
    assert by_hours == by_minutes
    for number, end in enumerate(ends):
        if number % 20 == 0:
            for each in chosen:
                assert burn_windows([each], [end])[each.id] == [by_hours[each.id][number]]
        found = by_hours[chosen[0].id][number]
        assert found.at == end
        assert list(zip(found.bad, found.total, strict=True)) == expected(minutes, end)
    slow = expected({at: (total, min(3, total)) for at, (total, _) in minutes.items()}, NOW)
    late = by_hours[chosen[1].id][0]
    assert list(zip(late.bad, late.total, strict=True)) == slow
    assert {sum(each.total) for each in by_hours[chosen[2].id]} == {0}


def test_a_minute_cut_in_two_is_no_end_of_a_window() -> None:
    with pytest.raises(ValueError):
        burn_windows([slo()], [NOW + timedelta(seconds=1)])
    assert burn_windows([], [NOW]) == {}


def test_a_call_is_too_slow_only_where_it_surely_is() -> None:
    # 300 ms lies in the bucket up to 333 ms: calls of 320 ms cannot be told from quicker ones.
    threshold = slow_from_ms(300.0)
    assert 300.0 < threshold < 375.0
    late = slo(kind="latency", objective=0.9, threshold_ms=300.0)
    calls("planner", NOW - HOUR, NOW, lambda at: (10, 0), slow=4, slow_ms=threshold - 1)
    assert burn_windows([late], [NOW])[late.id][0].of(3_600) == Count(0, 600)
    calls("quick", NOW - HOUR, NOW, lambda at: (10, 0), slow=4, slow_ms=threshold + 1)
    late = slo("quick", kind="latency", objective=0.9, threshold_ms=300.0)
    assert burn_windows([late], [NOW])[late.id][0].of(3_600) == Count(240, 600)


def test_the_time_of_checks_is_counted_to_the_second_without_maintenance() -> None:
    check = make_check("pg", since=NOW - 4 * DAY)
    change(check, "up", NOW - 4 * DAY)
    change(check, "down", NOW - timedelta(minutes=50, seconds=13))
    change(check, "up", NOW - timedelta(minutes=40))
    change(check, "unreachable", NOW - timedelta(seconds=90))
    window = Maintenance.objects.create(
        name="night", kind="single", reason="x", starts_at=NOW - 3 * HOUR,
        ends_at=NOW - 2 * HOUR, actor="ann", created_at=NOW - 4 * HOUR, everything=True,
    )  # fmt: skip
    minutes_sum(now=NOW)
    hours_sum(now=NOW)
    each = slo(source="checks", min_bad=90)
    found = burn_windows([each], [NOW, NOW - 30 * MINUTE])[each.id]
    assert window.ends_at is not None
    hour, six = found[0].of(3_600), found[0].of(6 * 3_600)
    assert hour == Count((613 + 90) * MILLION, 3_600 * MILLION)
    # What was maintenance is in neither.
    assert six == Count((613 + 90) * MILLION, 5 * 3_600 * MILLION)
    assert found[0].of(300) == Count(90 * MILLION, 300 * MILLION)
    assert found[1].of(1_800) == Count(613 * MILLION, 1_800 * MILLION)
    figures = slo_figures([each], NOW + timedelta(seconds=20))[0]
    assert (figures.at, figures.since) == (NOW, NOW.replace(minute=0) - 30 * DAY)
    assert figures.budget.bad == pytest.approx(703, abs=0.1)
    assert figures.budget.total == pytest.approx(4 * 86_400 - 3_600, abs=1)


def test_a_service_that_burns_is_found_minute_by_minute_and_in_a_whole_week() -> None:
    """As alerting asks: live for each minute, and for a rule's trial over all of them at once."""
    start, end = NOW - 100 * MINUTE, NOW - 60 * MINUTE
    calls(
        "planner", NOW - 4 * DAY, NOW,
        lambda at: (30, 15 if start <= at < end else 0), now=NOW,
    )  # fmt: skip
    each = slo()
    ends = [NOW - number * MINUTE for number in range(120)]
    trial = burn_windows([each], ends)[each.id]
    held = {windows.at: list(held_rows(each.terms, windows)) for windows in trial}
    for at in ends[::9]:
        live = burn_windows([each], [at])[each.id][0]
        rows = burning(each, live)
        assert [row.long.seconds for row in rows if row.holds] == [row.long for row in held[at]]
    paged = [at for at, rows in held.items() if any(row.severity == "page" for row in rows)]
    assert min(paged) <= start + 3 * MINUTE
    assert max(paged) >= end


def test_a_budget_is_read_day_by_day_and_its_end_foretold() -> None:
    calls("planner", NOW - 6 * DAY, NOW - 3 * DAY, lambda at: (2_000, 0), every=HOUR)
    calls("planner", NOW - 3 * DAY, NOW, lambda at: (2_000, 3), every=HOUR, now=NOW)
    found = slo_figures([slo(window_days=7)], NOW)[0]
    assert len(found.days) == 7
    assert found.budget.total == sum(day.total for day in found.days) == 6 * 24 * 2_000
    assert found.budget.bad == 3 * 24 * 3
    assert found.budget.left == pytest.approx(1 - 216 / 288)
    # Nothing is known to be left before anything was counted.
    left = [day.left for day in slo_words.days(found)]
    assert (left[0], left[1]) == (None, pytest.approx(1.0))
    assert left[-1] == pytest.approx(found.budget.left)
    assert (found.state, found.held and found.held.severity) == ("spending", "ticket")
    assert found.ending.at is not None
    # 72 are left. Of the 72 that come each day, 48 are allowed by the calls that come along, while
    # from the second day on the calls of good days leave: after a day and two thirds.
    assert (found.ending.at - NOW) / DAY == pytest.approx(5 / 3, abs=0.1)
    assert found.ending.words == "If it goes on as in the last 3 d."


def test_states_say_what_there_is() -> None:
    calls("calm", NOW - 3 * DAY, NOW, lambda at: (600, 0), every=10 * MINUTE, now=NOW)
    calls("gone", NOW - 5 * DAY, NOW - 4 * DAY, lambda at: (600, 60), every=10 * MINUTE, now=NOW)
    calls("few", NOW - HOUR, NOW, lambda at: (1, 1), every=10 * MINUTE, now=NOW)
    calls("ablaze", NOW - 2 * HOUR, NOW, lambda at: (60, 6), now=NOW)
    names = ("calm", "gone", "few", "ablaze", "silent")
    rows = [*(slo(name) for name in names), slo("off", enabled=False)]
    found = {each.slo.service: each for each in slo_figures(rows, NOW)}
    assert {name: each.state for name, each in found.items()} == {
        "calm": "ok", "gone": "exhausted", "few": "no_data", "ablaze": "burning",
        "silent": "no_data", "off": "off",
    }  # fmt: skip
    assert found["calm"].ending.at is None
    assert found["calm"].ending.basis == 3 * 86_400
    assert found["gone"].ending.gone
    assert found["few"].budget.left is None
    assert found["silent"].ending.words.startswith("Not enough data")


def test_figures_of_many_take_as_many_queries_as_of_one() -> None:
    make_check("pg", service="checked", since=NOW - DAY)
    rows = [slo("a"), slo("checked", source="checks")]
    with CaptureQueriesContext(
        connection,
    ) as one:
        slo_figures(rows, NOW)
    for number in range(50):
        make_check(f"c{number}", service=f"checked-{number}", since=NOW - DAY)
        rows += [slo(f"s{number}"), slo(f"checked-{number}", source="checks")]
    with CaptureQueriesContext(connection) as many:
        slo_figures(rows, NOW)
    assert len(many) == len(one) <= 16


def test_the_objective_that_stands_for_a_service_is_that_of_its_calls() -> None:
    of_checks, of_calls = slo(source="checks"), slo(window_days=7)
    slo("mail", enabled=False)
    slo("late", kind="latency", threshold_ms=300.0)
    found = availability_slos(["planner", "mail", "late", "unknown"])
    assert found == {"planner": of_calls}
    Slo.objects.filter(id=of_calls.id).update(deleted_at=NOW)
    assert availability_slos(["planner"]) == {"planner": of_checks}

"""Minutes and hours in the store: written once, written again, never lost."""

from __future__ import annotations

import io
import math
import random
import threading
from datetime import datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from health.domain import latency
from health.domain.availability import COLUMNS
from health.models import Check, CheckHour, CheckStatus, Maintenance, StateChange
from health.services.hours import hours_sum
from health.services.minutes import minutes_sum
from health.services.recount import health_recount
from health.services.retention import history_prune
from resilience_site.core import partitions
from tests.health.availability.fleet import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    change,
    hours_of,
    make_check,
    minutes_of,
    results,
    service_hours_of,
)

pytestmark = pytest.mark.usefixtures("store")


def window(start: datetime, end: datetime, *checks: Check) -> Maintenance:
    row = Maintenance.objects.create(
        name="upgrade", kind="single", starts_at=start, ends_at=end, reason="r", actor="a",
        created_at=NOON, everything=not checks,
    )  # fmt: skip
    row.checks.set(checks)
    return row


def summed_from(check: Check) -> tuple[datetime, datetime | None]:
    status = CheckStatus.objects.get(check_row=check)
    return status.minutes_from, status.hours_from


def test_minutes_that_are_over_are_summed_up() -> None:
    check = make_check("pg")
    change(check, "up", NOON + 20 * SECOND)
    change(check, "down", NOON + 90 * SECOND)
    assert minutes_sum(now=NOON + 2 * MINUTE + 59 * SECOND) == 2
    assert minutes_of(check) == {
        NOON: {"unknown": 20, "up": 40},
        NOON + MINUTE: {"up": 30, "down": 30},
    }
    assert summed_from(check) == (NOON + 2 * MINUTE, NOON)


def test_summing_up_again_changes_nothing() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    minutes_sum(now=NOON + 5 * MINUTE)
    before = minutes_of(check)
    assert minutes_sum(now=NOON + 5 * MINUTE) == 0
    CheckStatus.objects.update(minutes_from=NOON)
    assert minutes_sum(now=NOON + 5 * MINUTE) == 0
    assert minutes_of(check) == before


def test_a_change_that_is_dated_back_is_counted_from_its_time_on() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    minutes_sum(now=NOON + 4 * MINUTE)
    change(check, "down", NOON + 90 * SECOND, at=NOON + 4 * MINUTE)
    assert minutes_sum(now=NOON + 5 * MINUTE) == 4
    assert minutes_of(check) == {
        NOON: {"up": 60},
        NOON + MINUTE: {"up": 30, "down": 30},
        NOON + 2 * MINUTE: {"down": 60},
        NOON + 3 * MINUTE: {"down": 60},
        NOON + 4 * MINUTE: {"down": 60},
    }


def test_a_clock_that_goes_back_overwrites_what_it_had_written() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    change(check, "down", NOON + 30 * MINUTE)
    minutes_sum(now=NOON + 32 * MINUTE)
    # Now it is twelve minutes past noon again, and the check works.
    change(check, "up", NOON + 12 * MINUTE)
    minutes_sum(now=NOON + 14 * MINUTE)
    assert summed_from(check)[0] == NOON + 14 * MINUTE
    minutes_sum(now=NOON + 33 * MINUTE)
    assert set(map(str, minutes_of(check).values())) == {"{'up': 60.0}"}


def test_after_a_restart_the_time_without_results_is_unknown_and_all_of_it_is_there() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    minutes_sum(now=NOON + MINUTE)
    change(check, "unknown", NOON + 90 * SECOND, at=NOON + 3 * HOUR)
    change(check, "up", NOON + 3 * HOUR + 30 * SECOND)
    minutes_sum(now=NOON + 3 * HOUR + MINUTE)
    found = minutes_of(check)
    assert len(found) == 181
    assert sum(row.get("unknown", 0) for row in found.values()) == 3 * 3_600 - 60
    assert sum(sum(row.values()) for row in found.values()) == 181 * 60


def test_windows_split_the_seconds_and_show_what_was_beneath() -> None:
    check, other = make_check("pg"), make_check("api")
    window(NOON + 30 * SECOND, NOON + 150 * SECOND, check)
    for each in (check, other):
        change(each, "up", NOON)
    change(check, "maintenance", NOON + 31 * SECOND, own_state="up")
    change(check, "maintenance", NOON + MINUTE, own_state="down")
    change(check, "down", NOON + 151 * SECOND)
    minutes_sum(now=NOON + 3 * MINUTE)
    assert minutes_of(check) == {
        NOON: {"up": 30, "maintenance_up": 30},
        NOON + MINUTE: {"maintenance_down": 60},
        NOON + 2 * MINUTE: {"maintenance_down": 30, "down": 30},
    }
    assert set(map(str, minutes_of(other).values())) == {"{'up': 60.0}"}


def test_minutes_beyond_retention_are_not_made() -> None:
    check = make_check("pg", since=NOON - 30 * DAY)
    change(check, "up", NOON - 30 * DAY)
    minutes_sum(now=NOON, budget_seconds=120)
    oldest = min(minutes_of(check))
    assert oldest == (NOON - 8 * DAY).replace(hour=0)
    assert summed_from(check) == (NOON, NOON - 30 * DAY)
    hours_sum(now=NOON + 10 * MINUTE)
    assert len(hours_of(check)) == 30 * 24


def test_a_run_ends_when_its_time_is_up_and_the_next_goes_on() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    assert minutes_sum(now=NOON + 90 * MINUTE, budget_seconds=1e-9) <= 60
    minutes_sum(now=NOON + 90 * MINUTE)
    assert len(minutes_of(check)) == 90


def test_a_row_that_somebody_holds_has_its_turn_later_and_its_change_is_seen() -> None:
    held, free = make_check("held"), make_check("free")
    change(held, "up", NOON)
    change(free, "up", NOON)
    holding, done = threading.Event(), threading.Event()

    def writer() -> None:
        try:
            with transaction.atomic():
                change(held, "down", NOON + 30 * SECOND)
                holding.set()
                assert done.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=writer)
    thread.start()
    assert holding.wait(60)
    minutes_sum(now=NOON + MINUTE)
    done.set()
    thread.join()
    assert minutes_of(free) == {NOON: {"up": 60}}
    assert minutes_of(held) == {}
    minutes_sum(now=NOON + MINUTE)
    assert minutes_of(held) == {NOON: {"up": 30, "down": 30}}


def test_two_at_once_write_each_minute_once() -> None:
    checks = [make_check(f"c{n}") for n in range(30)]
    for each in checks:
        change(each, "up", NOON)
    counts: list[int] = []
    start = threading.Barrier(2)

    def run() -> None:
        try:
            start.wait()
            counts.append(minutes_sum(now=NOON + 61 * MINUTE))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    minutes_sum(now=NOON + 61 * MINUTE)
    assert sum(counts) <= 30 * 61
    assert [len(minutes_of(each)) for each in checks] == [61] * 30


def test_an_hour_is_summed_up_once_late_results_had_their_time() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    change(check, "down", NOON + 30 * MINUTE)
    minutes_sum(now=NOON + 66 * MINUTE)
    assert hours_sum(now=NOON + 65 * MINUTE) == 0
    # The check's row and its service's.
    assert hours_sum(now=NOON + 66 * MINUTE) == 2
    assert hours_of(check) == {NOON: {"up": 1_800, "down": 1_800}}
    assert summed_from(check)[1] == NOON + HOUR
    assert hours_sum(now=NOON + 66 * MINUTE) == 0


def test_an_hour_waits_for_its_minutes() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    minutes_sum(now=NOON + 59 * MINUTE)
    assert hours_sum(now=NOON + 70 * MINUTE) == 0


def test_an_hour_follows_a_change_dated_back_into_it() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    minutes_sum(now=NOON + 70 * MINUTE)
    hours_sum(now=NOON + 70 * MINUTE)
    change(check, "down", NOON + 50 * MINUTE, at=NOON + 71 * MINUTE)
    minutes_sum(now=NOON + 72 * MINUTE)
    assert summed_from(check)[1] == NOON
    assert hours_sum(now=NOON + 72 * MINUTE) == 2
    assert hours_of(check) == {NOON: {"up": 3_000, "down": 600}}


def test_hours_are_the_sums_of_their_minutes() -> None:
    rng = random.Random(7)
    check = make_check("pg")
    window(NOON + 40 * MINUTE, NOON + 80 * MINUTE, check)
    at = NOON
    while at < NOON + 3 * HOUR:
        change(check, rng.choice(["up", "degraded", "down", "unreachable", "unknown"]), at)
        at += rng.randint(1, 900) * SECOND
    minutes_sum(now=NOON + 4 * HOUR)
    hours_sum(now=NOON + 4 * HOUR + 10 * MINUTE)
    minutes = minutes_of(check)
    for hour, sums in hours_of(check).items():
        within = [row for minute, row in minutes.items() if hour <= minute < hour + HOUR]
        for column in COLUMNS:
            expected = sum(row.get(column, 0) for row in within)
            assert sums.get(column, 0) == pytest.approx(expected, abs=0.01)


def test_a_service_is_in_the_state_of_its_worst_critical_check() -> None:
    first, second = make_check("pg"), make_check("api")
    beside = make_check("disk", critical=False)
    for each in (first, second, beside):
        change(each, "up", NOON)
    change(beside, "down", NOON + MINUTE)
    change(first, "down", NOON + 10 * MINUTE)
    change(first, "up", NOON + 20 * MINUTE)
    change(second, "down", NOON + 15 * MINUTE)
    change(second, "up", NOON + 25 * MINUTE)
    change(second, "degraded", NOON + 50 * MINUTE)
    minutes_sum(now=NOON + 66 * MINUTE)
    hours_sum(now=NOON + 66 * MINUTE)
    assert service_hours_of("planner") == {NOON: {"up": 35 * 60, "down": 15 * 60, "degraded": 600}}


def test_latencies_of_an_hour_are_counted_as_the_domain_counts_them() -> None:
    rng = random.Random(3)
    check = make_check("pg")
    change(check, "up", NOON)
    values = [math.exp(rng.uniform(math.log(0.005), math.log(600_000))) for _ in range(150)]
    results(check, [(NOON + n * 20 * SECOND, "up", value) for n, value in enumerate(values)])
    results(
        check,
        [
            (NOON + SECOND, "down", 5.0),
            (NOON + 2 * SECOND, "degraded", None),
            (NOON + HOUR, "up", 1.0),
        ],
    )
    minutes_sum(now=NOON + 66 * MINUTE)
    hours_sum(now=NOON + 66 * MINUTE)
    row = CheckHour.objects.get(check_id=check.id)
    expected: dict[int, int] = {}
    for value in values:
        expected[latency.bucket(value)] = expected.get(latency.bucket(value), 0) + 1
    assert {int(index): count for index, count in row.latency_counts.items()} == expected
    assert row.runs == 150
    assert row.latency_sum == pytest.approx(sum(values), rel=1e-5)


def test_latencies_stay_when_their_results_are_gone() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    results(check, [(NOON + MINUTE, "up", 12.0)])
    minutes_sum(now=NOON + 66 * MINUTE)
    hours_sum(now=NOON + 66 * MINUTE)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE health_checkresult")
    change(check, "down", NOON + 10 * MINUTE)
    minutes_sum(now=NOON + 67 * MINUTE)
    hours_sum(now=NOON + 67 * MINUTE)
    row = CheckHour.objects.get(check_id=check.id)
    assert (row.runs, row.down) == (1, 3_000)


def test_a_window_over_past_time_is_counted_after_a_recount() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    change(check, "down", NOON + 10 * MINUTE)
    change(check, "up", NOON + 70 * MINUTE)
    minutes_sum(now=NOON + 3 * HOUR)
    hours_sum(now=NOON + 3 * HOUR)
    window(NOON + 5 * MINUTE, NOON + 75 * MINUTE)
    (changed,) = health_recount(since=NOON, until=NOON + 2 * HOUR, now=NOON + 3 * HOUR)
    assert (changed.name, changed.before.down, changed.after.down) == ("pg", 3_600, 0)
    assert changed.after.maintenance_down == 3_600
    assert hours_of(check)[NOON] == {"up": 300, "maintenance_up": 300, "maintenance_down": 3_000}
    assert minutes_of(check)[NOON + 70 * MINUTE] == {"maintenance_up": 60}
    assert service_hours_of("planner")[NOON]["maintenance_down"] == 3_000
    assert list(health_recount(since=NOON, until=NOON + 2 * HOUR, now=NOON + 3 * HOUR)) == []


def test_a_recount_reaches_further_back_than_minutes_are_kept() -> None:
    start = NOON - 40 * DAY
    check = make_check("pg", since=start)
    change(check, "up", start)
    minutes_sum(now=NOON, budget_seconds=120)
    hours_sum(now=NOON, budget_seconds=120)
    window(start + HOUR, start + 3 * HOUR, check)
    (changed,) = health_recount(since=start, until=start + 5 * HOUR, now=NOON)
    assert changed.after.maintenance_up == 7_200
    assert hours_of(check)[start + HOUR] == {"maintenance_up": 3_600}
    assert min(minutes_of(check)) > NOON - 9 * DAY


def test_pruning_leaves_what_was_written_last_although_its_time_is_earlier() -> None:
    start = NOON - 200 * DAY
    check = make_check("pg", since=start)
    change(check, "up", start)
    change(check, "down", start + 2 * DAY, at=start + 2 * DAY)
    change(check, "unknown", start + DAY, at=start + 3 * DAY)
    history_prune(now=NOON)
    assert [row.state for row in StateChange.objects.all()] == ["unknown"]


def test_the_command_says_what_changed() -> None:
    partitions.forget_known()
    now = datetime.now(NOON.tzinfo).replace(second=0, microsecond=0)
    start = now.replace(minute=0) - 3 * HOUR
    check = make_check("pg", since=start)
    other = make_check("api", since=start)
    for each in (check, other):
        change(each, "up", start)
    change(check, "down", start + 10 * MINUTE)
    change(check, "up", start + 20 * MINUTE)
    minutes_sum(now=now)
    hours_sum(now=now)
    window(start, start + HOUR, check)
    said = io.StringIO()
    call_command(
        "health_recount", since=start.isoformat(), until=(start + HOUR).isoformat(), stdout=said
    )
    assert said.getvalue().splitlines() == [
        "pg: 83.333 % → n/a (up 3000 s → 0 s, down 600 s → 0 s, "
        "maintenance_up 0 s → 3000 s, maintenance_down 0 s → 600 s)",
        "1 check changed.",
    ]
    with pytest.raises(CommandError, match="There is no check 'nope'"):
        call_command("health_recount", since="24h", check=["nope"])
    with pytest.raises(CommandError, match="is not a time"):
        call_command("health_recount", since="yesterday")
    with pytest.raises(CommandError, match="must lie before"):
        call_command("health_recount", since="1h", until="2h")

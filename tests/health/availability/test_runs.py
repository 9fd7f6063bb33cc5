"""Runs that answered, and slow ones: the same from hours as from single results."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from health.choices import ResultStatus
from health.domain.latency import bucket, upper_ms
from health.models import Check, CheckHour, CheckStatus, Maintenance
from health.selectors.runs import AskedRuns, RunBand, run_bands
from health.services.hours import hours_sum
from health.services.maintenance import maintenance_create, maintenance_delete
from health.services.minutes import minutes_sum
from tests.health.availability.fleet import (
    ACTOR,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    change,
    make_check,
    results,
)

pytestmark = pytest.mark.usefixtures("store")

Run = tuple[datetime, str, float | None]
NOW = NOON + 3 * HOUR + 10 * MINUTE
SLOW = AskedRuns("planner", bucket(100.0) + 1)


def summed(now: datetime) -> None:
    minutes_sum(now=now)
    hours_sum(now=now)


def counts(asked: AskedRuns, bounds: Sequence[datetime]) -> list[tuple[int, int]]:
    """Of each band the slow runs and all."""
    return filled(run_bands([asked], bounds)[0], len(bounds) - 1)


def filled(bands: Sequence[RunBand], length: int) -> list[tuple[int, int]]:
    found = {each.band: (each.slow, each.runs) for each in bands}
    return [found.get(number, (0, 0)) for number in range(length)]


def results_forgotten() -> None:
    """As retention drops them."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE health_checkresult")


def random_runs(rng: random.Random, since: datetime, until: datetime) -> list[Run]:
    """About two a minute, with pauses, of any outcome, quick and slow, some exactly on the hour."""
    found: list[Run] = []
    at = since
    while at < until:
        status = rng.choice(["up"] * 6 + ["degraded", "down", "internal_error"])
        answered = rng.random() < 0.95
        found.append((at, status, rng.uniform(20, 300) if answered else None))
        at += timedelta(milliseconds=rng.choice([30_000, 29_123, 61_001, 7 * 60_000]))
        if at.minute == 59:
            at = at.replace(minute=0, second=0, microsecond=0) + HOUR
    return found


def told(
    runs: dict[Check, list[Run]],
    covered: dict[Check, list[tuple[datetime, datetime]]],
    bounds: Sequence[datetime],
    slow_from: int,
) -> list[tuple[int, int]]:
    """The model: each single run, looked at by itself."""
    found = []
    for since, until in pairwise(bounds):
        chosen = [
            latency
            for check, rows in runs.items()
            for at, status, latency in rows
            if since <= at < until
            and status in (ResultStatus.UP, ResultStatus.DEGRADED)
            and latency is not None
            and not any(start <= at < end for start, end in covered.get(check, []))
        ]
        found.append((sum(bucket(each) >= slow_from for each in chosen), len(chosen)))
    return found


def test_any_cut_of_time_has_the_runs_of_a_model_from_results_and_from_hours() -> None:
    rng = random.Random(11)
    first, second, other = make_check("pg"), make_check("api"), make_check("far", service="far")
    beside = make_check("disk", critical=False)
    since = NOON - 2 * HOUR
    runs = {each: random_runs(rng, since, NOW) for each in (first, second, other, beside)}
    for check, rows in runs.items():
        change(check, "up", since)
        results(check, rows)
    spans = [(NOON - 70 * MINUTE, NOON - 20 * MINUTE), (NOON + HOUR, NOON + 2 * HOUR)]
    for number, (start, end) in enumerate([*spans, (NOON + 5 * MINUTE, NOON + 9 * MINUTE)]):
        row = Maintenance.objects.create(
            name=f"w{number}", kind="single", starts_at=start, ends_at=end, reason="r", actor="a",
            created_at=since,
        )  # fmt: skip
        row.checks.set([first] if number < 2 else [])
        row.services.set([] if number < 2 else [first.service])
    shared = (NOON + 5 * MINUTE, NOON + 9 * MINUTE)
    covered = {first: [*spans, shared], second: [shared]}
    mine = {each: runs[each] for each in (first, second)}
    asked = [SLOW, AskedRuns("planner", bucket(200.0) + 1), AskedRuns("far", bucket(50.0) + 1)]
    asked.append(AskedRuns("nobody", 3))
    cuts = [
        [since, NOW],
        [since, NOON - HOUR, NOON, NOON + HOUR, NOON + 3 * HOUR, NOW],
        [since + n * MINUTE for n in range(311)],
        sorted({since + rng.randrange(310) * MINUTE for _ in range(9)} | {NOW}),
    ]
    for step in range(3):
        # At first no hour is summed up, then some of one check, then all of both.
        if step == 1:
            summed(NOW)
            CheckStatus.objects.filter(check_row=second).update(hours_from=NOON)
        elif step == 2:
            summed(NOW)
        for bounds in cuts:
            found = [filled(each, len(bounds) - 1) for each in run_bands(asked, bounds)]
            for each, bands in zip(asked[:2], found, strict=False):
                assert bands == told(mine, covered, bounds, each.slow_from)
            assert found[2] == told({other: runs[other]}, {}, bounds, asked[2].slow_from)
            assert {sum(each) for each in found[3]} == {0}


def test_a_run_is_slow_above_the_bound_of_its_bucket_wherever_it_is_read_from() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    # Of each bucket the longest latency that it counts, as it is stored, and one just above.
    at, rows = NOON, []
    for index in range(60, 110):
        for latency in (upper_ms(index) * (1 - 1e-6), upper_ms(index) * (1 + 1e-6)):
            rows.append((at, "up", latency))
            at += 10 * SECOND
    results(check, rows)
    asked = [AskedRuns("planner", index + 1) for index in range(60, 110)]
    bounds = [NOON, NOON + HOUR]
    by_results = run_bands(asked, bounds)
    summed(NOW)
    assert run_bands(asked, bounds) == by_results
    results_forgotten()
    assert run_bands(asked, bounds) == by_results
    assert [bands[0].slow for bands in by_results] == [
        sum(latency > upper_ms(index) for _, _, latency in rows) for index in range(60, 110)
    ]  # fmt: skip


def test_where_the_results_of_a_cut_hour_are_gone_its_runs_count_at_its_beginning() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    results(check, [(NOON + n * 10 * MINUTE, "up", 150.0 if n % 2 else 9.0) for n in range(19)])
    summed(NOW)
    bounds = [NOON, NOON + 25 * MINUTE, NOON + HOUR, NOON + 2 * HOUR]
    assert counts(SLOW, bounds) == [(1, 3), (2, 3), (3, 6)]
    results_forgotten()
    assert counts(SLOW, bounds) == [(3, 6), (0, 0), (3, 6)]
    # The same where its hours are to be summed up again.
    CheckStatus.objects.update(hours_from=NOON)
    assert counts(SLOW, bounds) == [(3, 6), (0, 0), (3, 6)]


def test_maintenance_that_is_planned_for_the_past_is_taken_out_and_put_back() -> None:
    check = make_check("pg")
    change(check, "up", NOON)
    results(check, [(NOON + n * 10 * MINUTE, "up", 150.0) for n in range(18)])
    summed(NOW)
    bounds = [NOON, NOON + HOUR, NOON + 2 * HOUR, NOW]
    assert counts(SLOW, bounds) == [(6, 6), (6, 6), (6, 6)]
    window = maintenance_create(
        name="night", kind="single", reason="r", starts_at=NOON + 30 * MINUTE,
        ends_at=NOON + 2 * HOUR, services=["planner"], actor=ACTOR, now=NOW,
    )  # fmt: skip
    summed(NOW)
    assert counts(SLOW, bounds) == [(3, 3), (0, 0), (6, 6)]
    row = CheckHour.objects.get(check_id=check.id, hour=NOON)
    # The percentiles of a check are of all its runs.
    assert (row.runs, sum(row.latency_counts.values())) == (6, 6)
    assert sum(row.maintenance_latency_counts.values()) == 3
    maintenance_delete(maintenance_id=window.id, reason="it never was", actor=ACTOR, now=NOW)
    summed(NOW)
    assert counts(SLOW, bounds) == [(6, 6), (6, 6), (6, 6)]


def test_an_hour_that_turns_out_to_be_maintenance_after_its_results_are_gone_counts_for_nothing() -> (
    None
):
    check = make_check("pg")
    change(check, "up", NOON)
    results(check, [(NOON + n * 10 * MINUTE, "up", 150.0) for n in range(12)])
    summed(NOW)
    results_forgotten()
    maintenance_create(
        name="night", kind="single", reason="r", starts_at=NOON - MINUTE,
        ends_at=NOON + 90 * MINUTE, actor=ACTOR, now=NOW,
    )  # fmt: skip
    summed(NOW)
    # Which runs of the second hour were before its end, nobody knows any more: all count.
    assert counts(SLOW, [NOON, NOON + HOUR, NOON + 2 * HOUR]) == [(0, 0), (6, 6)]


def test_as_many_queries_are_asked_for_many_as_for_one() -> None:
    make_check("pg")
    bounds = [NOON - n * DAY for n in range(30, -1, -1)]
    with CaptureQueriesContext(connection) as one:
        run_bands([SLOW], bounds)
    asked = [SLOW]
    for number in range(20):
        make_check(f"c{number}", service=f"s{number}")
        asked.append(AskedRuns(f"s{number}", number))
    with CaptureQueriesContext(connection) as many:
        run_bands(asked, bounds)
    assert len(one) == len(many) == 3
    assert run_bands([AskedRuns("nobody", 1)], bounds) == [[]]

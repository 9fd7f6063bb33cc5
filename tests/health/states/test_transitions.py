"""A check's state with thresholds, flapping, gaps and clocks, as it is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from health.models import CheckStatus, Maintenance
from health.services.staleness import clock_mend
from tests.health.world import SECOND, START, World

pytestmark = pytest.mark.django_db(transaction=True)


def test_down_is_confirmed_by_the_threshold_and_dated_back() -> None:
    world = World()
    world.check("page", failures_to_down=3)
    world.run(60)
    world.down = {"page"}
    world.run(40)
    first = world.runs("page", "down")[0]
    world.run(30)
    assert world.state("page") == "down"
    assert world.status("page").since == first
    assert world.changes("page")[-1] == ("up", "down", first)
    assert world.status("page").minutes_from <= first


def test_a_suspicion_is_probed_faster_and_a_dead_target_slower() -> None:
    world = World()
    world.check("page", interval=60)
    world.run(120)
    world.down = {"page"}
    world.run(90)
    runs = world.runs("page", "down")
    assert world.state("page") == "down"
    assert [runs[1] - runs[0], runs[2] - runs[1]] == [5 * SECOND] * 2
    world.run(3600)
    runs = world.runs("page", "down")
    assert runs[-1] - runs[-2] > timedelta(seconds=200)


def test_errors_of_the_check_itself_are_no_outage_but_end_in_unknown() -> None:
    world = World()
    world.check("page")
    world.run(60)
    world.broken = {"page"}
    world.run(60)
    assert world.state("page") == "up"
    world.run(60)
    assert world.mark_stale() == 1
    assert world.state("page") == "unknown"
    assert world.outages("page") == []
    heard = world.status("page").last_conclusive_at
    assert heard is not None
    assert world.changes("page")[-1] == ("up", "unknown", heard + timedelta(seconds=30))


def test_withheld_results_change_nothing() -> None:
    world = World()
    world.check("page")
    world.run(60)
    world.down = {"page"}
    world.online = False
    world.run(60)
    assert world.state("page") == "up"
    assert world.status("page").failures == 0
    world.online = True
    world.run(60)
    assert world.state("page") == "down"


def test_a_time_without_any_worker_is_unknown_from_its_beginning() -> None:
    world = World()
    world.check("page")
    world.run(60)
    world.pass_by(3600)
    assert world.mark_stale() == 1
    world.run(30)
    heard = [c for c in world.changes("page") if c[1] == "unknown"]
    assert heard[0][2] < START + timedelta(seconds=100)
    assert world.state("page") == "up"
    assert world.changes("page")[-1][2] > START + timedelta(seconds=3600)


def test_an_outage_that_was_open_before_a_gap_goes_on_as_one() -> None:
    world = World()
    world.check("page")
    world.run(60)
    world.down = {"page"}
    world.run(120)
    world.pass_by(3600)
    world.mark_stale()
    world.run(120)
    assert world.state("page") == "down"
    assert len(world.outages("page")) == 1
    assert world.alerts() == ["page"]


def test_a_clock_that_goes_back_delays_nothing() -> None:
    world = World()
    world.check("page")
    world.run(60)
    world.now -= timedelta(days=1)
    assert clock_mend(now=world.now) == 1
    world.down = {"page"}
    world.run(60)
    assert world.state("page") == "down"


def test_a_flapping_check_says_so_once_and_alerts_when_it_stays_down() -> None:
    world = World()
    world.check("page", failures_to_down=1, successes_to_up=1, settle_seconds=20, interval=5)
    world.run(120)

    def flip() -> None:
        world.down ^= {"page"}

    for _ in range(14):
        world.run(5, None)
        flip()
    world.run(25)
    assert world.status("page").flapping
    assert len(world.told("flapping_started")) == 1
    world.down = {"page"}
    world.run(300)
    assert not world.status("page").flapping
    assert len(world.told("flapping_ended")) == 1
    assert world.alerts() == ["page"]


def test_maintenance_hides_the_alert_but_neither_probing_nor_history() -> None:
    world = World()
    world.check("page")
    world.run(60)
    Maintenance.objects.create(
        name="release",
        kind="single",
        starts_at=world.now,
        ends_at=world.now + timedelta(seconds=300),
        everything=True,
        reason="release",
        actor="test",
        created_at=world.now,
    )
    world.down = {"page"}
    world.run(120)
    assert world.state("page") == "maintenance"
    assert world.status("page").own_state == "down"
    assert world.outages("page")[0].held_by == "maintenance"
    assert world.alerts() == []
    assert len(world.runs("page", "down")) >= 5
    world.run(240)
    assert world.state("page") == "down"
    assert world.alerts() == ["page"]


def test_a_result_under_an_old_claim_is_dropped() -> None:
    from health.services.claims import claim_due
    from health.services.results import Result, results_record

    world = World()
    world.check("page")
    world.pass_by(1)
    (stale,) = claim_due(now=world.now, until=world.now, limit=10)
    assert claim_due(now=world.now, until=world.now, limit=10) == []
    world.pass_by(3600)
    (fresh,) = claim_due(now=world.now, until=world.now, limit=10)
    late = Result(stale, world.now, "down", "late")
    assert results_record(results=[late], now=world.now, rng=world.rng) == []
    good = Result(fresh, world.now, "up")
    assert results_record(results=[good], now=world.now, rng=world.rng) == [fresh.check_id]
    assert len(world.runs("page", "up")) == 1
    assert world.runs("page", "down") == []


def test_a_change_and_its_row_are_written_together_or_not_at_all() -> None:
    from django.db import connection

    world = World()
    world.check("page", failures_to_down=1)
    world.run(60)
    before = world.changes("page")
    world.down = {"page"}
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE health_statechange ADD CONSTRAINT refuse CHECK (state <> 'down') NOT VALID"
        )
    try:
        with pytest.raises(Exception, match="refuse"):
            world.run(40)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE health_statechange DROP CONSTRAINT refuse")
    assert world.changes("page") == before
    assert world.state("page") == "up"
    assert CheckStatus.objects.get().own_state == "up"
    assert world.runs("page", "down") == []


def test_a_check_that_is_switched_off_is_unknown_and_its_outage_ends() -> None:
    world = World()
    check = world.check("page")
    world.run(60)
    world.down = {"page"}
    world.run(120)
    assert world.alerts() == ["page"]
    check.enabled = False
    check.save()
    CheckStatus.objects.filter(check_row=check).update(next_due_at=None)
    with transaction.atomic():
        world.evaluate()
    assert world.state("page") == "unknown"
    assert world.outages("page")[0].ended_at == world.now
    assert world.recoveries() == ["page"]

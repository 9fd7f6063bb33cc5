"""What happens to a check while a run of it is under way, and what its result may still change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from health.domain.latency import bucket
from health.models import CheckHour, CheckResult, CheckStatus, Maintenance
from health.services.checks import check_delete, check_update
from health.services.claims import Claim, claim_due, claim_one
from health.services.hours import hours_sum
from health.services.minutes import minutes_sum
from health.services.results import Result, results_record
from health.services.staleness import clock_mend
from resilience_site.core.audit import Actor
from tests.health.world import SECOND, World

pytestmark = pytest.mark.django_db(transaction=True)


def change(world: World, name: str, **changes: Any) -> None:
    check_update(
        check_id=world.checks[name].id,
        changes=changes,
        actor=Actor.system("test"),
        now=world.now,
    )


def claim(world: World) -> Claim:
    (found,) = claim_due(now=world.now, until=world.now, limit=10)
    return found


def record(world: World, claim: Claim, status: str, **more: Any) -> bool:
    result = Result(claim, more.pop("started_at", world.now), status, **more)
    return bool(results_record(results=[result], now=world.now, rng=world.rng))


def test_a_check_that_is_switched_on_during_a_run_by_hand_stays_on() -> None:
    world = World()
    world.check("page")
    world.run(60)
    change(world, "page", enabled=False)
    by_hand = claim_one(check_id=world.checks["page"].id, now=world.now)
    assert by_hand is not None
    world.pass_by(2)
    change(world, "page", enabled=True)
    record(world, by_hand, "up")
    assert world.status("page").next_due_at is not None
    world.run(60)
    assert world.state("page") == "up"


def test_an_interval_that_is_shortened_during_a_run_holds_from_then_on() -> None:
    world = World()
    world.check("page", interval=86_400)
    world.pass_by(1)
    running = claim(world)
    change(world, "page", interval_seconds=60)
    world.pass_by(1)
    record(world, running, "up")
    due = world.status("page").next_due_at
    assert due is not None
    assert due <= world.now + 60 * SECOND


def test_a_run_that_outlasts_the_patience_with_its_check_leaves_no_state_behind() -> None:
    world = World()
    world.check("page")
    world.run(40)
    world.broken = {"page"}
    world.run(70)
    world.pass_by(30)
    running = claim(world)
    assert world.mark_stale() == 1
    assert world.state("page") == "unknown"
    world.broken = set()
    record(world, running, "up")
    world.run(5)
    assert (world.status("page").own_state, world.state("page")) == ("up", "up")


def test_a_result_counts_once() -> None:
    world = World()
    world.check("page", failures_to_down=1, successes_to_up=1)
    world.pass_by(1)
    running = claim(world)
    assert record(world, running, "up")
    assert not record(world, running, "up", started_at=world.now + SECOND)
    assert CheckResult.objects.filter(check_id=running.check_id).count() == 1


def test_the_result_of_a_check_that_was_deleted_is_dropped() -> None:
    world = World()
    check = world.check("page")
    world.pass_by(1)
    running = claim(world)
    check_delete(check_id=check.id, actor=Actor.system("test"), now=world.now)
    assert not record(world, running, "down")
    assert not CheckResult.objects.filter(check_id=running.check_id).exists()


@pytest.mark.parametrize("words", ["nothing\x00here", "half a pair \ud83d of a character"])
def test_words_that_cannot_be_stored_are_mended_wherever_they_go(words: str) -> None:
    world = World()
    world.check("page", failures_to_down=1)
    world.pass_by(1)
    memory = {"last": words}
    observed = {words: {"value": 1.0, "unit": "1"}}
    running = claim(world)
    assert record(world, running, "down", output=words, memory=memory, observed=observed)
    assert world.state("page") == "down"
    assert world.status("page").last_output.startswith(words[:7])
    assert list(world.status("page").memory) == ["last"]


def test_numbers_that_json_does_not_know_are_kept_from_the_results() -> None:
    world = World()
    world.check("page")
    world.pass_by(1)
    observed = {"size": {"value": 2**70, "unit": "bytes"}}
    assert record(world, claim(world), "up", observed=observed)
    assert world.status("page").last_observed["size"]["value"] == pytest.approx(2**70)


def test_a_parent_that_recovers_beneath_its_maintenance_has_its_children_looked_at() -> None:
    world = World()
    world.check("database")
    world.check("page", "database", settle_seconds=15)
    world.run(60)
    window = Maintenance.objects.create(
        name="upgrade",
        kind="single",
        starts_at=world.now,
        ends_at=world.now + timedelta(hours=10),
        reason="upgrade",
        actor="test",
        created_at=world.now,
    )
    window.checks.set([world.checks["database"]])
    world.down = {"database", "page"}
    world.run(1800)
    assert (world.state("database"), world.state("page")) == ("maintenance", "unreachable")
    world.down = set()
    world.run(240)
    assert world.state("page") == "up"
    assert world.alerts() == []


def test_a_clock_that_goes_back_holds_no_alert_back() -> None:
    world = World()
    world.check("page", failures_to_down=1, settle_seconds=60)
    world.run(60)
    world.down = {"page"}
    world.run(31)
    assert world.alerts() == []
    world.now -= timedelta(days=1)
    clock_mend(now=world.now)
    world.run(70)
    assert world.alerts() == ["page"]


def test_a_clock_that_was_set_between_two_results_makes_no_partitions_in_between() -> None:
    world = World()
    world.check("page")
    world.check("shop")
    world.pass_by(1)
    claims = claim_due(now=world.now, until=world.now, limit=10)
    results = [
        Result(claims[0], world.now - timedelta(days=60), "up"),
        Result(claims[1], world.now, "up"),
    ]
    assert len(results_record(results=results, now=world.now, rng=world.rng)) == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", ["health_checkresult_20260120"])
        assert cursor.fetchone() == (None,)


def test_a_result_that_is_stored_after_its_hour_was_summed_up_has_it_summed_up_again() -> None:
    world = World()
    noon, one = world.now, world.now + timedelta(hours=1)
    world.check("page", interval=600)
    world.run(1)
    world.pass_by(50 * 60)
    claimed, began = claim(world), world.now
    # The database is away until twenty minutes past.
    world.now = one + timedelta(minutes=20)
    minutes_sum(now=world.now)
    hours_sum(now=world.now)
    assert world.status("page").hours_from == one
    assert record(world, claimed, "up", started_at=began, latency_ms=30.0)
    assert world.status("page").hours_from == noon
    hours_sum(now=world.now)
    assert CheckHour.objects.get().latency_counts == {
        str(bucket(12.5)): 1, str(bucket(30.0)): 1,
    }  # fmt: skip
    # One of an hour that is not summed up changes nothing.
    world.now += timedelta(minutes=20)
    assert record(world, claim(world), "up", latency_ms=30.0)
    assert world.status("page").hours_from == one


def test_an_unknown_check_is_known_again_by_its_next_result() -> None:
    world = World()
    world.check("page")
    world.run(60)
    world.pass_by(3600)
    world.mark_stale()
    assert CheckStatus.objects.get().own_state == "unknown"
    world.run(2)
    assert world.state("page") == "up"


def test_a_check_that_is_asked_less_often_waits_for_no_lock_before_it_is_stale() -> None:
    world = World()
    world.check("page")
    world.run(60)
    world.down = {"page"}
    world.run(1200)
    heard = world.status("page").last_conclusive_at
    assert heard is not None
    world.now = heard + 100 * SECOND
    with CaptureQueriesContext(connection) as asked:
        assert world.mark_stale() == 0
    assert len(asked) == 1

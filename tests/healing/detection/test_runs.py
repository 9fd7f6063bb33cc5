"""What is detected is healed: from the failure to the end of the run, and what comes after."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from healing.choices import OpportunityState, RunState
from healing.models import HealingRun, Opportunity
from healing.services.failure_detector import failures_detect
from healing.services.recovery_orchestrator import run_cancel, run_look, run_refuse
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from tests.healing.detection.scene import opportunities
from tests.healing.engine.scenes import Stage, stage, step, workflow
from tests.health.world import World

__all__ = ["stage"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stage")]
ANN = Actor(ActorKind.USER, "ann")
GUARDS = {"cooldown_seconds": 60}


@pytest.fixture
def world(db: None) -> World:
    """A service whose check fails, beside one that is well."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    made = World()
    made.check("api", interval=5, service="shop", failures_to_down=2, settle_seconds=0)
    made.check("cellar", interval=5, service="cellar")
    failures_detect(now=made.now)
    made.down.add("api")
    made.run(15)
    return made


def tick(world: World) -> None:
    """What the beat does every second."""
    failures_detect(now=world.now)
    for run in HealingRun.objects.filter(due_at__lte=world.now):
        run_look(run.pk, now=lambda: world.now)


def mended(world: World) -> None:
    """The next act mends the check."""
    from tests.healing.engine import scenes

    scenes.STAGE.on_act = lambda _: world.down.discard("api")


def runs() -> list[HealingRun]:
    return list(HealingRun.objects.filter(dry_run=False).order_by("created_at", "id"))


def kinds() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind FROM core_journalentry WHERE topic = 'healing' "
            "AND kind NOT IN ('run.step', 'run.started', 'run.verifying') ORDER BY id"
        )
        return [kind for (kind,) in cursor.fetchall()]


def test_a_failed_check_is_healed_and_verified_without_a_person(world: World) -> None:
    workflow(step("test_left"), now=world.now)
    mended(world)
    world.run(45, lambda: tick(world))
    [run] = runs()
    assert run.state == RunState.SUCCEEDED, run.outcome
    assert run.requested_by == "healing"
    assert run.trigger["text"].startswith("Check api of shop is down")
    assert run.ended_at is not None
    assert run.ended_at - run.created_at < timedelta(seconds=20)
    assert opportunities() == [("heal_it", "shop", "taken")]
    assert kinds() == ["opportunity.opened", "run.created", "run.succeeded"]


def test_what_fails_on_is_tried_again_after_the_cooldown(world: World) -> None:
    verification = {"timeout_seconds": 10, "passes": 1}
    workflow(step("test_left"), now=world.now, guards=GUARDS, verification=verification)
    world.run(30, lambda: tick(world))
    first = runs()[0]
    assert first.state == RunState.ESCALATED
    row = Opportunity.objects.get()
    assert (row.state, row.refused_by) == (OpportunityState.OPEN, "cooldown")
    mended(world)
    world.run(80, lambda: tick(world))
    acted = [each for each in runs() if not each.refused_by]
    assert [each.state for each in acted] == [RunState.ESCALATED, RunState.SUCCEEDED]
    assert acted[1].created_at - (first.ended_at or world.now) >= timedelta(seconds=60)
    # However often it was judged meanwhile, one run tells that it was refused.
    assert [each.refused_by for each in runs()] == ["", "cooldown", ""]


def test_what_fails_again_within_half_an_hour_was_not_healed(world: World) -> None:
    workflow(step("test_left"), now=world.now, guards={"cooldown_seconds": 3600})
    mended(world)
    world.run(30, lambda: tick(world))
    [run] = runs()
    assert run.state == RunState.SUCCEEDED
    assert run.failed_again_at is None
    world.pass_by(20 * 60)
    world.run(5, lambda: tick(world))
    began = world.now
    world.down.add("api")
    world.run(20, lambda: tick(world))
    run.refresh_from_db()
    assert run.failed_again_at is not None
    assert run.failed_again_at >= began
    assert "run.failed_again" in kinds()
    assert kinds().count("run.failed_again") == 1


def test_a_heal_that_held_for_half_an_hour_is_one(world: World) -> None:
    workflow(step("test_left"), now=world.now, guards={"cooldown_seconds": 3600})
    mended(world)
    world.run(30, lambda: tick(world))
    world.pass_by(31 * 60)
    world.run(5, lambda: tick(world))
    world.down.add("api")
    world.run(20, lambda: tick(world))
    assert [each.failed_again_at for each in runs() if not each.refused_by] == [None]


def test_a_failure_after_a_heal_is_found_by_a_detector_that_was_away(world: World) -> None:
    workflow(step("test_left"), now=world.now)
    mended(world)
    world.run(30, lambda: tick(world))
    world.down.add("api")
    world.run(15)
    world.down.clear()
    world.run(15)
    world.pass_by(3 * 3600)
    failures_detect(now=world.now)
    assert runs()[0].failed_again_at is not None


def test_approval_is_asked_for_once_and_a_no_holds_as_long_as_the_failure(world: World) -> None:
    workflow(step("test_left"), now=world.now, mode="approve", guards={"cooldown_seconds": 0})
    world.run(15, lambda: tick(world))
    [run] = runs()
    assert run.state == RunState.WAITING_APPROVAL
    run_refuse(run_id=run.pk, reason="not now", actor=ANN, role=Role.OPERATOR, now=world.now)
    world.run(30, lambda: tick(world))
    assert len(runs()) == 1
    world.down.clear()
    world.run(20, lambda: tick(world))
    world.down.add("api")
    world.run(20, lambda: tick(world))
    assert [each.state for each in runs()] == [RunState.CANCELLED, RunState.WAITING_APPROVAL]


def test_a_run_that_a_person_cancelled_is_not_begun_again(world: World) -> None:
    workflow(step("test_left"), now=world.now, mode="approve", guards={"cooldown_seconds": 0})
    world.run(5, lambda: tick(world))
    [run] = runs()
    run_cancel(run_id=run.pk, reason="I look", actor=ANN, role=Role.OPERATOR, now=world.now)
    world.run(30, lambda: tick(world))
    assert len(runs()) == 1


def test_observing_notes_what_would_have_been_done_once(world: World, stage: Stage) -> None:
    workflow(step("test_left", "pool"), now=world.now, mode="observe")
    world.run(40, lambda: tick(world))
    assert stage.log == []
    [dry] = HealingRun.objects.filter(dry_run=True)
    assert dry.state == RunState.SUCCEEDED
    assert [each.output for each in dry.steps.all()] == ["would test_left pool of shop"]
    assert opportunities() == [("heal_it", "shop", "open")]
    assert [(each.state, each.refused_by) for each in runs()] == [("cancelled", "mode")]


def test_the_workflow_that_goes_first_goes_first(world: World) -> None:
    late = workflow(step("test_left", "late"), now=world.now, name="a_late")
    first = workflow(step("test_left", "first"), now=world.now, name="z_first")
    type(late).objects.filter(pk=late.pk).update(priority=100)
    type(late).objects.filter(pk=first.pk).update(priority=10)
    world.run(3, lambda: tick(world))
    assert [each.workflow for each in runs() if not each.refused_by] == ["z_first"]
    assert Opportunity.objects.get(workflow=late).refused_by == "target_lock"


def test_an_opportunity_that_ends_is_not_tried(world: World) -> None:
    workflow(step("test_left"), now=world.now, mode="suggest")
    world.run(5, lambda: tick(world))
    assert Opportunity.objects.get().refused_by == "mode"
    world.down.clear()
    world.run(20, lambda: tick(world))
    assert opportunities() == [("heal_it", "shop", "ended")]
    assert not any(run.started_at for run in runs())

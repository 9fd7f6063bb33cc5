"""Runs from their start to their ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from breakers.domain.keys import breaker_key
from breakers.models import Breaker
from healing.choices import RunState, StepState
from healing.domain.subject import Subject
from healing.models import HealingRun
from healing.services.recovery_orchestrator import run_look, run_start, runs_due
from resilience_site.core import journal
from tests.healing.engine.scenes import (
    SITE,
    Stage,
    begun,
    followed,
    fresh,
    states,
    step,
    steps_of,
    subject,
    workflow,
)
from tests.health.world import World

pytestmark = pytest.mark.django_db


def kinds(run: HealingRun) -> list[str]:
    """What the journal tells of a run, without its steps."""
    found = [each for each in journal.read(0, ["healing"]) if each.key == str(run.pk)]
    return [each.kind for each in found if each.kind != "run.step"]


def test_a_run_acts_in_order_verifies_by_passes_of_the_check_and_succeeds(
    world: World, stage: Stage
) -> None:
    flow = workflow(step("test_left", "one"), step("test_left", "two"), now=world.now)
    stage.on_act = lambda thing: world.down.discard("api") if thing == "two" else None
    run = run_start(workflow=flow, subject=subject(world), actor=SITE, now=world.now)
    assert run.state == RunState.PENDING
    began = world.now
    assert run_look(run.pk, now=lambda: world.now)
    assert fresh(run).state == RunState.VERIFYING
    assert stage.log == ["test_left one", "test_left two"]
    run = followed(run, world)
    assert (run.state, run.passes) == (RunState.SUCCEEDED, 2)
    assert "passed 2 times" in run.outcome
    assert (world.now - began).total_seconds() < 20
    assert states(run) == ["succeeded", "succeeded"]
    assert steps_of(run)[0].after == {"pid": 2}
    assert run.due_at is None
    assert run.lease_until is None
    assert kinds(run) == ["run.created", "run.started", "run.verifying", "run.succeeded"]


def test_a_failing_verification_undoes_in_reverse_order_and_calls_a_person(
    world: World, stage: Stage
) -> None:
    run = begun(
        world,
        step("test_undoable", "one"),
        step("test_left", "two"),
        step("test_left", "three", compensate={"action": "test_left", "with": {"thing": "back"}}),
        verification={"timeout_seconds": 10},
    )
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert stage.log[3:] == ["test_left back", "undo one"]
    assert states(run) == ["compensated", "succeeded", "compensated"]
    assert run.evidence["undone"] == ["one", "three"]
    assert run.evidence["left"] == ["two"]
    assert "api passed 0 of 2 times: api says down" in run.outcome
    assert steps_of(run)[0].undo_output == "back to 0"
    assert kinds(run)[-2:] == ["run.unhealed", "run.escalated"]


def test_a_step_that_fails_is_tried_again_after_doubling_pauses(world: World, stage: Stage) -> None:
    stage.fail["one"] = 2
    began = world.now
    times = []
    stage.on_act = lambda _: times.append((world.now - began).total_seconds())
    run = begun(world, step("test_left", "one", retries=2, retry_seconds=3))
    world.down.discard("api")
    run = followed(run, world)
    assert run.state == RunState.SUCCEEDED
    assert times == [0, 3, 9]
    assert steps_of(run)[0].attempt == 3


def test_a_permanent_failure_is_not_tried_again_and_the_rest_is_not_done(
    world: World, stage: Stage
) -> None:
    stage.fail["two"], stage.permanent = 1, True
    run = begun(
        world, step("test_undoable", "one"), step("test_left", "two", retries=3),
        step("test_left", "three"),
    )  # fmt: skip
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert states(run) == ["compensated", "failed", "pending"]
    assert stage.log == ["test_undoable one", "undo one"]
    failed = steps_of(run)[1]
    assert (failed.error, failed.output) == ("It would not.", "said no")
    assert "Step two failed: It would not." in run.outcome


def test_a_run_that_never_acted_has_failed_and_is_not_escalated(world: World, stage: Stage) -> None:
    run = begun(world, step("restart", "restart", **{"with": {}}))
    run = followed(run, world)
    assert run.state == RunState.FAILED
    assert stage.log == []
    assert "has no way restart" in steps_of(run)[0].error


def test_what_could_not_be_undone_is_told(world: World, stage: Stage) -> None:
    stage.fail["undo one"] = 1
    run = begun(world, step("test_undoable", "one"), verification={"timeout_seconds": 5})
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert run.evidence["not_undone"] == [{"step": "one", "error": "It would not be undone."}]
    assert "Could not be undone: one" in run.outcome


def test_a_fault_of_an_action_fails_its_step_and_not_the_worker(world: World, stage: Stage) -> None:
    def fault(_: str) -> None:
        raise ZeroDivisionError

    stage.on_act = fault
    run = followed(begun(world, step("test_left", "one")), world)
    assert run.state == RunState.ESCALATED
    assert "fault of its own: ZeroDivisionError" in steps_of(run)[0].error


def test_a_ladder_climbs_until_a_rung_heals(world: World, stage: Stage) -> None:
    stage.on_act = lambda thing: world.down.discard("api") if thing == "two" else None
    run = begun(
        world, *(step("test_left", each) for each in ("one", "two", "three")),
        strategy="ladder", verification={"rung_seconds": 8},
    )  # fmt: skip
    run = followed(run, world)
    assert run.state == RunState.SUCCEEDED
    assert states(run) == ["succeeded", "succeeded", "pending"]
    assert stage.log == ["test_left one", "test_left two"]


def test_a_rung_that_fails_is_passed_and_the_last_one_leads_to_a_person(
    world: World, stage: Stage
) -> None:
    stage.fail["one"] = 1
    run = begun(
        world, step("test_left", "one"), step("test_undoable", "two"),
        strategy="ladder", verification={"rung_seconds": 5},
    )  # fmt: skip
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert states(run) == ["failed", "compensated"]
    assert stage.log == ["test_undoable two", "undo two"]


def test_a_neighbour_that_begins_to_fail_keeps_a_run_from_succeeding(
    world: World, stage: Stage
) -> None:
    world.check("web", "api", interval=5, service="web", failures_to_down=2)
    world.run(10)
    world.down.discard("web")

    def act(_: str) -> None:
        world.down.discard("api")
        world.down.add("web")

    stage.on_act = act
    run = begun(world, step("test_left", "one"), verification={"timeout_seconds": 30})
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert "since the run began, web fails" in run.outcome


def test_a_neighbour_that_failed_before_does_not_count(world: World, stage: Stage) -> None:
    world.check("web", "api", interval=5, service="web", failures_to_down=2)
    for name in ("attic", "garden"):
        world.check(name, interval=5)
    world.down.add("web")
    world.run(20)
    stage.on_act = lambda _: world.down.discard("api")
    run = followed(begun(world, step("test_left", "one")), world)
    assert run.state == RunState.SUCCEEDED
    assert run.failing_before == sorted(str(world.checks[name].pk) for name in ("api", "web"))


def test_steps_are_skipped_or_fail_by_their_preconditions(world: World, stage: Stage) -> None:
    run = begun(
        world,
        step("test_left", "one", precondition={"type": "has_way", "way": "restart"}),
        step("test_left", "two", precondition={"type": "failing"}),
        step("test_left", "three", precondition={"type": "breaker_open", "required": True}),
    )
    run = followed(run, world)
    assert states(run) == [StepState.SKIPPED, StepState.SUCCEEDED, StepState.FAILED]
    assert steps_of(run)[0].error == "shop has no way restart."


def test_a_run_that_lasts_beyond_its_deadline_is_undone(world: World, stage: Stage) -> None:
    run = begun(world, step("test_undoable", "one"), deadline_seconds=12)
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert "did not end before its deadline" in run.outcome
    assert stage.log == ["test_undoable one", "undo one"]


def test_a_run_whose_target_recovered_by_itself_does_nothing(world: World, stage: Stage) -> None:
    run = begun(world, step("test_left", "one"))
    world.down.discard("api")
    world.run(20)
    run = followed(run, world)
    assert run.state == RunState.CANCELLED
    assert stage.log == []
    assert "recovered by itself" in run.outcome


def test_a_run_all_of_whose_steps_were_skipped_as_its_breaker_closed_is_no_failure(
    world: World, stage: Stage
) -> None:
    breaker = Breaker.objects.create(
        service="shop", name="bank", instance="i-1", key=breaker_key("shop", "bank"),
        state="open", since=world.now, reason="r", first_seen=world.now, last_seen=world.now,
    )  # fmt: skip
    flow = workflow(
        step("test_left", "one", precondition={"type": "breaker_open"}),
        now=world.now, target="breaker", trigger={"type": "breaker_open"},
    )  # fmt: skip
    about = Subject(
        kind="breaker", name="shop/bank", service="shop", trigger_kind="breaker_open",
        trigger_key=breaker.key, trigger={"text": "bank is open"},
    )  # fmt: skip
    run = run_start(workflow=flow, subject=about, actor=SITE, now=world.now)
    # It closes after the run has begun, and right before its first step.
    HealingRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING, started_at=world.now)
    Breaker.objects.update(state="closed")
    run = followed(run, world)
    assert (run.state, states(run)) == (RunState.CANCELLED, [StepState.SKIPPED])
    assert "recovered by itself" in run.outcome


def test_outputs_carry_no_secrets(world: World, stage: Stage) -> None:
    flow_step = {"id": "one", "action": "test_left", "with": {"thing": "x", "key": "s3cret-key"}}
    run = begun(world, flow_step)
    run_look(run.pk, now=lambda: world.now)
    done = steps_of(run)[0]
    assert done.output == "did x with ***"
    assert done.parameters == {"thing": "x", "key": "***"}


def test_a_dry_run_tells_effects_touches_nothing_and_is_no_lock(world: World, stage: Stage) -> None:
    flow = workflow(step("test_left", "one"), now=world.now)
    run = run_start(workflow=flow, subject=subject(world), actor=SITE, dry_run=True, now=world.now)
    real = run_start(workflow=flow, subject=subject(world), actor=SITE, now=world.now)
    assert real.state == RunState.PENDING
    run = followed(run, world)
    assert (run.state, stage.log) == (RunState.SUCCEEDED, [])
    assert steps_of(run)[0].output == "would test_left one of shop"
    assert kinds(run) == []


def test_what_is_due_is_found_and_what_is_leased_is_not(world: World, stage: Stage) -> None:
    run = begun(world)
    assert runs_due(world.now) == [run.pk]
    HealingRun.objects.update(lease_until=world.now + timedelta(seconds=20))
    assert runs_due(world.now) == []
    assert runs_due(world.now + timedelta(seconds=21)) == [run.pk]
    # Left by a clock that was years ahead.
    HealingRun.objects.update(lease_until=world.now + timedelta(days=900))
    assert runs_due(world.now) == [run.pk]

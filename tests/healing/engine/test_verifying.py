"""What tells that a target is well, where no check triggered the run; and steps in doubt."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from analytics.models import ErrorPattern
from breakers.domain.keys import breaker_key
from breakers.models import Breaker, Instance
from healing.actions.base import Subject
from healing.choices import RunState, StepState
from healing.models import HealingRun, HealingStep
from healing.services.recovery_orchestrator import run_look, run_start
from healing.services.runs.leases import LEASE
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


def breaker(
    now: datetime, state: str, instance: str = "shop-1", seen: datetime | None = None
) -> Any:
    Instance.objects.create(
        service="shop", instance=instance, first_seen=now, last_seen=seen or now
    )
    return Breaker.objects.create(
        service="shop", name="db", instance=instance, key=breaker_key("shop", "db"), state=state,
        since=now, first_seen=now, last_seen=seen or now,
    )  # fmt: skip


def on_breaker(world: World, **more: Any) -> HealingRun:
    told = Subject(
        kind="breaker", name="shop/db", service="shop", trigger_kind="breaker_open",
        trigger_key=breaker_key("shop", "db"), trigger={"text": "db is open"},
    )  # fmt: skip
    flow = workflow(
        step("test_left", "one"), now=world.now, target="breaker",
        verification={"neighbours": False, "timeout_seconds": 10}, **more,
    )  # fmt: skip
    return run_start(workflow=flow, subject=told, actor=SITE, now=world.now)


def test_a_breaker_heals_by_letting_calls_through_in_every_instance_that_lives(
    world: World, stage: Stage
) -> None:
    row = breaker(world.now, "open")
    breaker(world.now, "open", "shop-0", world.now - timedelta(minutes=10))
    run = on_breaker(world)
    run_look(run.pk, now=lambda: world.now)
    world.run(1)
    for state in ("open", "half_open"):
        Breaker.objects.filter(pk=row.pk).update(state=state)
        run_look(run.pk, now=lambda: world.now)
        assert fresh(run).state == RunState.VERIFYING
        world.run(1)
    Breaker.objects.filter(pk=row.pk).update(state="closed")
    assert followed(run, world).state == RunState.SUCCEEDED


def test_a_breaker_that_stays_open_is_not_healed(world: World, stage: Stage) -> None:
    breaker(world.now, "open")
    run = followed(on_breaker(world), world)
    assert run.state == RunState.ESCALATED
    assert "The breaker is open" in run.outcome


def pattern(world: World) -> ErrorPattern:
    return ErrorPattern.objects.create(
        id=uuid4(), service="shop", type="KeyError", template="x", rule="r", version=1, count=9,
        first_seen=world.now, last_seen=world.now, last_error_id=uuid4(),
    )  # fmt: skip


def on_pattern(world: World, row: ErrorPattern, trigger: str) -> HealingRun:
    told = Subject(
        kind="pattern", name=str(row.pk), service="shop", trigger_kind=trigger,
        trigger_key=str(row.pk),
    )  # fmt: skip
    flow = workflow(
        step("test_left", "one"), now=world.now, target="pattern", trigger={"type": trigger},
        verification={"neighbours": False, "timeout_seconds": 50},
    )  # fmt: skip
    return run_start(workflow=flow, subject=told, actor=SITE, now=world.now)


def test_a_spiking_pattern_heals_by_being_quiet(world: World, stage: Stage) -> None:
    row = pattern(world)
    run = on_pattern(world, row, "pattern_spiking")
    run_look(run.pk, now=lambda: world.now)
    world.run(10)
    ErrorPattern.objects.update(last_seen=world.now)
    world.run(25)
    run_look(run.pk, now=lambda: world.now)
    assert fresh(run).state == RunState.VERIFYING
    assert followed(run, world, 10).state == RunState.SUCCEEDED


def test_a_pattern_that_was_quiet_already_is_not_waited_for(world: World, stage: Stage) -> None:
    row = pattern(world)
    world.run(1)
    run = on_pattern(world, row, "healed")
    assert followed(run, world, 3).state == RunState.SUCCEEDED


def test_without_a_check_of_its_own_all_checks_of_the_service_have_to_pass(
    world: World, stage: Stage
) -> None:
    told = Subject(kind="service", name="shop", service="shop", trigger_kind="prediction")
    stage.on_act = lambda _: world.down.clear()
    flow = workflow(step("test_left", "one"), now=world.now, trigger={"type": "prediction"})
    run = run_start(workflow=flow, subject=told, actor=SITE, now=world.now)
    run_look(run.pk, now=lambda: world.now)
    assert fresh(run).state == RunState.VERIFYING
    run = followed(run, world)
    assert (run.state, run.outcome) == (RunState.SUCCEEDED, "api passed 2 times in a row.")


@pytest.mark.parametrize("heals", [True, False])
def test_a_verification_whose_worker_died_goes_on_where_it_was(
    world: World, stage: Stage, heals: bool
) -> None:
    stage.on_act = lambda _: world.down.discard("api") if heals else None
    run = begun(world, step("test_undoable", "one"), verification={"timeout_seconds": 20})
    run_look(run.pk, now=lambda: world.now)
    began = fresh(run)
    assert began.state == RunState.VERIFYING
    HealingRun.objects.update(lease_until=world.now + LEASE, fence=began.fence + 1)
    for _ in range(round(LEASE.total_seconds())):
        assert not run_look(run.pk, now=lambda: world.now)
        world.run(1)
    world.run(1)
    assert run_look(run.pk, now=lambda: world.now)
    run = fresh(run)
    # It is judged by all that was seen since its act, though nobody looked meanwhile.
    assert run.verify_since == began.verify_since
    if heals:
        assert (run.state, run.passes) == (RunState.SUCCEEDED, 2)
        assert (stage.log, states(run)) == (["test_undoable one"], ["succeeded"])
    else:
        assert run.state == RunState.ESCALATED
        assert "was not well within 31 s: api passed 0 of 2 times" in run.outcome
        assert (stage.log[1:], states(run)) == (["undo one"], ["compensated"])


# --- Steps that nobody saw the end of ---------------------------------------------------------


def in_doubt(world: World, action: str, *, attempt: int = 1, retries: int = 0) -> HealingRun:
    """A run whose worker died while its only step ran."""
    run = begun(world, step(action, "one", retries=retries), verification={"neighbours": False})
    HealingRun.objects.update(
        state=RunState.RUNNING, started_at=world.now, lease_until=world.now + LEASE, fence=1
    )
    HealingStep.objects.update(
        state=StepState.RUNNING, attempt=attempt, started_at=world.now, resolved=action
    )
    assert not run_look(run.pk, now=lambda: world.now)
    world.pass_by(LEASE.total_seconds() + 1)
    world.down.clear()
    return run


def test_what_took_effect_is_not_done_again(world: World, stage: Stage) -> None:
    stage.finished = True
    run = followed(in_doubt(world, "test_left"), world)
    assert (run.state, stage.log) == (RunState.SUCCEEDED, [])
    assert "had taken effect" in steps_of(run)[0].output


def test_what_did_not_take_effect_is_done(world: World, stage: Stage) -> None:
    stage.finished = False
    run = followed(in_doubt(world, "test_left"), world)
    assert (run.state, stage.log) == (RunState.SUCCEEDED, ["test_left one"])


def test_what_may_be_done_twice_is_where_nobody_knows(world: World, stage: Stage) -> None:
    run = followed(in_doubt(world, "test_repeatable"), world)
    assert (run.state, stage.log) == (RunState.SUCCEEDED, ["test_repeatable one"])


def test_what_may_not_is_left_and_a_person_called(world: World, stage: Stage) -> None:
    run = followed(in_doubt(world, "test_left", retries=5), world)
    assert (run.state, stage.log) == (RunState.ESCALATED, [])
    assert states(run) == ["failed"]


def test_workers_that_die_over_it_again_and_again_are_not_followed_by_more(
    world: World, stage: Stage
) -> None:
    stage.finished = False
    run = followed(in_doubt(world, "test_left", attempt=3), world)
    assert (run.state, stage.log) == (RunState.ESCALATED, [])
    assert "died again and again" in steps_of(run)[0].error


def test_what_the_site_itself_cannot_advance_ends_by_its_deadline(
    world: World, stage: Stage
) -> None:
    run = begun(world)
    run_look(run.pk, now=lambda: world.now)
    # As a later version would not read it any more.
    HealingRun.objects.update(definition={"name": "of another time"})
    assert run_look(run.pk, now=lambda: world.now + timedelta(seconds=5))
    assert fresh(run).state == RunState.VERIFYING
    late = run.deadline + timedelta(seconds=1)
    run_look(run.pk, now=lambda: late)
    run = fresh(run)
    assert (run.state, run.due_at) == (RunState.ESCALATED, None)
    assert subject(world).service == run.service

"""Steps that nobody saw the end of, which have a verification."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from breakers.domain.keys import breaker_key
from breakers.models import Breaker, Instance
from healing.choices import RunState, StepState
from healing.domain.subject import Subject
from healing.models import HealingRun, HealingStep
from healing.services.recovery_orchestrator import run_look, run_start
from healing.services.runs import recovery
from healing.services.runs.leases import LEASE
from health.models import Check
from tests.healing.engine.scenes import (
    SITE,
    Stage,
    begun,
    followed,
    states,
    steps_of,
    workflow,
)
from tests.healing.engine.test_step_verification import PASSING, calls, proven
from tests.health.world import World

pytestmark = pytest.mark.django_db


def in_doubt(world: World, action: str, *, untrue: bool = True, **more: Any) -> HealingRun:
    """A run whose worker died while its step, which has a verification, ran. `untrue`: that was
    seen not to be true before."""
    run = begun(world, proven(action, **more), verification={"neighbours": False})
    HealingRun.objects.update(
        state=RunState.RUNNING, started_at=world.now, lease_until=world.now + LEASE, fence=1
    )
    HealingStep.objects.update(
        state=StepState.RUNNING, attempt=1, started_at=world.now, resolved=action,
        before={"was": "0", "verification_untrue": untrue},
    )  # fmt: skip
    world.pass_by(LEASE.total_seconds() + 1)
    return run


def test_a_step_in_doubt_is_verified_and_not_done_again_where_it_helped(
    world: World, stage: Stage
) -> None:
    run = in_doubt(world, "test_repeatable")
    world.down.clear()
    run = followed(run, world)
    assert (run.state, states(run), stage.log) == (RunState.SUCCEEDED, ["succeeded"], [])
    found = steps_of(run)[0]
    assert (found.attempt, found.verification["doubt"]) == (1, True)


def test_a_step_in_doubt_that_may_be_done_twice_is_where_its_verification_fails(
    world: World, stage: Stage
) -> None:
    run = in_doubt(world, "test_repeatable")
    stage.on_act = lambda _: world.down.clear()
    run = followed(run, world, 90)
    assert (run.state, stage.log) == (RunState.SUCCEEDED, ["test_repeatable one"])
    assert steps_of(run)[0].attempt == 2


def test_why_a_step_in_doubt_is_done_again_is_told(
    world: World, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("a fault of the site")

    monkeypatch.setattr(recovery, "step_act", broken)
    run = in_doubt(world, "test_repeatable")
    for _ in range(20):
        run_look(run.pk, now=lambda: world.now)
        world.run(1)
    assert states(run) == ["pending"]
    assert steps_of(run)[0].error.startswith(
        "Nobody saw its end, and its verification did not come true: api passed 0 of 2 times"
    )


def test_a_step_in_doubt_that_may_not_be_done_twice_is_not(world: World, stage: Stage) -> None:
    run = followed(in_doubt(world, "test_left", retries=5), world, 90)
    assert (run.state, states(run), stage.log) == (RunState.ESCALATED, ["failed"], [])
    assert "its verification does not tell that it took effect" in steps_of(run)[0].error


def test_what_is_known_to_have_taken_effect_is_verified_all_the_same(
    world: World, stage: Stage
) -> None:
    stage.finished = True
    run = followed(in_doubt(world, "test_left"), world, 90)
    assert (run.state, states(run)) == (RunState.ESCALATED, ["failed"])
    assert "did not help in time" in steps_of(run)[0].error


def test_what_was_true_before_does_not_tell_that_a_step_in_doubt_took_effect(
    world: World, stage: Stage
) -> None:
    run = in_doubt(world, "test_left", untrue=False)
    world.down.clear()
    run = followed(run, world, 90)
    assert (run.state, states(run), stage.log) == (RunState.ESCALATED, ["failed"], [])
    assert "cannot be told whether it took effect" in steps_of(run)[0].error


def test_where_nothing_tells_of_the_target_any_more_nothing_tells_of_a_step_in_doubt(
    world: World, stage: Stage
) -> None:
    run = in_doubt(world, "test_left")
    HealingRun.objects.update(check_id=None)
    Check.objects.update(enabled=False)
    run = followed(run, world, 90)
    assert (run.state, states(run), stage.log) == (RunState.ESCALATED, ["failed"], [])


def test_one_that_may_be_done_twice_is_where_its_verification_was_true_before(
    world: World, stage: Stage
) -> None:
    run = in_doubt(world, "test_repeatable", untrue=False)
    world.down.clear()
    run = followed(run, world, 90)
    assert (run.state, stage.log) == (RunState.SUCCEEDED, ["test_repeatable one"])


@pytest.mark.parametrize(
    ("own", "untrue"),
    [
        (PASSING, True),
        ({"type": "passing", "check": "api"}, True),
        ({"type": "passing", "check": "pool"}, False),
        ({"type": "passing", "check": "nosuch"}, False),
        ({"type": "quiet"}, True),
        ({"type": "breaker_closed", "breaker": "db"}, True),
        ({"type": "breaker_closed", "breaker": "cache"}, False),
        ({"type": "breaker_closed", "breaker": "nosuch"}, False),
        ({"type": "metric", "metric": "error_rate", "below": 0.05}, True),
        ({"type": "metric", "metric": "error_rate", "below": 0.5}, False),
        ({"type": "metric", "metric": "latency_p50", "above": 1}, False),
    ],
)
def test_what_was_seen_before_the_act_is_kept(
    world: World, stage: Stage, own: dict[str, Any], untrue: bool
) -> None:
    world.check("pool", interval=5, service="shop", failures_to_down=2)
    world.run(10)
    for name, state in (("db", "open"), ("cache", "closed")):
        Breaker.objects.create(
            service="shop", name=name, instance="one", key=breaker_key("shop", name), state=state,
            since=world.now, first_seen=world.now, last_seen=world.now,
        )  # fmt: skip
    Instance.objects.create(
        service="shop", instance="one", first_seen=world.now, last_seen=world.now
    )
    calls(world.now.replace(second=0) - timedelta(minutes=2), 20)
    run = begun(world, proven(verification=own))
    run_look(run.pk, now=lambda: world.now)
    assert steps_of(run)[0].before == {"was": "0", "verification_untrue": untrue}


def test_where_nothing_tells_how_the_target_is_nothing_was_seen_to_be_wrong(
    world: World, stage: Stage
) -> None:
    flow = workflow(proven(), now=world.now)
    where = Subject("service", "nowhere", "nowhere", trigger_kind="manual")
    run = run_start(workflow=flow, subject=where, actor=SITE, now=world.now)
    run_look(run.pk, now=lambda: world.now)
    assert steps_of(run)[0].before["verification_untrue"] is False

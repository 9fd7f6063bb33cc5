"""Runs from their start to their ends."""

from __future__ import annotations

import pytest

from healing.choices import RunState
from healing.services.recovery_orchestrator import run_look, run_start
from tests.health.world import World
from tests.healing.engine.scenes import (
    SITE,
    Stage,
    followed,
    fresh,
    states,
    step,
    steps_of,
    subject,
    workflow,
)

pytestmark = pytest.mark.django_db


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
    assert run.due_at is None and run.lease_until is None

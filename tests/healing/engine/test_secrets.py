"""Secrets of parameters in what an action says that fails before its act, or tells its effect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from healing.actions.base import ACTIONS, Action, ActionFailed, Context, Done
from healing.domain.definition import definition_of
from healing.models import HealingTarget
from healing.services.recovery_orchestrator import run_look, run_start
from healing.services.targets import target_save
from healing.services.workflows.effects import effects_told
from resilience_site.core import journal
from tests.healing.engine.scenes import SITE, Stage, Thing, begun, steps_of, subject, workflow
from tests.health.world import World

pytestmark = pytest.mark.django_db

SECRET = "hunter2"
STEP = {"id": "blab", "action": "blab_way"}


class Blab(Action[Thing]):
    """Fails with its secret in every sentence."""

    Parameters = Thing
    secrets = frozenset({"key"})
    safe_to_leave = True

    def effect(self, parameters: Thing, context: Context) -> str:
        raise ActionFailed(f"It said {parameters.key}")

    def observe(self, parameters: Thing, context: Context) -> dict[str, object]:
        raise ActionFailed(f"It said {parameters.key}", permanent=True, output=parameters.key)

    def act(self, parameters: Thing, context: Context) -> Done:
        raise AssertionError("It was seen before that it cannot be done.")


@pytest.fixture
def blab(world: World, stage: Stage) -> Iterator[HealingTarget]:
    Blab.name, Blab.label = "test_blab", "Blab"
    ACTIONS["test_blab"] = Blab()
    way = {"action": "test_blab", "with": {"key": SECRET}}
    yield target_save(service="shop", ways={"blab_way": way}, actor=SITE, now=world.now)
    del ACTIONS["test_blab"]


def test_a_look_that_fails_keeps_no_secret(world: World, blab: HealingTarget) -> None:
    run = begun(world, STEP)
    run_look(run.pk, now=lambda: world.now)
    (step,) = steps_of(run)
    assert (step.error, step.output) == ("It said ***", "***")
    entries = [each for each in journal.read(0, ["healing"]) if each.key == str(run.pk)]
    assert "It said ***" in str([each.payload for each in entries])
    assert SECRET not in str([each.payload for each in entries])


def test_an_effect_that_cannot_be_told_keeps_no_secret(world: World, blab: HealingTarget) -> None:
    flow = workflow(STEP, now=world.now)
    run = run_start(workflow=flow, subject=subject(world), actor=SITE, dry_run=True, now=world.now)
    run_look(run.pk, now=lambda: world.now)
    assert steps_of(run)[0].error == "It said ***"
    # Beside the shop stands a service that has no such way.
    lines = list(effects_told([definition_of(flow.definition)]))
    (line,) = [each for each in lines if " on shop: " in each]
    assert line.endswith("It said ***")
    assert SECRET not in str(lines)

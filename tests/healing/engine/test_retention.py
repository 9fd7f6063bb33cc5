"""What is forgotten, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from healing.models import HealingRun, HealingStep, Opportunity
from healing.services.recovery_orchestrator import run_start
from healing.services.retention import IDLE_KEPT, OPPORTUNITIES_KEPT, RUNS_KEPT, history_prune
from tests.healing.engine.scenes import SITE, Stage, begun, followed, subject, workflow
from tests.health.world import World

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def test_what_touched_nothing_goes_first_and_what_is_open_stays(world: World, stage: Stage) -> None:
    flow = workflow(now=world.now, name="dry")
    told = subject(world)
    dry = run_start(workflow=flow, subject=told, actor=SITE, dry_run=True, now=world.now)
    followed(dry, world)
    stage.on_act = lambda _: world.down.clear()
    begun_at = world.now
    run = followed(begun(world), world)
    refused = begun(world, name="late", mode="suggest")
    assert refused.refused_by
    assert history_prune(now=begun_at + IDLE_KEPT + timedelta(seconds=1)) == {
        "healing_healingrun": 1,
        "healing_opportunity": 0,
    }
    assert history_prune(now=begun_at + RUNS_KEPT - DAY)["healing_healingrun"] == 1
    assert list(HealingRun.objects.all()) == [run]
    HealingRun.objects.update(state="running")
    assert history_prune(now=begun_at + RUNS_KEPT + DAY)["healing_healingrun"] == 0
    HealingRun.objects.update(state="succeeded")
    assert history_prune(now=begun_at + RUNS_KEPT + DAY)["healing_healingrun"] == 1
    assert not HealingStep.objects.exists()


def test_opportunities_that_are_over_go(world: World, stage: Stage) -> None:
    flow = workflow(now=world.now)
    for state in ("open", "ended"):
        Opportunity.objects.create(
            workflow=flow, target_kind="service", target=state, service="shop",
            trigger_kind="alert", trigger_key="x", state=state, first_seen=world.now,
            last_seen=world.now,
        )  # fmt: skip
    assert history_prune(now=world.now + OPPORTUNITIES_KEPT + DAY)["healing_opportunity"] == 1
    assert Opportunity.objects.get().state == "open"

"""A run's page: what verified it and each step, and how its target did before and after."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client

from breakers.models import BreakerTransition
from healing.actions.base import Subject
from healing.models import HealingRun
from healing.services.recovery_orchestrator import run_look, run_start
from tests.healing.engine.scenes import SITE, Stage, begun, followed, step, workflow
from tests.health.world import World
from tests.pages.html import text_of

pytestmark = pytest.mark.django_db
OWN = {"type": "passing", "timeout_seconds": 30}


def foreseen(world: World, service: str = "shop") -> HealingRun:
    """A run that no check triggered, mended by its act and followed to its end."""
    told = Subject(kind="service", name=service, service=service, trigger_kind="prediction")
    flow = workflow(step("test_left", "one"), now=world.now, trigger={"type": "prediction"})
    run = run_start(workflow=flow, subject=told, actor=SITE, now=world.now)
    return followed(run, world)


def test_a_run_that_no_check_triggered_shows_the_checks_and_errors_of_its_target(
    viewer: Client, world: World, stage: Stage
) -> None:
    stage.on_act = lambda _: world.down.clear()
    world.check("pool", interval=5, service="shop", failures_to_down=2)
    run = foreseen(world)
    page = text_of(viewer, f"/healing/runs/{run.pk}")
    for name in ("api", "pool"):
        check = world.checks[name].pk
        assert f"/health/checks/{check}/latency.json?since=" in page
        assert f"runs of {name} in the 15 min before" in page
    assert "/charts/error-ratio.json?service=shop&amp;since=" in page
    assert "cellar" not in page
    assert "Told by the checks of shop, api, pool." in page
    assert "api, pool passed 2 times in a row each." in page
    assert "No breaker of it changed its state." in page


def test_what_breakers_did_around_the_run_stands_in_its_order(
    viewer: Client, world: World, stage: Stage
) -> None:
    for minute, state in ((3, "closed"), (-2, "open"), (90, "half_open")):
        BreakerTransition.objects.create(
            id=uuid4(), at=world.now + timedelta(minutes=minute), service="quiet", name="db",
            instance="one", from_state="half_open", to_state=state, received_at=world.now,
            reason=f"reason {state}",
        )  # fmt: skip
    run = foreseen(world, "quiet")
    HealingRun.objects.filter(pk=run.pk).update(ended_at=world.now + timedelta(minutes=1))
    page = text_of(viewer, f"/healing/runs/{run.pk}")
    assert page.index("reason open") < page.index("reason closed")
    assert "reason half_open" not in page
    assert "latency.json" not in page
    # Nothing looks at it, so nobody may read that it is well.
    assert "nothing tells whether that healed" in page
    assert "quiet has no check and no breaker" in page


def test_a_run_that_a_check_triggered_shows_that_check_alone(
    viewer: Client, world: World, stage: Stage
) -> None:
    stage.on_act = lambda _: world.down.clear()
    world.check("pool", interval=5, service="shop", failures_to_down=2)
    run = followed(begun(world), world)
    page = text_of(viewer, f"/healing/runs/{run.pk}")
    assert page.count("latency.json") == 1
    assert f"/health/checks/{world.checks['api'].pk}/latency.json" in page
    assert "Told by the check that triggered it, api." in page


def test_a_step_that_is_being_verified_says_by_what_and_how_that_stands(
    viewer: Client, world: World, stage: Stage
) -> None:
    run = begun(world, step("test_undoable", "one", verification=OWN))
    run_look(run.pk, now=lambda: world.now)
    page = text_of(viewer, f"/healing/runs/{run.pk}")
    assert "Verifying" in page
    assert "is verified by the check that triggered it, api, once within 30 s." in page
    assert "api passed 0 of 1 times" in page
    world.down.clear()
    run = followed(run, world)
    page = text_of(viewer, f"/healing/runs/{run.pk}")
    assert "Verified by the check that triggered it, api, once within 30 s" in page
    found = viewer.get(f"/api/v1/healing/runs/{run.pk}")
    told = found.json()["steps"][0]["verification"]
    assert (told["well"], told["passes"]) == (True, 1)
    assert told["words"] == "by the check that triggered it, api, once within 30 s"

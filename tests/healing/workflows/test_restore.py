"""What a heal degraded is restored by itself, once, when its target is well again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from analytics.models import Prediction
from breakers.models import DegradedMode
from breakers.services.degraded import degraded_set
from healing.actions.base import LeaseLost
from healing.choices import Mode, RunState
from healing.domain.definition import definition_form
from healing.models import HealingRun, Workflow
from healing.selectors.degradations import level_before
from healing.services.failure_detector import failures_detect
from healing.services.recovery_orchestrator import run_look
from healing.services.runs import steps
from healing.services.workflows.applying import shipped_read
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from tests.health.world import World

pytestmark = pytest.mark.django_db
ANN = Actor(ActorKind.USER, "ann")
DEGRADE = {
    "name": "degrade",
    "title": "Degrade it",
    "trigger": {"type": "check_failed"},
    "steps": [
        {
            "id": "degrade",
            "action": "degraded_mode",
            "with": {"level": "essential", "notice": "Only what matters.", "seconds": 7200},
        }
    ],
    "verification": {"timeout_seconds": 30},
}


def stored(world: World, form: Any, mode: Mode = Mode.AUTO) -> Workflow:
    return Workflow.objects.create(
        name=form["name"], title=form["title"], mode=mode, mode_changed_at=world.now,
        priority=form.get("priority", 100), definition=form, text="", created_at=world.now,
        changed_at=world.now,
    )  # fmt: skip


@pytest.fixture
def world(db: None) -> World:
    """A service that fails under its full load, and a workflow that degrades it."""
    made = World()
    made.check("api", interval=5, service="shop", failures_to_down=2, settle_seconds=0)
    made.check("cellar", interval=5, service="cellar")
    stored(made, DEGRADE)
    [restore] = [each for each in shipped_read() if each.definition.name == "restore_level"]
    stored(made, definition_form(restore.definition))
    failures_detect(now=made.now)
    made.down.add("api")
    made.run(15)
    return made


def level() -> tuple[str, int]:
    row = DegradedMode.objects.get(service="shop")
    return row.level, row.version


def tick(world: World, seconds: int, *, fails_when: str = "") -> None:
    """So many seconds of the beat; the service fails at no level but this one."""
    for _ in range(seconds):
        failures_detect(now=world.now)
        for run in HealingRun.objects.filter(due_at__lte=world.now):
            run_look(run.pk, now=lambda: world.now)
        row = DegradedMode.objects.filter(service="shop").first()
        if row is not None:
            (world.down.add if row.level == fails_when else world.down.discard)("api")
        world.run(1)


def runs(workflow: str) -> list[HealingRun]:
    rows = HealingRun.objects.filter(workflow=workflow, dry_run=False)
    return list(rows.order_by("created_at", "id"))


def degraded(world: World) -> HealingRun:
    """The heal that degraded the service."""
    tick(world, 40)
    [run] = runs("degrade")
    assert (run.state, level()) == (RunState.SUCCEEDED, ("essential", 1))
    return run


def test_a_service_is_restored_once_when_all_has_been_well_for_long_enough(world: World) -> None:
    healed = degraded(world)
    tick(world, 60)
    assert (runs("restore_level"), level()) == ([], ("essential", 1))
    tick(world, 120)
    [run] = runs("restore_level")
    assert (run.state, level()) == (RunState.SUCCEEDED, ("normal", 2))
    assert run.trigger_key == str(healed.pk)
    assert run.ended_at is not None
    assert healed.ended_at is not None
    assert run.created_at - healed.ended_at >= timedelta(seconds=120)
    tick(world, 120)
    assert (len(runs("restore_level")), level()) == (1, ("normal", 2))


def test_it_is_restored_once_though_the_worker_died_right_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    degraded(world)

    def dies(*args: Any, **more: Any) -> None:
        raise LeaseLost("killed")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "step_close", dies)
        tick(world, 130)
    [run] = runs("restore_level")
    assert (run.state, level()) == (RunState.RUNNING, ("normal", 2))
    tick(world, 90)
    [run] = runs("restore_level")
    assert (run.state, level()) == (RunState.SUCCEEDED, ("normal", 2))
    assert "had taken effect" in run.steps.get().output


def test_one_that_fails_at_its_full_level_is_degraded_again_and_a_person_called(
    world: World,
) -> None:
    degraded(world)
    until = DegradedMode.objects.get(service="shop").expires_at
    tick(world, 130, fails_when="normal")
    HealingRun.objects.filter(workflow="restore_level").update(verify_until=world.now)
    tick(world, 10, fails_when="normal")
    [run] = runs("restore_level")
    assert (run.state, level()) == (RunState.ESCALATED, ("essential", 3))
    assert run.evidence["undone"] == ["restore"]
    row = DegradedMode.objects.get(service="shop")
    assert (row.notice, row.expires_at) == ("Only what matters.", until)


def test_what_a_person_decided_meanwhile_is_left_to_them(world: World) -> None:
    degraded(world)
    degraded_set(
        service="shop", level="reduced", reason="I look at it", expires_in=3600, actor=ANN,
        role=Role.ADMIN, now=world.now,
    )  # fmt: skip
    tick(world, 150)
    assert (runs("restore_level"), level()) == ([], ("reduced", 2))


def test_the_level_from_before_the_heal_comes_back_and_keeps_its_end(world: World) -> None:
    row = degraded_set(
        service="shop", level="reduced", notice="Slow today.", reason="load", expires_in=3600,
        actor=ANN, role=Role.ADMIN, now=world.now,
    )  # fmt: skip
    tick(world, 40)
    assert level() == ("essential", 2)
    tick(world, 130)
    assert level() == ("reduced", 3)
    back = DegradedMode.objects.get(service="shop")
    assert (back.notice, back.expires_at) == ("Slow today.", row.expires_at)


@pytest.mark.parametrize("ends", ["settled", "due"])
def test_one_that_is_foreseen_to_fail_is_restored_only_once_that_is_over(
    world: World, ends: str
) -> None:
    degraded(world)
    foreseen = Prediction.objects.create(
        id=uuid4(), service="shop", kind="health_down", probability=0.9, confidence=0.9,
        horizon_seconds=1800, made_at=world.now, due_at=world.now + timedelta(seconds=1800),
        reasons=["latency grows"], method="rules",
    )  # fmt: skip
    tick(world, 180)
    assert (runs("restore_level"), level()) == ([], ("essential", 1))
    if ends == "settled":
        foreseen.outcome = "false"
    else:
        foreseen.due_at = world.now
    foreseen.save()
    tick(world, 40)
    assert level() == ("normal", 2)


def test_a_degradation_whose_worker_died_right_after_it_is_restored_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*args: Any, **more: Any) -> None:
        raise LeaseLost("killed")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "step_close", dies)
        tick(world, 3)
    assert level() == ("essential", 1)
    tick(world, 90)
    [run] = runs("degrade")
    assert (run.state, run.steps.get().after) == (RunState.SUCCEEDED, {})
    assert level_before("shop", 1, world.now)["level"] == "normal"
    tick(world, 150)
    assert level() == ("normal", 2)

"""Workflows that people change while a run is open: it goes on with what it began with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from django.test import Client

from healing.choices import RunState
from healing.models import HealingRun, Workflow
from healing.services.recovery_orchestrator import (
    run_approve,
    run_look,
    run_rollback,
    run_start,
    runs_reap,
)
from healing.services.workflows.modes import workflow_mode_set
from healing.services.workflows.store import workflow_delete, workflow_switch, workflow_update
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from tests.healing.engine.scenes import (
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
from tests.pages.html import text_of

pytestmark = pytest.mark.django_db

ANA = Actor(ActorKind.USER, "ana")
BY = {"actor": ANA, "role": Role.OPERATOR, "reason": "I looked"}
Change = Callable[[World], None]


def rewritten(world: World, *steps: dict[str, Any], **more: Any) -> None:
    """The workflow gets another text, in which the steps of open runs are no longer."""
    form = {
        "name": "heal_it",
        "title": "Heal it otherwise",
        "trigger": {"type": "manual"},
        "steps": list(steps) or [step("test_left", "other")],
        **more,
    }
    workflow_update(name="heal_it", text=yaml.safe_dump(form), actor=ANA, now=world.now)


def removed(world: World) -> None:
    rewritten(world, step("test_undoable", "one"))


def observed(world: World) -> None:
    workflow_mode_set(name="heal_it", mode="observe", reason="wait", actor=ANA, now=world.now)


def switched_off(world: World) -> None:
    workflow_switch(name="heal_it", enabled=False, reason="wait", actor=ANA, now=world.now)


def deleted(world: World) -> None:
    workflow_delete(name="heal_it", actor=ANA, now=world.now)


@pytest.mark.parametrize("change", [rewritten, removed, observed, switched_off, deleted])
def test_a_run_that_has_begun_does_its_own_steps_to_the_end(
    world: World, stage: Stage, change: Change
) -> None:
    def act(thing: str) -> None:
        if thing == "one":
            change(world)
        else:
            world.down.discard("api")

    stage.on_act = act
    run = begun(world, step("test_undoable", "one"), step("test_left", "two"))
    run = followed(run, world)
    assert (run.state, run.version, run.mode) == (RunState.SUCCEEDED, 1, "auto")
    assert stage.log == ["test_undoable one", "test_left two"]
    assert states(run) == ["succeeded", "succeeded"]


@pytest.mark.parametrize("change", [rewritten, deleted])
def test_what_a_run_did_is_undone_as_it_was_written_when_it_began(
    world: World, stage: Stage, change: Change
) -> None:
    back = {"action": "test_left", "with": {"thing": "back"}}
    run = begun(
        world, step("test_undoable", "one"), step("test_left", "two", compensate=back),
        verification={"timeout_seconds": 8},
    )  # fmt: skip
    run_look(run.pk, now=lambda: world.now)
    assert fresh(run).state == RunState.VERIFYING
    change(world)
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert stage.log[2:] == ["test_left back", "undo one"]
    assert run.evidence["undone"] == ["one", "two"]
    assert "was not well within 8 s" in run.outcome


def test_what_healed_can_be_undone_though_its_workflow_is_gone(world: World, stage: Stage) -> None:
    stage.on_act = lambda _: world.down.discard("api")
    run = followed(begun(world, step("test_undoable", "one")), world)
    assert run.state == RunState.SUCCEEDED
    deleted(world)
    run_rollback(run_id=run.pk, now=world.now, **BY)
    run = followed(run, world)
    assert (run.state, run.workflow, run.version) == (RunState.ROLLED_BACK, "heal_it", 1)
    assert stage.log == ["test_undoable one", "undo one"]


# --- Before its first act ---------------------------------------------------------------------


@pytest.mark.parametrize("change", [rewritten, removed])
def test_what_a_person_said_yes_to_is_what_is_done(
    world: World, stage: Stage, change: Change
) -> None:
    run = begun(world, step("test_undoable", "one"), step("test_left", "two"), mode="approve")
    change(world)
    run_approve(run_id=run.pk, now=world.now, **BY)
    stage.on_act = lambda _: world.down.discard("api")
    run = followed(run, world)
    assert (run.state, run.version) == (RunState.SUCCEEDED, 1)
    assert stage.log == ["test_undoable one", "test_left two"]


@pytest.mark.parametrize(
    ("change", "refused_by", "words"),
    [
        (observed, "mode", "Refused by mode: "),
        (switched_off, "mode", "Refused by mode: "),
        (deleted, "", "The workflow heal_it was deleted."),
    ],
)
def test_nothing_begins_that_may_not_any_more(
    world: World, stage: Stage, change: Change, refused_by: str, words: str
) -> None:
    run = begun(world, step("test_left", "one"))
    change(world)
    assert run_look(run.pk, now=lambda: world.now)
    run = fresh(run)
    assert (run.state, run.refused_by, run.due_at) == (RunState.CANCELLED, refused_by, None)
    assert run.outcome.startswith(words)
    assert stage.log == []


def test_a_run_whose_workflow_becomes_more_careful_waits_for_a_yes(
    world: World, stage: Stage
) -> None:
    run = begun(world, step("test_left", "one"))
    workflow_mode_set(name="heal_it", mode="approve", reason="wait", actor=ANA, now=world.now)
    run_look(run.pk, now=lambda: world.now)
    assert fresh(run).state == RunState.WAITING_APPROVAL
    assert stage.log == []


def test_nobody_is_asked_for_a_yes_to_a_workflow_that_is_gone(world: World, stage: Stage) -> None:
    run = begun(world, mode="approve")
    assert runs_reap(world.now) == []
    deleted(world)
    assert runs_reap(world.now) == [run.pk]
    run = fresh(run)
    assert (run.state, run.outcome) == (RunState.CANCELLED, "The workflow heal_it was deleted.")


# --- What people see --------------------------------------------------------------------------


def test_the_screen_and_the_api_show_the_version_that_ran(
    world: World, stage: Stage, viewer: Client
) -> None:
    stage.on_act = lambda _: world.down.discard("api")
    flow = workflow(step("test_left", "one"), step("test_left", "two"), now=world.now)
    first = followed(run_started(world, flow), world)
    rewritten(world, guards={"cooldown_seconds": 0})
    flow.refresh_from_db()
    assert flow.version == 2
    second = followed(run_started(world, flow), world)
    deleted(world)
    for run, version, title, names in (
        (first, 1, "Heal it on shop", ["one", "two"]),
        (second, 2, "Heal it otherwise on shop", ["other"]),
    ):
        page = text_of(viewer, f"/healing/runs/{run.pk}")
        assert f"heal_it, version {version}" in page
        assert f">{title}</h1>" in page
        for n, name in enumerate(names, start=1):
            assert f"<b>{n}. {name}</b>" in page
        assert f"<b>{len(names) + 1}. " not in page
        told = viewer.get(f"/api/v1/healing/runs/{run.pk}").json()
        assert (told["workflow"], told["version"]) == ("heal_it", version)
        assert [each["name"] for each in told["steps"]] == names
    assert [each.name for each in steps_of(first)] == ["one", "two"]


def run_started(world: World, flow: Workflow) -> HealingRun:
    """Begun by a person, whom no cooldown keeps from it."""
    return run_start(workflow=flow, subject=subject(world), now=world.now, **BY)

"""What would heal now: told for everything that fails, and nothing is touched."""

from __future__ import annotations

import pytest
from django.db import connection

from healing.models import HealingRun, Opportunity, Quarantine
from healing.services.failure_detector import failures_look
from healing.services.preview import preview
from tests.healing.detection.scene import workflow as way_workflow
from tests.healing.engine import scenes
from tests.healing.engine.scenes import stage, step, workflow
from tests.health.world import World

__all__ = ["stage"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stage")]


@pytest.fixture
def world(db: None) -> World:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    made = World()
    made.check("api", interval=5, service="shop", failures_to_down=2, settle_seconds=0)
    for name in ("cellar", "kitchen", "bar"):
        made.check(name, interval=5, failures_to_down=2, settle_seconds=0)
    return made


def test_nothing_fails_and_nothing_would_heal(world: World) -> None:
    workflow(step("test_left"), now=world.now)
    found = preview(now=world.now)
    assert (found.failures, found.left_off) == ((), 0)


def test_each_failure_has_the_workflows_that_answer_with_the_exact_effects(world: World) -> None:
    gated = {"precondition": {"type": "has_way", "way": "restart"}}
    workflow(step("test_left", "pool"), step("test_repeatable", "more", **gated), now=world.now)
    way_workflow("restart_service", mode="auto", priority=200)
    world.down.add("api")
    world.run(15)
    found = preview(now=world.now)
    [failure] = found.failures
    assert failure.failing.text == "Check api of shop is down: api says down"
    first, second = failure.answers
    assert (first.workflow, first.target, first.mode, first.refused_by) == (
        "heal_it", "shop", "auto", "",
    )  # fmt: skip
    assert first.begins
    assert [(each.name, each.state, each.text) for each in first.steps] == [
        ("pool", "would", "would test_left pool of shop"),
        ("more", "skipped", "shop has no way restart."),
    ]
    assert (second.workflow, second.begins, second.steps) == ("restart_service", False, ())
    assert second.unable == "its service has no way restart"
    assert first.opportunity is None
    assert scenes.STAGE.log == []
    assert not HealingRun.objects.exists()
    assert not Opportunity.objects.exists()


def test_a_failure_that_nothing_answers_to_is_told_too(world: World) -> None:
    workflow(step("test_left"), now=world.now, trigger={"type": "check_failed", "names": ["api"]})
    world.down |= {"api", "cellar"}
    world.run(15)
    found = preview(now=world.now)
    assert {each.failing.names[0]: len(each.answers) for each in found.failures} == {
        "api": 1, "cellar": 0,
    }  # fmt: skip


def test_a_guardrail_that_would_refuse_is_named_and_does_nothing(world: World) -> None:
    workflow(step("test_left"), now=world.now, mode="suggest")
    world.down.add("api")
    world.run(15)
    failures_look(now=world.now)
    [failure] = preview(now=world.now).failures
    [answer] = failure.answers
    assert (answer.refused_by, answer.begins) == ("mode", False)
    assert answer.verdicts[-1].name == "mode"
    assert answer.steps[0].text == "would test_left test_left of shop"
    assert answer.opportunity == Opportunity.objects.get().pk
    assert not Quarantine.objects.exists()


def test_effects_that_take_too_long_do_not_hold_up_the_page(world: World) -> None:
    workflow(step("test_left", "a"), step("test_left", "b"), now=world.now)
    world.down.add("api")
    world.run(15)
    ticks = iter(range(0, 1000, 8))
    [failure] = preview(now=world.now, clock=lambda: float(next(ticks))).failures
    states = [each.state for each in failure.answers[0].steps]
    assert states[-1] == "cannot"
    assert failure.answers[0].steps[-1].text.startswith("It was not asked")

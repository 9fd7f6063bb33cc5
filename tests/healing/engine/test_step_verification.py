"""Steps that are verified by themselves: what has to come true after the act, or it has failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from healing.choices import RunState
from healing.models import HealingRun, HealingStep
from healing.services.recovery_orchestrator import run_cancel, run_look
from healing.services.runs import recovery
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from resilience_site.core.models import JournalEntry
from tests.analytics.figures.history import write_calls
from tests.healing.engine.scenes import (
    ACTIONS,
    Sample,
    Stage,
    Thing,
    begun,
    followed,
    fresh,
    states,
    step,
    steps_of,
)
from tests.health.world import World

pytestmark = pytest.mark.django_db
PASSING = {"type": "passing", "passes": 2, "timeout_seconds": 15}
ANN = Actor(ActorKind.USER, "ann")


def proven(action: str = "test_undoable", thing: str = "one", **more: Any) -> dict[str, Any]:
    return step(action, thing, **{"verification": PASSING, **more})


def test_a_step_is_done_only_once_what_verifies_it_has_come_true(
    world: World, stage: Stage
) -> None:
    run = begun(world, proven(), step("test_left", "two"))
    run_look(run.pk, now=lambda: world.now)
    assert (states(run), stage.log) == (["verifying", "pending"], ["test_undoable one"])
    world.run(3)
    run_look(run.pk, now=lambda: world.now)
    assert states(run) == ["verifying", "pending"]
    world.down.clear()
    run = followed(run, world)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, ["succeeded", "succeeded"])
    told = steps_of(run)[0].verification
    assert (told["well"], told["passes"]) == (True, 2)
    assert told["text"] == "api passed 2 times in a row"
    assert told["words"] == "by the check that triggered it, api, 2 times in a row within 15 s"
    words = JournalEntry.objects.filter(kind="run.step").values_list("payload__text", flat=True)
    assert any("is verified by the check that triggered it, api" in each for each in words)


def test_one_that_does_not_come_true_is_a_failed_attempt_and_is_tried_again(
    world: World, stage: Stage
) -> None:
    keys: list[str] = []

    class Counted(Sample):
        name, label, safe_to_leave = "test_counted", "Counted", True

        def act(self, parameters: Thing, context: Any) -> Any:
            keys.append(context.key)
            if len(keys) == 2:
                world.down.clear()
            return super().act(parameters, context)

    ACTIONS["test_counted"] = Counted()
    try:
        run = followed(begun(world, proven("test_counted", retries=1)), world, 90)
    finally:
        ACTIONS.pop("test_counted")
    assert (run.state, states(run)) == (RunState.SUCCEEDED, ["succeeded"])
    found = steps_of(run)[0]
    assert (found.attempt, found.verification["rounds"]) == (2, 1)
    # A target that knows idempotence must not take the second attempt for the first.
    assert len(set(keys)) == 2


def test_one_that_never_comes_true_has_the_run_undone_in_reverse_order(
    world: World, stage: Stage
) -> None:
    steps = (step("test_undoable", "zero"), proven(retries=1), step("test_left", "two"))
    run = followed(begun(world, *steps), world, 120)
    assert run.state == RunState.ESCALATED
    assert states(run) == ["compensated", "compensated", "pending"]
    acted = ["test_undoable zero", "test_undoable one", "test_undoable one"]
    assert stage.log == [*acted, "undo one", "undo zero"]
    found = steps_of(run)[1]
    assert "did not help in time: api passed 0 of 2 times" in found.error
    assert found.verification["well"] is False
    assert "Step one failed: It was done and did not help in time" in run.outcome


def test_what_became_well_before_another_attempt_is_not_done_again_but_verified(
    world: World, stage: Stage
) -> None:
    run = begun(world, proven(retries=1, retry_seconds=30, precondition={"type": "failing"}))
    run_look(run.pk, now=lambda: world.now)
    for _ in range(20):
        world.run(1)
        run_look(run.pk, now=lambda: world.now)
    assert (states(run), steps_of(run)[0].attempt) == (["pending"], 1)
    world.down.clear()
    run = followed(run, world, 90)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, ["skipped"])
    assert stage.log == ["test_undoable one"]


def test_one_that_waits_for_another_attempt_at_the_deadline_is_undone(
    world: World, stage: Stage
) -> None:
    run = begun(world, proven(retries=1, retry_seconds=300), deadline_seconds=60)
    run = followed(run, world, 90)
    assert (run.state, states(run)) == (RunState.ESCALATED, ["compensated"])
    assert stage.log == ["test_undoable one", "undo one"]


def test_a_run_that_is_cancelled_meanwhile_says_what_was_left(world: World, stage: Stage) -> None:
    run = begun(world, proven())
    run_look(run.pk, now=lambda: world.now)
    run_cancel(run_id=run.pk, reason="mine", actor=ANN, role=Role.OPERATOR, now=world.now)
    run = followed(run, world)
    assert (run.state, states(run)) == (RunState.CANCELLED, ["failed"])
    assert "Left as it is: one" in run.outcome
    assert "did not wait any longer" in steps_of(run)[0].error


# --- What a step may be verified by -----------------------------------------------------------


def calls(at: datetime, errors: int) -> None:
    """A minute with 100 calls."""
    write_calls("shop", at, at + timedelta(minutes=1), lambda _: (100, errors, 20.0))


def test_a_figure_is_judged_by_a_minute_after_the_act(world: World, stage: Stage) -> None:
    own = {"type": "metric", "metric": "error_rate", "below": 0.05, "timeout_seconds": 300}
    world.run(60 - world.now.second + 10)
    minute = world.now.replace(second=0)
    calls(minute, 1)
    run = begun(world, proven(verification=own))
    run_look(run.pk, now=lambda: world.now)
    assert "No minute since tells" in steps_of(run)[0].verification["text"]
    calls(minute + timedelta(minutes=1), 40)
    world.run(100)
    run_look(run.pk, now=lambda: world.now)
    # The minute lasts: it does not tell yet what goes wrong in its rest.
    assert "No minute since tells" in steps_of(run)[0].verification["text"]
    world.run(20)
    run_look(run.pk, now=lambda: world.now)
    told = steps_of(run)[0].verification
    assert (told["well"], told["text"]) == (None, "Errors per call is 0.4, not below 0.05")
    calls(minute + timedelta(minutes=2), 2)
    world.down.clear()
    world.run(60)
    run_look(run.pk, now=lambda: world.now)
    told = steps_of(run)[0].verification
    assert (told["well"], told["text"]) == (True, "Errors per call is 0.02, below 0.05")
    assert told["words"] == (
        "by errors per call of shop, below 0.05 within 5 min of the first whole minute"
    )
    # Counted from the end of the first minute that tells, and what takes a moment to arrive.
    assert datetime.fromisoformat(told["until"]) == minute + timedelta(minutes=7, seconds=10)


def test_a_minute_without_any_error_is_one_of_none(world: World, stage: Stage) -> None:
    own = {"type": "metric", "metric": "errors", "below": 1, "timeout_seconds": 30}
    world.run(60 - world.now.second + 10)
    run = begun(world, proven(verification=own))
    run_look(run.pk, now=lambda: world.now)
    world.down.clear()
    for _ in range(119):
        world.run(1)
        run_look(run.pk, now=lambda: world.now)
    assert states(run) == ["verifying"]
    world.run(1)
    run_look(run.pk, now=lambda: world.now)
    assert states(run) == ["succeeded"]
    assert steps_of(run)[0].verification["text"].endswith("is 0, below 1")


def test_a_check_that_is_named_tells_instead_of_what_triggered_the_run(
    world: World, stage: Stage
) -> None:
    world.check("pool", interval=5, service="shop", failures_to_down=2)
    own = {"type": "passing", "check": "pool", "timeout_seconds": 15}
    run = begun(world, proven(verification=own))
    run_look(run.pk, now=lambda: world.now)
    assert states(run) == ["verifying"]
    world.run(6)
    run_look(run.pk, now=lambda: world.now)
    assert (states(run), fresh(run).state) == (["succeeded"], RunState.VERIFYING)
    assert steps_of(run)[0].verification["text"] == "pool passed 1 time in a row"


def test_a_check_that_is_not_there_fails_the_step_by_its_name(world: World, stage: Stage) -> None:
    own = {"type": "passing", "check": "nosuch", "timeout_seconds": 3}
    run = followed(begun(world, proven(verification=own)), world)
    assert (run.state, states(run)) == (RunState.ESCALATED, ["compensated"])
    assert "shop has no check nosuch" in run.outcome


def test_a_step_may_wait_until_nothing_of_its_target_fails(world: World, stage: Stage) -> None:
    run = begun(world, proven(verification={"type": "quiet", "timeout_seconds": 30}))
    run_look(run.pk, now=lambda: world.now)
    assert steps_of(run)[0].verification["text"] == "Of shop, api fails"
    world.down.clear()
    assert followed(run, world).state == RunState.SUCCEEDED


# --- Ends --------------------------------------------------------------------------------------


def test_a_run_that_the_site_cannot_advance_has_no_step_that_is_verified_for_ever(
    world: World, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(world, proven())
    run_look(run.pk, now=lambda: world.now)
    assert states(run) == ["verifying"]

    def broken(*args: Any) -> None:
        raise RuntimeError("a fault of the site")

    monkeypatch.setattr(recovery, "definition_of", broken)
    world.run(2)
    HealingRun.objects.update(deadline=world.now)
    run_look(run.pk, now=lambda: world.now)
    assert (fresh(run).state, states(run)) == (RunState.ESCALATED, ["failed"])
    assert "did not wait any longer" in steps_of(run)[0].error


def test_what_acted_and_was_not_to_be_tried_again_is_told_as_left(
    world: World, stage: Stage
) -> None:
    own = {**PASSING, "timeout_seconds": 3}
    failing = {"type": "failing"}
    again = proven("test_left", verification=own, retries=1, retry_seconds=30, precondition=failing)
    never = step("test_left", "none", precondition={"type": "has_way", "way": "restart"})
    stage.fail["two"] = 1
    last = step("test_left", "two")
    run = begun(world, again, never, last, verification={"neighbours": False})
    stage.permanent = True
    run_look(run.pk, now=lambda: world.now)
    for _ in range(4):
        world.run(1)
        run_look(run.pk, now=lambda: world.now)
    assert (states(run)[0], steps_of(run)[0].attempt) == ("pending", 1)
    world.down.clear()
    run = followed(run, world, 90)
    assert (run.state, states(run)) == (RunState.ESCALATED, ["skipped", "skipped", "failed"])
    assert run.evidence["left"] == ["one"]
    assert "Left as it is: one." in run.outcome


def test_a_worker_of_the_version_before_may_still_write_steps(world: World, stage: Stage) -> None:
    begun(world)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_default FROM information_schema.columns WHERE table_name = %s "
            "AND column_name = 'verification'",
            [HealingStep._meta.db_table],
        )
        assert str(cursor.fetchone()[0]).startswith("'{}'")

"""Runs that nobody ends: beyond their deadline, or left by a worker that died, in each state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from healing.actions.base import Subject
from healing.choices import OPEN, RunState, StepState
from healing.models import HealingRun, HealingStep
from healing.services.recovery_orchestrator import (
    NotNow,
    run_approve,
    run_look,
    run_start,
    runs_due,
    runs_reap,
)
from healing.services.runs import recovery
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from tests.healing.engine.scenes import SITE, Stage, at_once, fresh, states, step, workflow

pytestmark = pytest.mark.django_db(transaction=True)

TOLD = Subject(kind="service", name="quiet", service="quiet", trigger_kind="alert")
BY: dict[str, Any] = {"actor": Actor(ActorKind.USER, "ana"), "role": Role.OPERATOR}
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
LATE = "It did not end before its deadline."


@dataclass(frozen=True)
class Left:
    """How a worker that died left its run: its state, and what it wrote of the first step."""

    state: RunState
    step: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)


def done(state: StepState, now: datetime, **more: Any) -> dict[str, Any]:
    return {
        "state": state, "attempt": 1, "resolved": "test_undoable", "before": {"was": "0"},
        "started_at": now, "ended_at": None if state == StepState.RUNNING else now, **more,
    }  # fmt: skip


START = datetime(2026, 3, 2, 12, tzinfo=UTC)
PENDING = Left(RunState.PENDING)
WAITING = Left(RunState.WAITING_APPROVAL)
BEGUN = Left(RunState.RUNNING)
ACTING = Left(RunState.RUNNING, done(StepState.RUNNING, START))
BETWEEN = Left(RunState.RUNNING, done(StepState.SUCCEEDED, START))
VERIFYING = Left(
    RunState.VERIFYING, done(StepState.SUCCEEDED, START), {"verify_since": START, "passes": 1}
)
UNDOING = Left(
    RunState.RUNNING,
    done(StepState.SUCCEEDED, START, undo_state=StepState.RUNNING),
    {"undoing": LATE},
)


def left(how: Left, **changes: Any) -> HealingRun:
    """A run of two steps as a worker left it that died a second ago. The second step of one that
    is being verified or undone was skipped."""
    now = datetime.now(UTC)
    waits = how.state == RunState.WAITING_APPROVAL
    flow = workflow(
        step("test_undoable", "one"), step("test_left", "two"), now=now,
        mode="approve" if waits else "auto",
    )  # fmt: skip
    run = run_start(workflow=flow, subject=TOLD, actor=SITE, now=now)
    HealingStep.objects.filter(run=run, n=1).update(**how.step)
    if how in (VERIFYING, UNDOING):
        HealingStep.objects.filter(run=run, n=2).update(state=StepState.SKIPPED)
    begun = None if how in (PENDING, WAITING) else now
    values = {"state": how.state, "started_at": begun, "lease_until": now - SECOND, "fence": 7}
    HealingRun.objects.filter(pk=run.pk).update(**values | how.run | changes)
    return fresh(run)


def late(how: Left) -> HealingRun:
    """Such a run beyond its time, which nothing makes due any more."""
    now = datetime.now(UTC)
    past = {"deadline": now - SECOND, "approve_until": now - SECOND, "due_at": now + HOUR}
    return left(how, **past)


def reap() -> list[UUID]:
    return runs_reap(datetime.now(UTC))


def follow() -> list[UUID]:
    """The runs that this worker advanced."""
    return [run_id for run_id in runs_due(datetime.now(UTC)) if run_look(run_id)]


def of_all(*calls: Callable[[], list[UUID]]) -> list[UUID]:
    """What the calls return together, begun at the same moment."""
    return [run_id for found in at_once(*calls) for run_id in found]


def ends(run: HealingRun) -> list[str]:
    """How often and how it ended, by the journal."""
    found = [each for each in journal.read(0, ["healing"]) if each.key == str(run.pk)]
    return [each.state for each in found if each.kind != "run.step" and each.state not in OPEN]


@pytest.mark.parametrize(
    ("how", "state", "outcome", "log", "steps"),
    [
        (PENDING, "cancelled", "Nobody looked at it before its deadline.", [],
         ["pending", "pending"]),
        (WAITING, "cancelled", "Nobody approved it in time.", [], ["pending", "pending"]),
        (BEGUN, "failed", LATE, [], ["pending", "pending"]),
        (ACTING, "escalated", f"{LATE} Undone: one.", ["undo one"], ["compensated", "pending"]),
        (BETWEEN, "escalated", f"{LATE} Undone: one.", ["undo one"], ["compensated", "pending"]),
        (VERIFYING, "escalated", f"{LATE} Undone: one.", ["undo one"], ["compensated", "skipped"]),
        (UNDOING, "escalated", f"{LATE} Undone: one.", ["undo one"], ["compensated", "skipped"]),
    ],
)  # fmt: skip
def test_a_run_beyond_its_deadline_ends_right_and_once_though_two_reap_and_follow(
    stage: Stage, how: Left, state: str, outcome: str, log: list[str], steps: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    stage.finished = True
    run = late(how)
    assert runs_due(datetime.now(UTC)) == [], "but for the reaper nobody would look at it"
    # Nobody advances what waits: the reaper itself ends it, and makes the others due.
    by_reaper, by_worker = ([run.pk], []) if how is WAITING else ([], [run.pk])
    assert of_all(reap, reap) == by_reaper
    assert of_all(follow, follow) == by_worker
    ended = fresh(run)
    assert (ended.state, ended.outcome) == (state, outcome)
    assert (ended.due_at, ended.lease_until) == (None, None)
    assert (stage.log, states(run)) == (log, steps)
    # What is over stays as it is.
    assert of_all(reap, follow, reap, follow) == []
    assert (fresh(run).ended_at, fresh(run).fence) == (ended.ended_at, ended.fence)
    assert (stage.log, ends(run)) == (log, [state])
    assert [each for each in caplog.records if each.name == recovery.__name__] == []


@pytest.mark.parametrize(
    ("how", "log"),
    [
        (PENDING, ["test_undoable one", "test_left two"]),
        (BEGUN, ["test_undoable one", "test_left two"]),
        (ACTING, ["test_left two"]),
        (BETWEEN, ["test_left two"]),
        (VERIFYING, []),
    ],
)
def test_a_run_whose_worker_died_goes_on_once_its_lease_is_over(
    stage: Stage, how: Left, log: list[str]
) -> None:
    stage.finished = True
    run = left(how, lease_until=datetime.now(UTC) + HOUR)
    assert of_all(reap, follow, reap, follow) == [], "its worker may yet live"
    assert (fresh(run).state, fresh(run).fence, stage.log) == (how.state, 7, [])
    HealingRun.objects.update(lease_until=datetime.now(UTC) - SECOND)
    assert of_all(reap, reap) == [], "it has time left"
    assert of_all(follow, follow) == [run.pk]
    ended = fresh(run)
    assert (ended.state, ended.fence) == (RunState.SUCCEEDED, 8)
    assert (stage.log, ends(run)) == (log, ["succeeded"])


def test_the_run_of_a_worker_that_lives_is_left_to_it_beyond_the_deadline(stage: Stage) -> None:
    run = late(VERIFYING)
    HealingRun.objects.update(lease_until=datetime.now(UTC) + HOUR)
    assert of_all(reap, reap, follow, follow) == []
    assert (fresh(run).state, fresh(run).fence) == (RunState.VERIFYING, 7)


def test_a_yes_in_the_last_moment_holds(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds that nobody answered in time, and is slow to write it down, looks again."""
    run = left(WAITING)
    until = run.approve_until
    assert until is not None
    own = recovery.definition_of
    answers = [lambda: run_approve(run_id=run.pk, now=until - SECOND, **BY)]

    def read(form: dict[str, Any]) -> Any:
        # Right after the run was read as one that waits.
        if answers:
            answers.pop()()
        return own(form)

    monkeypatch.setattr(recovery, "definition_of", read)
    assert run_look(run.pk, now=lambda: until)
    assert answers == []
    approved = fresh(run)
    assert (approved.state, approved.approved_by) == (RunState.PENDING, "ana")
    assert run_look(run.pk, now=lambda: until)
    assert fresh(run).state == RunState.SUCCEEDED


def test_of_a_yes_and_the_reaper_at_the_end_of_its_time_one_counts(stage: Stage) -> None:
    run = left(WAITING)
    until = run.approve_until
    assert until is not None

    def approve() -> bool:
        try:
            run_approve(run_id=run.pk, now=until - SECOND, **BY)
        except NotNow:
            return False
        return True

    calls: list[Callable[[], Any]] = [approve, lambda: runs_reap(until), lambda: runs_reap(until)]
    approved, first, second = at_once(*calls)
    assert first + second == ([] if approved else [run.pk])
    if approved:
        assert (fresh(run).state, ends(run)) == (RunState.PENDING, [])
    else:
        assert (fresh(run).state, ends(run)) == (RunState.CANCELLED, ["cancelled"])

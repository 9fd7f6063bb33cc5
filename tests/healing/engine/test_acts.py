"""What people do to runs, and how runs begin by mode."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from healing.choices import Mode, RunState
from healing.models import HealingRun, HealingSwitch, Opportunity
from healing.services.recovery_orchestrator import (
    NotNow,
    Refused,
    run_approve,
    run_cancel,
    run_look,
    run_refuse,
    run_rollback,
    run_start,
    run_verify,
    runs_reap,
)
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Forbidden, Invalid, NotFound
from tests.healing.engine.scenes import (
    SITE,
    Stage,
    begun,
    followed,
    fresh,
    states,
    step,
    subject,
    workflow,
)
from tests.health.world import World

pytestmark = pytest.mark.django_db

ANA = Actor(ActorKind.USER, "ana")
BY = {"actor": ANA, "role": Role.OPERATOR, "reason": "I looked"}


def thrown(world: World) -> None:
    HealingSwitch.objects.create(stopped=True, reason="all hands", actor="bo", changed_at=world.now)


# --- Starting ---------------------------------------------------------------------------------


def test_in_mode_approve_a_run_waits_for_a_yes_and_then_acts(world: World, stage: Stage) -> None:
    run = begun(world, step("test_left", "one"), mode="approve")
    assert run.state == RunState.WAITING_APPROVAL
    assert not run_look(run.pk, now=lambda: world.now)
    run = run_approve(run_id=run.pk, now=world.now, **BY)
    assert (run.state, run.approved_by) == (RunState.PENDING, "ana")
    assert run_look(run.pk, now=lambda: world.now)
    assert stage.log == ["test_left one"]
    entry = AuditEntry.objects.get(action="healing_run.approve")
    assert (entry.actor, entry.reason) == ("ana", "I looked")


def test_guardrails_are_judged_again_after_the_yes(world: World, stage: Stage) -> None:
    run = begun(world, mode="approve")
    run_approve(run_id=run.pk, now=world.now, **BY)
    thrown(world)
    run_look(run.pk, now=lambda: world.now)
    run = fresh(run)
    assert (run.state, run.refused_by) == (RunState.CANCELLED, "kill_switch")
    assert stage.log == []


def test_a_run_that_nobody_approves_is_cancelled(world: World, stage: Stage) -> None:
    run = begun(world, mode="approve", guards={"approval_seconds": 60})
    assert runs_reap(world.now + timedelta(seconds=59)) == []
    assert runs_reap(world.now + timedelta(seconds=60)) == [run.pk]
    run = fresh(run)
    assert (run.state, run.outcome) == (RunState.CANCELLED, "Nobody approved it in time.")
    with pytest.raises(NotNow):
        run_approve(run_id=run.pk, now=world.now, **BY)


def test_nobody_is_asked_about_what_recovered_by_itself(world: World, stage: Stage) -> None:
    run = begun(world, mode="approve")
    world.down.clear()
    world.run(20)
    assert runs_reap(world.now) == [run.pk]
    assert "recovered by itself" in fresh(run).outcome


def test_whoever_starts_a_run_by_hand_has_approved_it(world: World, stage: Stage) -> None:
    flow = workflow(now=world.now, mode="suggest")
    run = run_start(workflow=flow, subject=subject(world), now=world.now, **BY)
    assert (run.state, run.approved_by, run.requested_by) == (RunState.PENDING, "ana", "ana")


def test_by_hand_with_the_mode_approve_a_second_person_says_yes(world: World, stage: Stage) -> None:
    flow = workflow(now=world.now)
    run = run_start(workflow=flow, subject=subject(world), mode="approve", now=world.now, **BY)
    assert (run.state, run.approved_by) == (RunState.WAITING_APPROVAL, "")


def test_by_hand_with_the_mode_observe_it_is_a_dry_run(world: World, stage: Stage) -> None:
    flow = workflow(now=world.now)
    run = run_start(workflow=flow, subject=subject(world), mode="observe", now=world.now, **BY)
    assert followed(run, world).dry_run
    assert stage.log == []


@pytest.mark.parametrize("mode", ["observe", "suggest"])
def test_the_site_begins_nothing_below_approve(world: World, stage: Stage, mode: str) -> None:
    run = begun(world, mode=mode)
    assert (run.state, run.refused_by) == (RunState.CANCELLED, "mode")


def test_the_mode_that_is_asked_for_may_only_be_lower(world: World, stage: Stage) -> None:
    flow = workflow(now=world.now, mode="approve")
    run = run_start(workflow=flow, subject=subject(world), actor=SITE, mode="auto", now=world.now)
    assert run.state == RunState.WAITING_APPROVAL
    with pytest.raises(Invalid):
        run_start(workflow=flow, subject=subject(world), actor=SITE, mode="wild", now=world.now)


def test_a_person_is_told_which_guardrail_refuses_and_the_run_keeps_it(
    world: World, stage: Stage
) -> None:
    thrown(world)
    flow = workflow(now=world.now)
    with pytest.raises(Refused) as caught:
        run_start(workflow=flow, subject=subject(world), now=world.now, **BY)
    members = caught.value.members()
    assert caught.value.status == 409
    assert members["guardrail"] == "kill_switch"
    run = HealingRun.objects.get(pk=members["run"])
    assert (run.state, run.refused_by) == (RunState.CANCELLED, "kill_switch")
    assert run.guardrails[-1]["ruling"] == "refuse"
    assert AuditEntry.objects.filter(action="healing_run.start.refused").count() == 1


def opportunity(world: World, flow: object) -> Opportunity:
    told = subject(world)
    return Opportunity.objects.create(
        workflow=flow, target_kind=told.kind, target=told.name, service=told.service,
        trigger_kind=told.trigger_kind, trigger_key=told.trigger_key, trigger=dict(told.trigger),
        check_id=told.check_id, first_seen=world.now, last_seen=world.now,
        next_look_at=world.now,
    )  # fmt: skip


def test_an_opportunity_keeps_one_refused_run_and_is_taken_by_one_that_begins(
    world: World, stage: Stage
) -> None:
    thrown(world)
    flow = workflow(now=world.now)
    chance = opportunity(world, flow)
    again = {"workflow": flow, "subject": subject(world), "actor": SITE, "opportunity": chance}
    first = run_start(**again, now=world.now)
    assert run_start(**again, now=world.now).pk == first.pk
    told = [each.kind for each in journal.read(0, ["healing"]) if each.key == str(first.pk)]
    assert told == ["run.refused"]
    chance.refresh_from_db()
    assert (chance.state, chance.refused_by) == ("open", "kill_switch")
    HealingSwitch.objects.all().delete()
    run = run_start(**again, now=world.now)
    assert run.state == RunState.PENDING
    chance.refresh_from_db()
    assert (chance.state, chance.refused_by, chance.next_look_at) == ("taken", "", None)


def test_one_open_run_a_target(world: World, stage: Stage) -> None:
    begun(world)
    other = workflow(now=world.now, name="other")
    run = run_start(workflow=other, subject=subject(world), actor=SITE, now=world.now)
    assert (run.state, run.refused_by) == (RunState.CANCELLED, "target_lock")


# --- While it runs ----------------------------------------------------------------------------


def test_the_kill_switch_is_looked_at_before_each_step(world: World, stage: Stage) -> None:
    stage.on_act = lambda thing: thrown(world) if thing == "one" else None
    run = begun(world, step("test_left", "one"), step("test_left", "two"))
    run = followed(run, world)
    assert run.state == RunState.ESCALATED
    assert stage.log == ["test_left one"]
    assert "all hands" in run.outcome
    assert "Left as it is: one." in run.outcome


def test_a_verification_goes_on_though_the_kill_switch_is_thrown(
    world: World, stage: Stage
) -> None:
    run = begun(world, step("test_left", "one"))
    run_look(run.pk, now=lambda: world.now)
    thrown(world)
    world.down.discard("api")
    assert followed(run, world).state == RunState.SUCCEEDED


def test_cancelled_it_stops_where_it_stands(world: World, stage: Stage) -> None:
    run = begun(world, step("test_undoable", "one"), step("test_left", "two"))
    stage.on_act = lambda _: run_cancel(run_id=run.pk, now=world.now, **BY)
    run = followed(run, world)
    assert run.state == RunState.CANCELLED
    assert stage.log == ["test_undoable one"]
    assert "Cancelled by ana: I looked. Left as it is: one." in run.outcome


def test_rolled_back_while_it_runs(world: World, stage: Stage) -> None:
    run = begun(world, step("test_undoable", "one"))
    run_look(run.pk, now=lambda: world.now)
    run_rollback(run_id=run.pk, now=world.now, **BY)
    run = followed(run, world)
    assert (run.state, states(run)) == (RunState.ROLLED_BACK, ["compensated"])
    assert stage.log == ["test_undoable one", "undo one"]


def test_rolled_back_after_its_end(world: World, stage: Stage) -> None:
    stage.on_act = lambda _: world.down.discard("api")
    run = followed(begun(world, step("test_undoable", "one")), world)
    assert run.state == RunState.SUCCEEDED
    run_rollback(run_id=run.pk, now=world.now, **BY)
    run = followed(run, world)
    assert run.state == RunState.ROLLED_BACK
    assert stage.log == ["test_undoable one", "undo one"]
    with pytest.raises(NotNow):
        run_rollback(run_id=run.pk, now=world.now, **BY)


def test_nothing_to_undo_is_said(world: World, stage: Stage) -> None:
    stage.on_act = lambda _: world.down.discard("api")
    run = followed(begun(world, step("test_left", "one")), world)
    with pytest.raises(NotNow, match="Nothing that it did can be undone"):
        run_rollback(run_id=run.pk, now=world.now, **BY)


def test_a_rollback_waits_for_the_end_of_another_run(world: World, stage: Stage) -> None:
    stage.on_act = lambda _: world.down.discard("api")
    ended = followed(begun(world, step("test_undoable", "one")), world)
    other = workflow(now=world.now, name="other", guards={"cooldown_seconds": 0})
    run_start(workflow=other, subject=subject(world), now=world.now, **BY)
    with pytest.raises(NotNow, match="Another run is at work"):
        run_rollback(run_id=ended.pk, now=world.now, **BY)


def test_verified_again_after_its_end(world: World, stage: Stage) -> None:
    stage.on_act = lambda _: world.down.discard("api")
    run = followed(begun(world, step("test_left", "one")), world)
    run = run_verify(run_id=run.pk, now=world.now, **BY)
    assert run.evidence["verified"]["well"] is True
    world.down.add("api")
    world.run(20)
    run = run_verify(run_id=run.pk, now=world.now, **BY)
    assert run.evidence["verified"]["well"] is False


def test_refused_by_a_person(world: World, stage: Stage) -> None:
    run = begun(world, mode="approve")
    run = run_refuse(run_id=run.pk, now=world.now, **BY)
    assert (run.state, run.outcome) == (RunState.CANCELLED, "ana refused it: I looked")


@pytest.mark.parametrize("act", [run_approve, run_refuse, run_cancel, run_rollback, run_verify])
def test_who_may_only_look_changes_nothing(world: World, stage: Stage, act: object) -> None:
    run = begun(world, mode="approve")
    with pytest.raises(Forbidden):
        act(run_id=run.pk, actor=ANA, role=Role.VIEWER, reason="no", now=world.now)  # type: ignore[operator]
    with pytest.raises(NotFound):
        act(run_id=uuid4(), now=world.now, **BY)  # type: ignore[operator]
    assert fresh(run).state == RunState.WAITING_APPROVAL


@pytest.mark.parametrize("act", [run_refuse, run_cancel, run_rollback])
def test_a_reason_is_needed(world: World, stage: Stage, act: object) -> None:
    run = begun(world, mode="approve")
    with pytest.raises(Invalid):
        act(run_id=run.pk, actor=ANA, role=Role.OPERATOR, reason=" ", now=world.now)  # type: ignore[operator]


def test_a_start_by_hand_needs_a_role_and_a_reason(world: World, stage: Stage) -> None:
    flow = workflow(now=world.now)
    for role, reason, problem in (
        (None, "why", Forbidden),
        (Role.VIEWER, "why", Forbidden),
        (Role.OPERATOR, "", Invalid),
    ):
        with pytest.raises(problem):
            run_start(
                workflow=flow, subject=subject(world), actor=ANA, role=role, reason=reason,
                now=world.now,
            )  # fmt: skip
    assert not HealingRun.objects.exists()
    assert flow.mode == Mode.AUTO

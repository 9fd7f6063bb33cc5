"""Every guardrail refuses by what the database holds, and what follows from it is done once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.models import Slo
from healing.actions.base import Subject
from healing.choices import Mode, RunState
from healing.domain.guardrails import ORDER
from healing.models import Workflow
from healing.services.guardrails import mode_cap
from healing.services.switches import switch_set
from health.services.maintenance import maintenance_create
from resilience_site.config import config
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from tests.analytics.slos import scenes as slos
from tests.healing.guardrails.scenes import (
    definition,
    fail,
    judged,
    refused_by,
    run,
    target,
    well,
    workflow,
)
from tests.health.world import START, World

pytestmark = pytest.mark.django_db
ANN = Actor(ActorKind.USER, "ann")


# --- Quiet


def test_a_quiet_site_lets_a_workflow_of_mode_auto_run(world: World) -> None:
    found = judged(world, workflow(world))
    assert [(each.name, each.ruling) for each in found.verdicts] == [
        (name, "pass") for name in ORDER
    ]
    assert found.mode == "auto"


def queries_of(world: World, of: Workflow) -> int:
    with CaptureQueriesContext(connection) as queries:
        judged(world, of, dry_run=True)
    return len(queries)


def test_a_situation_takes_the_same_number_of_queries_whatever_it_holds(world: World) -> None:
    of = workflow(world)
    assert queries_of(world, of) == 11
    for n in range(3):
        run(world, of, ago=4000 + n)
        run(world, of, RunState.RUNNING, service=f"other-{n}", ago=10)
        target(world, f"other-{n}", "web")
    target(world, "planner", "web")
    fail(world, "planner http")
    assert queries_of(world, of) == 11
    # What is left of error budgets takes a few more, however many objectives there are.
    slos.slo(objective=0.99)
    slos.slo(objective=0.9, source="checks")
    first = queries_of(world, of)
    slos.slo(objective=0.95, window_days=7)
    slos.slo(objective=0.8, source="checks", window_days=7)
    assert queries_of(world, of) == first <= 19


# --- Each guardrail


def test_the_kill_switch_refuses_people_too_until_it_expires(world: World) -> None:
    of = workflow(world)
    switch_set(
        stopped=True, reason="deploy", expires_in=600, actor=ANN, role=Role.OPERATOR, now=world.now
    )
    for by_person in (False, True):
        found = judged(world, of, by_person=by_person)
        assert refused_by(found) == "kill_switch"
        assert len(found.verdicts) == 1
        assert "deploy" in found.verdicts[0].reason
    world.pass_by(600)
    assert refused_by(judged(world, of)) == ""


def test_the_switch_of_a_group_stops_that_group_only(world: World) -> None:
    of = workflow(world)
    target(world, "planner", "web")
    target(world, "other-1", "batch")
    switch_set(
        stopped=True, group="batch", reason="deploy", actor=ANN, role=Role.ADMIN, now=world.now
    )
    assert refused_by(judged(world, of)) == ""
    assert refused_by(judged(world, of, Subject("service", "other-1", "other-1"))) == "kill_switch"


@pytest.mark.parametrize("scope", [{"services": ["planner"]}, {"checks": ["planner http"]}])
def test_maintenance_refuses_for_the_service_and_for_the_triggering_check(
    world: World, scope: dict[str, Any]
) -> None:
    maintenance_create(
        name="patches",
        kind="single",
        reason="weekly",
        starts_at=world.now - timedelta(minutes=1),
        ends_at=world.now + timedelta(hours=1),
        actor=ANN,
        now=world.now,
        **scope,
    )
    check = world.checks["planner http"].id
    subject = Subject("service", "planner", "planner", check_id=check)
    found = judged(world, workflow(world), subject, by_person=True)
    assert refused_by(found) == "maintenance"
    assert "patches" in found.verdicts[-1].reason
    world.pass_by(3601)
    assert refused_by(judged(world, workflow(world, name="later"), subject)) == ""


@pytest.mark.parametrize(
    ("mode", "refusal", "allowed"),
    [
        (Mode.OBSERVE, "mode", "observe"),
        (Mode.SUGGEST, "mode", "suggest"),
        (Mode.APPROVE, "", "approve"),
        (Mode.AUTO, "", "auto"),
    ],
)
def test_the_mode_says_how_far_a_run_goes_by_itself(
    world: World, mode: str, refusal: str, allowed: str
) -> None:
    of = workflow(world, mode)
    found = judged(world, of)
    assert (refused_by(found), found.mode) == (refusal, allowed)
    assert refused_by(judged(world, of, by_person=True)) == ""
    assert judged(world, of, by_person=True).mode == "auto"


def test_a_workflow_that_is_switched_off_is_refused_to_everybody(world: World) -> None:
    of = workflow(world, enabled=False)
    assert refused_by(judged(world, of, by_person=True)) == "mode"


def test_a_wish_may_only_lower_the_mode(world: World) -> None:
    assert judged(world, workflow(world, Mode.APPROVE), wanted_mode="auto").mode == "approve"
    low = judged(world, workflow(world, name="other"), wanted_mode="approve")
    assert low.mode == "approve"


@pytest.mark.parametrize(
    ("variable", "changed", "way"),
    [
        ("self_healing_enabled", {"trigger": {"type": "alert"}}, {}),
        ("automated_recovery_enabled", {}, {}),
        ("auto_restart_enabled", {}, {}),
        (
            "connection_pool_healing_enabled",
            {"steps": [{"id": "a", "action": "recycle_pool"}]},
            {},
        ),
        ("cache_warming_on_failure", {"steps": [{"id": "a", "action": "warm_cache"}]}, {}),
        (
            "auto_restart_enabled",
            {"steps": [{"id": "a", "action": "failover"}]},
            {"failover": {"action": "supervisor_restart", "with": {}}},
        ),
        (
            "cache_warming_on_failure",
            {"steps": [{"id": "a", "action": "in_process", "with": {"command": "warm_cache"}}]},
            {},
        ),
    ],
)
def test_a_variable_that_is_false_caps_what_it_governs_at_observe(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    changed: dict[str, Any],
    way: dict[str, Any],
) -> None:
    target(world, "planner", **way)
    of = workflow(world, **changed)
    other = definition(
        name="other", trigger={"type": "alert"}, steps=[{"id": "a", "action": "wait"}]
    )
    assert judged(world, of).mode == "auto"
    monkeypatch.setattr(config, variable, False)
    found = judged(world, of)
    assert (refused_by(found), found.mode) == ("mode", "observe")
    assert variable.upper() in found.verdicts[-1].reason
    assert (mode_cap(other)[0] == "observe") is (variable == "self_healing_enabled")
    # What a failed check may not start, a person may.
    by_person = refused_by(judged(world, of, by_person=True))
    assert by_person == ("" if variable == "automated_recovery_enabled" else "mode")


def test_a_second_run_on_a_target_is_refused_while_one_is_open(world: World) -> None:
    of = workflow(world)
    other = workflow(world, name="other")
    held = run(world, other, RunState.WAITING_APPROVAL, ago=10, started_at=None)
    found = judged(world, of, by_person=True)
    assert refused_by(found) == "target_lock"
    assert found.verdicts[-1].facts["run"] == str(held.id)
    # A run is not in its own way, and a dry run in nobody's.
    assert refused_by(judged(world, other, run=held)) == ""
    held.dry_run = True
    held.save()
    assert refused_by(judged(world, of)) == ""


@pytest.mark.parametrize(("name", "state"), [("", "succeeded"), ("other", "escalated")])
def test_a_target_is_left_alone_for_the_cooldown_after_the_same_workflow_or_one_that_failed(
    world: World, name: str, state: str
) -> None:
    of = workflow(world)
    run(world, workflow(world, name=name) if name else of, RunState(state), ago=599)
    found = judged(world, of)
    assert refused_by(found) == "cooldown"
    assert "1 s" in found.verdicts[-1].reason
    assert refused_by(judged(world, of, by_person=True)) == ""
    world.pass_by(1)
    assert refused_by(judged(world, of)) == ""


def test_what_another_workflow_healed_delays_no_other_heal(world: World) -> None:
    of = workflow(world)
    run(world, workflow(world, name="other"), RunState.SUCCEEDED, ago=5)
    assert refused_by(judged(world, of)) == ""


def test_what_never_acted_leaves_no_cooldown(world: World) -> None:
    of = workflow(world)
    run(world, of, RunState.CANCELLED, ago=5, started_at=None)
    run(world, of, ago=5, dry_run=True)
    assert refused_by(judged(world, of)) == ""


def test_runs_at_once_are_bounded_per_service_and_everywhere(world: World) -> None:
    of = workflow(world, guards={"group_share": 1.0})
    first = run(
        world, of, RunState.VERIFYING, ago=10, target_kind="breaker", target="planner/graph"
    )
    found = judged(world, of, by_person=True)
    assert refused_by(found) == "concurrency"
    assert found.verdicts[-1].facts["of_service"] == 1
    first.delete()
    for n in range(2):
        run(world, of, RunState.RUNNING, service=f"other-{n}", ago=10)
    # One that waits for a person does nothing meanwhile.
    run(world, of, RunState.WAITING_APPROVAL, service="other-5", ago=10, started_at=None)
    assert refused_by(judged(world, of)) == ""
    run(world, of, RunState.PENDING, service="other-3", ago=1, started_at=None)
    found = judged(world, of)
    assert refused_by(found) == "concurrency"
    assert found.verdicts[-1].facts["everywhere"] == 3


@pytest.mark.parametrize(
    "last",
    [
        {"state": RunState.FAILED},
        {"state": RunState.ESCALATED},
        {"state": RunState.ROLLED_BACK},
        {"state": RunState.SUCCEEDED, "failed_again_at": START},
    ],
)
def test_three_failed_runs_in_a_row_turn_auto_into_approve(
    world: World, last: dict[str, Any]
) -> None:
    of = workflow(world)
    for n in (2, 3):
        run(world, of, RunState.FAILED, ago=3600 * n, service=f"other-{n}")
    # Neither heals nor fails.
    run(world, of, RunState.CANCELLED, ago=3600, service="other-4")
    assert judged(world, of).mode == "auto"
    run(world, of, **{"ago": 1800, "service": "other-5", **last})
    found = judged(world, of)
    assert (refused_by(found), found.mode) == ("", "approve")
    assert [e.name for e in found.verdicts if e.ruling == "approve"] == ["failed_runs"]
    assert judged(world, of, by_person=True).mode == "auto"
    # A person who sets the mode again gives it another chance.
    of.mode_changed_at = world.now
    of.save()
    assert judged(world, of).mode == "auto"


def test_a_heal_between_failed_runs_keeps_the_mode(world: World) -> None:
    of = workflow(world)
    for n, state in enumerate(("failed", "failed", "succeeded", "failed"), start=1):
        run(world, of, state, ago=3600 * n, service=f"other-{n}")
    found = judged(world, of)
    assert found.mode == "auto"
    assert next(e for e in found.verdicts if e.name == "failed_runs").facts["failed_in_a_row"] == 2


@pytest.mark.parametrize(("failed", "allowed"), [(8, "auto"), (10, "approve"), (30, "approve")])
def test_below_a_tenth_of_the_error_budget_a_run_needs_approval(
    world: World, failed: int, allowed: str
) -> None:
    world.now = slos.NOW
    Slo.objects.all().delete()
    slos.slo(objective=0.99)
    # 1,000 of these calls may fail in the window, of which `failed` do in each hundred.
    at = slos.NOW - timedelta(minutes=100)
    slos.calls("planner", at, slos.NOW, lambda _: (1000, failed))
    of = workflow(world)
    found = judged(world, of)
    assert (refused_by(found), found.mode) == ("", allowed)
    verdict = next(each for each in found.verdicts if each.name == "error_budget")
    assert verdict.facts["left"] == pytest.approx(1 - failed / 10)
    assert judged(world, of, by_person=True).mode == "auto"


def test_what_is_unreachable_is_not_healed_and_its_culprit_is_named(world: World) -> None:
    of = workflow(world)
    world.check("database", service="postgres")
    world.check("api http", "database", service="api")
    well(world)
    fail(world, "database", "api http")
    assert world.state("api http") == "unreachable"
    found = judged(world, of, Subject("service", "api", "api"), by_person=True)
    assert refused_by(found) == "culprit"
    assert found.verdicts[-1].facts == {
        "check": "database", "service": "postgres", "of": "api http",
    }  # fmt: skip
    assert refused_by(judged(world, of, Subject("service", "postgres", "postgres"))) == ""
    by_check = Subject("breaker", "api/db", "api", check_id=world.checks["api http"].id)
    assert refused_by(judged(world, of, by_check)) == "culprit"


def test_a_service_that_is_itself_to_blame_is_healed(world: World) -> None:
    of = workflow(world)
    world.check("planner process", service="planner")
    world.check("planner api", "planner process", service="planner")
    well(world)
    fail(world, "planner process", "planner api")
    check = world.checks["planner api"]
    assert world.state("planner api") == "unreachable"
    subject = Subject("service", "planner", "planner", check_id=check.id)
    assert refused_by(judged(world, of, subject)) == ""


def test_an_approved_run_counts_as_a_persons_when_it_is_judged_again(world: World) -> None:
    of = workflow(world, Mode.APPROVE)
    held = run(world, of, RunState.PENDING, ago=5, started_at=None)
    assert judged(world, of, run=held).mode == "approve"
    held.approved_by, held.approved_at = "ann", world.now
    assert judged(world, of, run=held).mode == "auto"
    switch_set(stopped=True, reason="no", actor=ANN, role=Role.OPERATOR, now=world.now)
    assert refused_by(judged(world, of, run=held)) == "kill_switch"

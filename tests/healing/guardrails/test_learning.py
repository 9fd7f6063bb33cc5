"""What runs in the database teach: success, times, suggestions, the order of a ladder, chronic
healing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from healing.choices import Mode, OpportunityState, RunState
from healing.models import HealingRun, Opportunity, Workflow
from healing.selectors.learning import (
    ladder_order,
    success_list,
    success_total,
    suggestions,
    times_by_workflow,
)
from healing.services.chronic import chronic_list, chronic_tell
from resilience_site.core import journal
from tests.healing.guardrails.scenes import definition, run, steps, workflow
from tests.health.world import START, World

pytestmark = pytest.mark.django_db
DAY = 86_400
LADDER = [
    {"id": "look", "action": "reprobe"},
    {"id": "pool", "action": "recycle_pool"},
    {"id": "cache", "action": "warm_cache"},
    {"id": "again", "action": "restart"},
    {"id": "without", "action": "degrade"},
]


@pytest.fixture
def world() -> World:
    return World()


def chronic_told() -> list[journal.Recorded]:
    found = journal.read(0, ["healing"], limit=1000)
    return [each for each in found if each.kind == "healing.chronic"]


def test_success_counts_what_acted_and_a_heal_that_did_not_last_as_failed(world: World) -> None:
    of, other = workflow(world), workflow(world, name="other")
    for n in range(8):
        run(world, of, ago=3600 + n)
    run(world, of, ago=3500, failed_again_at=world.now)
    run(world, of, RunState.ESCALATED, ago=3400)
    run(world, of, trigger_kind="manual")
    run(world, other, RunState.FAILED, target_kind="breaker", target="planner/graph")
    # These tell nothing.
    run(world, of, RunState.CANCELLED)
    run(world, of, dry_run=True)
    run(world, of, RunState.RUNNING, ago=5)
    run(world, of, ago=91 * DAY)
    found = success_list(now=world.now)
    assert [(e.workflow, e.target_kind, e.trigger_kind) for e in found] == [
        ("other", "breaker", "check_failed"),
        ("restart_service", "service", "check_failed"),
        ("restart_service", "service", "manual"),
    ]
    assert [(e.tries.healed, e.tries.runs, e.failed_again) for e in found] == [
        (0, 1, 0), (8, 10, 1), (1, 1, 0),
    ]  # fmt: skip
    assert found[1].tries.lower == pytest.approx(0.4902, abs=1e-4)
    assert found[1].tries.rate == 0.8
    total = success_total(success_list(now=world.now, workflow=of.name))
    assert (total.healed, total.runs) == (9, 11)
    assert success_total([]).rate is None


def test_times_run_from_the_first_act_and_from_the_first_sight_of_the_failure(
    world: World,
) -> None:
    of = workflow(world)
    for n in range(1, 101):
        made = run(world, of, ago=1000 + n, took=n)
        made.opportunity = opportunity(of, made, seen=made.created_at - timedelta(seconds=10))
        made.save()
    slow = run(world, of, RunState.FAILED, ago=10, took=0)
    found = times_by_workflow(now=world.now)
    assert list(found) == ["restart_service"]
    times = found["restart_service"]
    assert times.runs == 101
    assert (times.duration_p50, times.duration_p95) == (50, 95)
    # The failed one recovered nothing: of 1 to 100 s, and 10 s before.
    assert times.recovery_p50 == pytest.approx(60.5)
    assert times.recovery_p95 == pytest.approx(105.05)
    HealingRun.objects.exclude(id=slow.id).delete()
    assert times_by_workflow(now=world.now)["restart_service"].recovery_p50 is None
    assert times_by_workflow(now=world.now + timedelta(days=91)) == {}


def opportunity(of: Workflow, made: HealingRun, seen: datetime) -> Opportunity:
    return Opportunity.objects.create(
        workflow=of,
        target_kind=made.target_kind,
        target=made.target,
        service=made.service,
        trigger_kind=made.trigger_kind,
        trigger_key="check",
        state=OpportunityState.TAKEN,
        first_seen=seen,
        last_seen=made.created_at,
    )


def test_a_workflow_that_heals_is_suggested_for_the_next_mode_and_one_that_fails_for_less(
    world: World,
) -> None:
    good = workflow(world, Mode.APPROVE)
    bad = workflow(world, Mode.AUTO, name="bad")
    workflow(world, Mode.AUTO, name="quiet")
    for n in range(10):
        run(world, good, ago=3600 * (n + 1))
        run(world, bad, RunState.FAILED, ago=3600 * (n + 1))
    # Of another version, and under another mode: they say nothing of this one.
    run(world, good, RunState.FAILED, ago=60, version=7)
    run(world, good, RunState.FAILED, ago=101 * DAY)
    with CaptureQueriesContext(connection) as queries:
        found = suggestions(now=world.now)
    assert len(queries) == 2
    assert {name: each.to_mode for name, each in found.items()} == {
        "restart_service": "auto",
        "bad": "approve",
    }
    up = found["restart_service"]
    assert up.promotion
    assert up.at == START - timedelta(hours=1)
    assert "10 of 10" in up.why
    Workflow.objects.update(mode_changed_at=world.now)
    assert suggestions(now=world.now) == {}


def test_a_ladder_climbs_first_what_healed_this_service_then_what_healed_others(
    world: World,
) -> None:
    of = workflow(world, name="recover_service", strategy="ladder", steps=LADDER)
    made = definition(name="recover_service", strategy="ladder", steps=LADDER)
    assert ladder_order(made, "planner", START) == ["look", "pool", "cache", "again", "without"]
    for n in range(4):
        # The pool was recycled in vain; the restart healed.
        climbed = run(world, of, ago=3600 * (n + 1), service=f"other-{n}")
        steps(climbed, "reprobe", "recycle_pool", "restart")
    with CaptureQueriesContext(connection) as queries:
        found = ladder_order(made, "planner", START)
    assert len(queries) == 1
    assert found == ["look", "again", "cache", "pool", "without"]
    # A run by another workflow, in sequence, healed this service by its cache.
    sequence = workflow(world, name="warm", steps=[{"id": "a", "action": "warm_cache"}])
    steps(run(world, sequence), "warm_cache")
    assert ladder_order(made, "planner", START)[:3] == ["look", "cache", "again"]
    assert ladder_order(made, "other-0", START)[:3] == ["look", "again", "cache"]
    # None of these healed.
    steps(run(world, of, failed_again_at=world.now, service="x"), "reprobe", "recycle_pool")
    steps(run(world, of, RunState.ESCALATED, service="x"), "recycle_pool", failed="recycle_pool")
    steps(run(world, of, dry_run=True, service="x"), "recycle_pool")
    assert ladder_order(made, "x", START) == ["look", "again", "cache", "pool", "without"]


def test_chronic_healing_is_told_once_a_day_though_each_run_succeeded(world: World) -> None:
    of = workflow(world)
    for n in range(3):
        run(world, of, ago=3600 * (n + 1))
        run(world, of, RunState.FAILED, ago=3600 * (n + 1))
    assert chronic_tell(now=world.now) == []
    run(world, workflow(world, name="a_last_one"), ago=600)
    run(world, of, ago=600, service="other")
    assert chronic_tell(now=world.now) == ["planner"]
    assert chronic_tell(now=world.now + timedelta(hours=1)) == []
    (entry,) = chronic_told()
    assert (entry.key, entry.service, entry.payload["heals"]) == ("planner", "planner", 4)
    assert "4 times" in entry.payload["text"]
    assert entry.payload["workflow"] == "a_last_one"
    later = world.now + timedelta(hours=25)
    assert chronic_list(now=later) == []
    world.now = later
    for n in range(4):
        run(world, of, ago=60 * (n + 1))
    assert chronic_tell(now=later) == ["planner"]
    assert len(chronic_told()) == 2


def test_the_bound_of_chronic_healing_is_the_workflows_own(world: World) -> None:
    of = workflow(world, guards={"chronic_per_day": 2})
    for n in range(2):
        run(world, of, ago=3600 * (n + 1))
    assert chronic_tell(now=world.now) == ["planner"]

"""The budget of heals of a target, and its quarantine."""

from __future__ import annotations

import pytest

from healing.actions.base import Subject
from healing.choices import RunState
from healing.models import Quarantine
from healing.services.quarantine import quarantine_release
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from resilience_site.core.models import AuditEntry
from tests.healing.guardrails.scenes import (
    entries,
    judged,
    refused_by,
    run,
    workflow,
)
from tests.health.world import World

pytestmark = pytest.mark.django_db
ANN = Actor(ActorKind.USER, "ann")


@pytest.mark.parametrize("ago", [[900, 1800, 3000], [4000 * n for n in range(1, 7)]])
def test_a_used_up_budget_refuses_and_puts_the_target_into_quarantine_once(
    world: World, ago: list[int]
) -> None:
    of = workflow(world)
    for each in ago[1:]:
        run(world, of, RunState.FAILED, ago=each)
    assert refused_by(judged(world, of)) == ""
    run(world, of, RunState.FAILED, ago=ago[0])
    dry = judged(world, of, dry_run=True)
    assert refused_by(dry) == "target_budget"
    assert not Quarantine.objects.exists()
    for _ in range(2):
        found = judged(world, of, by_person=True)
        assert refused_by(found) == "target_budget"
    row = Quarantine.objects.get()
    assert (row.target, row.service, row.since) == ("planner", "planner", world.now)
    assert "quarantine" in found.verdicts[-1].reason
    told = entries("target.quarantined")
    assert [(each.key, each.state, each.service) for each in told] == [
        ("planner", "quarantined", "planner")
    ]
    assert AuditEntry.objects.filter(action="healing_quarantine.begin").count() == 1
    # It does not end by itself: only a person gives the target a new budget.
    world.pass_by(3 * 86_400)
    assert refused_by(judged(world, of)) == "target_budget"


AFTER_HEAL = Subject("service", "planner", "planner", trigger_kind="healed")


def test_what_clears_away_after_a_heal_takes_nothing_of_the_budget_for_healing(
    world: World,
) -> None:
    of = workflow(world)
    for each in (900, 1800, 3000):
        run(world, of, ago=each, trigger_kind="healed")
    assert refused_by(judged(world, of)) == ""
    # It has as much for itself, and a service that is well is not put into quarantine for it.
    assert refused_by(judged(world, of, AFTER_HEAL)) == "target_budget"
    assert not Quarantine.objects.exists()
    assert not entries("target.quarantined")


def test_heals_leave_the_budget_for_clearing_away_after_them(world: World) -> None:
    of = workflow(world)
    for each in (900, 1800, 3000):
        run(world, of, ago=each)
    assert refused_by(judged(world, of, AFTER_HEAL)) == ""


def test_a_release_gives_a_new_budget(world: World) -> None:
    of = workflow(world)
    for each in (900, 1800, 3000):
        run(world, of, ago=each)
    judged(world, of)
    quarantine_release(
        quarantine_id=Quarantine.objects.get().id,
        reason="the disk was full",
        actor=ANN,
        role=Role.OPERATOR,
        now=world.now,
    )
    assert refused_by(judged(world, of)) == ""
    world.pass_by(2000)
    for each in (700, 1000, 1300):
        run(world, of, ago=each)
    assert refused_by(judged(world, of)) == "target_budget"
    assert Quarantine.objects.count() == 2

"""A share of a group is healed at a time, and none of it by itself where half of it is unhealthy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from healing.actions.base import Subject
from healing.choices import RunState
from healing.models import HealingSwitch
from healing.selectors.switches import stop_of
from healing.services.switches import switch_set, switches_review
from health.services.maintenance import maintenance_create
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from tests.healing.guardrails.scenes import (
    entries,
    fail,
    judged,
    refused_by,
    run,
    target,
    well,
    workflow,
)
from tests.health.world import World

pytestmark = pytest.mark.django_db
ANN = Actor(ActorKind.USER, "ann")


def test_a_tenth_of_a_group_and_at_least_one_is_healed_at_a_time(world: World) -> None:
    of = workflow(world)
    run(world, of, RunState.RUNNING, service="other-1", ago=10)
    found = judged(world, of, by_person=True)
    assert refused_by(found) == "blast_radius"
    assert found.verdicts[-1].facts["healing"] == ["other-1"]
    # Twenty services bear two.
    for n in range(10):
        world.check(f"more {n}", service=f"more-{n}")
    assert refused_by(judged(world, of)) == ""


def test_a_group_of_its_own_does_not_count_what_is_healed_elsewhere(world: World) -> None:
    of = workflow(world)
    target(world, "planner", "web")
    run(world, of, RunState.RUNNING, service="other-1", ago=10)
    assert refused_by(judged(world, of)) == ""
    target(world, "other-1", "web")
    assert refused_by(judged(world, of)) == "blast_radius"


def test_half_of_a_group_unhealthy_stops_automation_pages_once_and_ends_when_it_is_well(
    world: World,
) -> None:
    of = workflow(world)
    for name in ("planner", "other-1", "other-2", "other-3"):
        target(world, name, "web")
    fail(world, "planner http")
    assert refused_by(judged(world, of)) == ""
    fail(world, "other 1")
    assert refused_by(judged(world, of, dry_run=True)) == "blast_radius"
    assert not HealingSwitch.objects.exists()
    found = judged(world, of)
    assert refused_by(found) == "blast_radius"
    assert "2 of 4 services of the group web" in found.verdicts[-1].reason
    assert refused_by(judged(world, of)) == "kill_switch"
    told = entries("automation.stopped")
    assert [(each.key, each.state) for each in told] == [("web", "stopped")]
    stop = stop_of("planner", world.now)
    assert stop is not None
    assert stop.by_site
    # People go on, and so do other groups.
    assert stop_of("planner", world.now, by_person=True) is None
    assert refused_by(judged(world, of, by_person=True)) == ""
    assert refused_by(judged(world, of, Subject("service", "other-7", "other-7"))) == ""
    assert switches_review(now=world.now) == 0
    well(world)
    assert switches_review(now=world.now) == 1
    assert switches_review(now=world.now) == 0
    assert [each.key for each in entries("switch.started")] == ["web"]
    assert refused_by(judged(world, of)) == ""


def test_automation_that_a_person_starts_again_goes_on_for_an_hour(world: World) -> None:
    of = workflow(world)
    for name in ("planner", "other-1"):
        target(world, name, "web")
    fail(world, "planner http", "other 1")
    assert refused_by(judged(world, of)) == "blast_radius"
    switch_set(
        stopped=False, group="web", reason="known", actor=ANN, role=Role.OPERATOR, now=world.now
    )
    assert refused_by(judged(world, of)) == ""
    world.pass_by(3600)
    assert refused_by(judged(world, of)) == "blast_radius"
    assert stop_of("planner", world.now) is not None


def test_services_in_maintenance_and_uncritical_checks_are_not_unhealthy(world: World) -> None:
    of = workflow(world)
    world.check("planner extra", service="planner", critical=False)
    for name in ("planner", "other-1", "other-2"):
        target(world, name, "web")
    maintenance_create(
        name="patches",
        kind="single",
        reason="weekly",
        starts_at=world.now,
        ends_at=world.now + timedelta(hours=1),
        services=["other-1"],
        actor=ANN,
        now=world.now,
    )
    fail(world, "planner extra", "other 1", "other 2")
    found = judged(world, of)
    assert refused_by(found) == ""
    assert next(e for e in found.verdicts if e.name == "blast_radius").facts["failing"] == 1


def test_one_of_two_stops_automation_and_pages_and_one_alone_is_healed(world: World) -> None:
    of = workflow(world)
    target(world, "planner", "web")
    fail(world, "planner http")
    assert refused_by(judged(world, of)) == ""
    target(world, "other-1", "web")
    assert refused_by(judged(world, of)) == "blast_radius"
    assert [each.key for each in entries("automation.stopped")] == ["web"]
    assert switches_review(now=world.now) == 0
    # A third one that is well makes it less than half.
    target(world, "other-2", "web")
    assert switches_review(now=world.now) == 1
    assert refused_by(judged(world, of)) == ""

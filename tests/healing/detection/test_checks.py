"""Opportunities of checks that fail: they live as long as the failure does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from healing.choices import OpportunityState
from healing.models import DetectorCursor, Opportunity
from healing.services.failure_detector import failures_look
from health.models import Check, Service
from tests.healing.detection.scene import opportunities, reached, workflow
from tests.health.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def look(world: World) -> None:
    failures_look(now=world.now)


def fails(world: World, *names: str, seconds: float = 30) -> None:
    world.down |= set(names)
    world.run(seconds)


def test_a_confirmed_failure_is_an_opportunity_and_ends_with_it(world: World) -> None:
    world.check("planner", interval=5)
    workflow()
    reached("planner")
    look(world)
    assert opportunities() == []
    fails(world, "planner")
    look(world)
    assert opportunities() == [("restart_service", "planner", "open")]
    row = Opportunity.objects.get()
    assert row.check_id == world.checks["planner"].id
    assert row.trigger["text"] == "Check planner of planner is down: planner says down"
    world.run(10)
    look(world)
    assert Opportunity.objects.get().count == 2
    world.down.clear()
    world.run(30)
    look(world)
    row.refresh_from_db()
    assert (row.state, row.next_look_at) == (OpportunityState.ENDED, None)
    fails(world, "planner")
    look(world)
    assert [state for *_, state in opportunities()] == ["ended", "open"]


def test_a_failure_that_is_not_confirmed_or_not_settled_is_none(world: World) -> None:
    world.check("planner", interval=5, failures_to_down=3, settle_seconds=60)
    workflow()
    reached("planner")
    fails(world, "planner", seconds=8)
    look(world)
    world.run(12)
    look(world)
    assert opportunities() == []


def test_a_detector_that_starts_late_finds_what_began_before_it(world: World) -> None:
    world.check("planner", interval=5)
    workflow()
    reached("planner")
    look(world)
    position = DetectorCursor.objects.get().position
    fails(world, "planner", seconds=60)
    look(world)
    assert opportunities() == [("restart_service", "planner", "open")]
    assert DetectorCursor.objects.get().position > position


def test_nothing_is_compared_without_news_before_it_is_time(world: World) -> None:
    world.check("planner", interval=5)
    look(world)
    looked_at = DetectorCursor.objects.get().looked_at
    world.pass_by(9)
    look(world)
    assert DetectorCursor.objects.get().looked_at == looked_at
    world.pass_by(1)
    look(world)
    assert DetectorCursor.objects.get().looked_at == world.now


def test_news_is_looked_at_at_once(world: World) -> None:
    world.check("planner", interval=5)
    workflow()
    reached("planner")
    world.down.add("planner")
    seen = []

    def follow() -> None:
        look(world)
        if opportunities():
            seen.append(world.now)

    world.run(60, follow)
    outage = Check.objects.get().outages.get()
    assert outage.announced_at is not None
    assert seen[0] - outage.announced_at < timedelta(seconds=2)


def test_the_culprit_is_healed_in_place_of_what_it_takes_with_it(world: World) -> None:
    world.check("postgres", interval=5)
    world.check("planner", "postgres", interval=5)
    Service.objects.filter(name="planner").update(criticality="critical")
    workflow(trigger={"type": "check_failed", "criticality": ["critical", "high"]})
    reached("postgres")
    reached("planner")
    fails(world, "postgres", "planner")
    look(world)
    assert opportunities() == [("restart_service", "postgres", "open")]
    row = Opportunity.objects.get()
    assert row.trigger["evidence"]["fail_with_it"] == ["planner"]
    assert row.trigger["text"].endswith("; 1 more fail with it")


def test_a_culprit_of_nothing_critical_is_left_alone(world: World) -> None:
    world.check("postgres", interval=5)
    workflow(trigger={"type": "check_failed", "criticality": ["critical", "high"]})
    reached("postgres")
    fails(world, "postgres")
    look(world)
    assert opportunities() == []


def test_what_goes_up_and_down_is_healed_though_nobody_is_alerted(world: World) -> None:
    world.check("planner", interval=1, failures_to_down=1, successes_to_up=1)
    workflow()
    reached("planner")
    for _ in range(12):
        fails(world, "planner", seconds=1)
        world.down.clear()
        world.run(1)
    fails(world, "planner", seconds=20)
    assert Check.objects.get().status.flapping
    look(world)
    assert opportunities() == [("restart_service", "planner", "open")]


def test_a_service_that_cannot_be_reached_for_it_is_no_opportunity(world: World) -> None:
    world.check("planner", interval=5)
    workflow()
    reached("planner", "warm_cache")
    fails(world, "planner")
    look(world)
    assert opportunities() == []


def test_an_opportunity_ends_when_its_workflow_is_switched_off(world: World) -> None:
    world.check("planner", interval=5)
    made = workflow()
    reached("planner")
    fails(world, "planner")
    look(world)
    type(made).objects.update(enabled=False)
    world.run(10)
    look(world)
    assert opportunities() == [("restart_service", "planner", "ended")]


def test_a_workflow_that_cannot_be_read_keeps_no_other_from_healing(world: World) -> None:
    world.check("planner", interval=5)
    broken = workflow("broken", priority=1)
    type(broken).objects.filter(name="broken").update(definition={"name": "broken"})
    workflow()
    reached("planner")
    fails(world, "planner")
    look(world)
    assert opportunities() == [("restart_service", "planner", "open")]


def test_triggers_choose_by_name_kind_and_output(world: World) -> None:
    world.check("planner-pool", service="planner", interval=5)
    for name, trigger in {
        "by_name": {"names": ["*-POOL"]},
        "by_output": {"output": ["*says down*"]},
        "by_kind": {"kinds": ["memory"]},
        "other_name": {"names": ["*-http"]},
        "other_output": {"output": ["*refused*"]},
        "other_kind": {"kinds": ["http"]},
        "other_service": {"services": ["graph"]},
    }.items():
        workflow(name, trigger={"type": "check_failed", **trigger})
    reached("planner")
    fails(world, "planner-pool")
    look(world)
    assert {name for name, *_ in opportunities()} == {"by_name", "by_output", "by_kind"}


def test_opportunities_are_told_once(world: World) -> None:
    world.check("planner", interval=5)
    workflow()
    reached("planner")
    fails(world, "planner")
    for _ in range(3):
        world.run(10)
        look(world)
    world.down.clear()
    world.run(40)
    look(world)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, payload->>'text' FROM core_journalentry WHERE topic = 'healing' ORDER BY id"
        )
        assert cursor.fetchall() == [
            ("opportunity.opened", "Restart service could heal planner"),
            ("opportunity.ended", "Restart service need not heal planner any more"),
        ]

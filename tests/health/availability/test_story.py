"""From runs to seconds: what the prober finds ends up in the right column of the right minute."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from health.models import StateChange
from health.services.maintenance import maintenance_create, maintenance_update
from health.services.minutes import minutes_sum
from tests.health.availability.fleet import ACTOR, minutes_of
from tests.health.world import START, World

pytestmark = pytest.mark.usefixtures("store")
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def seconds(world: World, name: str) -> dict[str, float]:
    minutes_sum(now=world.now)
    found: dict[str, float] = {}
    for row in minutes_of(world.checks[name]).values():
        for column, value in row.items():
            found[column] = found.get(column, 0) + value
    return found


def first_run(world: World, name: str, status: str, after: datetime) -> datetime:
    return next(at for at in world.runs(name, status) if at > after)


def test_an_outage_counts_from_its_first_failed_run_to_its_first_good_one() -> None:
    world = World()
    world.check("pg")
    world.run(300)
    world.down.add("pg")
    broke = world.now
    world.run(300)
    # Minutes that were good when they were summed up are not good any more.
    world.down.clear()
    mended = world.now
    world.run(300)
    began, ended = first_run(world, "pg", "down", broke), first_run(world, "pg", "up", mended)
    assert seconds(world, "pg")["down"] == pytest.approx((ended - began).total_seconds(), abs=0.001)
    assert sum(seconds(world, "pg").values()) == 900


def test_a_child_is_unreachable_for_as_long_as_its_parent_is_down() -> None:
    world = World()
    world.check("net")
    world.check("web", "net")
    world.run(120)
    world.down |= {"net", "web"}
    world.run(300)
    found = seconds(world, "web")
    assert found["unreachable"] > 200
    assert found.get("down", 0) < 60
    assert seconds(world, "net")["down"] > 200


def test_time_without_a_prober_is_unknown_and_excluded() -> None:
    world = World()
    world.check("pg")
    world.run(120)
    world.pass_by(1_800)
    world.mark_stale()
    world.evaluate()
    world.run(180)
    found = seconds(world, "pg")
    assert found["unknown"] > 1_600
    assert found["unknown"] + found["up"] == 35 * 60
    assert "down" not in found


def test_what_happens_in_maintenance_is_kept_and_counts_when_the_window_is_made_shorter() -> None:
    world = World()
    world.check("pg")
    world.run(120)
    window = maintenance_create(
        name="upgrade", kind="single", reason="a new version", starts_at=world.now,
        ends_at=world.now + 20 * MINUTE, actor=ACTOR, now=world.now,
    )  # fmt: skip
    world.run(120)
    world.down.add("pg")
    broke = world.now
    world.run(600)
    began = first_run(world, "pg", "down", broke)
    bad = (world.now - began).total_seconds()
    found = seconds(world, "pg")
    assert "down" not in found
    assert found["maintenance_down"] == pytest.approx(bad, abs=0.001)
    # The window was meant to end when the check broke.
    maintenance_update(
        maintenance_id=window.id, changes={"ends_at": began}, actor=ACTOR, now=world.now
    )
    found = seconds(world, "pg")
    assert found["down"] == pytest.approx(bad, abs=0.001)
    assert world.state("pg") == "down"


def test_another_culprit_is_a_new_row_but_no_reason_to_sum_up_again() -> None:
    world = World()
    world.check("a", settle_seconds=1)
    world.check("b", settle_seconds=1)
    world.check("web", "a", "b")
    world.run(120)
    world.down |= {"a", "b", "web"}
    world.run(400)
    minutes_sum(now=world.now)
    before = world.status("web").minutes_from
    culprit = world.culprit("web")
    assert culprit is not None
    world.down.remove(culprit)
    world.run(600)
    assert world.culprit("web") not in (None, culprit)
    assert world.state("web") == "unreachable"
    assert world.status("web").minutes_from == before
    assert StateChange.objects.filter(check_row=world.checks["web"]).count() >= 3
    assert before > START

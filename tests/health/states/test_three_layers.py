"""One thing dies and everything above it fails: one alert, with the right culprit."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from tests.health.world import World

pytestmark = pytest.mark.django_db(transaction=True)

LAYERS = ("database", "service", "page")


def three_layers(offsets: dict[str, float], interval: float = 30) -> World:
    world = World()
    world.check("database", due_in=offsets["database"], interval=interval)
    world.check("service", "database", due_in=offsets["service"], interval=interval)
    world.check("page", "service", due_in=offsets["page"], interval=interval)
    world.run(2 * interval)
    assert [world.state(name) for name in LAYERS] == ["up", "up", "up"]
    return world


@pytest.mark.parametrize("order", list(permutations(LAYERS)), ids="-".join)
def test_a_dead_database_is_announced_once_whichever_is_probed_first(
    order: tuple[str, ...],
) -> None:
    world = three_layers({name: 7.0 * rank for rank, name in enumerate(order)})
    died = world.now
    world.down = set(LAYERS)
    world.run(180)
    assert world.alerts() == ["database"]
    assert world.state("database") == "down"
    assert world.state("service") == world.state("page") == "unreachable"
    assert world.culprit("service") == world.culprit("page") == "database"
    (alert,) = world.told("failure_confirmed")
    assert alert.payload["culprit"]["name"] == "database"
    # Those that were found out by then.
    assert set(alert.payload["unreachable"]) <= {"page", "service"}
    assert alert.payload["blast_radius"] == {"checks": 2, "services": ["page", "service"]}
    assert died < world.outages("database")[0].started_at <= died + timedelta(seconds=35)
    assert [each["status"] for each in alert.payload["evidence"]][:3] == ["down"] * 3
    assert {each.held_by for each in world.outages("page")} == {"unreachable"}


@pytest.mark.parametrize("order", list(permutations(LAYERS)), ids="-".join)
def test_recovery_is_found_soon_and_told_once(order: tuple[str, ...]) -> None:
    world = three_layers({name: 9.0 * rank for rank, name in enumerate(order)})
    world.down = set(LAYERS)
    world.run(180)
    world.down = set()
    world.run(90)
    assert [world.state(name) for name in LAYERS] == ["up", "up", "up"]
    assert world.alerts() == world.recoveries() == ["database"]
    assert all(world.outages(name)[0].ended_at for name in LAYERS)


def test_a_parent_probed_rarely_is_looked_at_when_its_child_fails() -> None:
    world = World()
    world.check("database", due_in=0, interval=600)
    world.check("page", "database", due_in=1, interval=10)
    world.run(30)
    world.down = {"database", "page"}
    world.run(90)
    assert world.alerts() == ["database"]
    assert world.state("page") == "unreachable"


def test_a_failure_of_its_own_is_announced_while_the_parent_is_well() -> None:
    world = three_layers({"database": 0, "service": 5, "page": 10})
    world.down = {"page"}
    world.run(120)
    assert world.alerts() == ["page"]
    assert world.state("page") == "down"
    assert world.state("database") == "up"


def test_one_that_stays_down_when_its_parent_recovers_is_announced_then() -> None:
    world = three_layers({"database": 0, "service": 5, "page": 10})
    world.down = set(LAYERS)
    world.run(120)
    world.down = {"page"}
    world.run(120)
    assert world.alerts() == ["database", "page"]
    assert world.recoveries() == ["database"]
    assert world.state("page") == "down"


def test_a_soft_parent_only_degrades_and_holds_no_alert_back() -> None:
    world = World()
    world.check("cache", due_in=0)
    world.check("page", soft=["cache"], due_in=3)
    world.run(60)
    world.down = {"cache"}
    world.run(120)
    assert world.state("page") == "degraded"
    assert world.culprit("page") == "cache"
    assert world.alerts() == ["cache"]
    world.down = {"cache", "page"}
    world.run(120)
    assert world.state("page") == "down"
    assert world.alerts() == ["cache", "page"]
    world.down = set()
    world.run(200)
    assert world.state("page") == "up"
    assert sorted(world.recoveries()) == ["cache", "page"]


def test_a_short_failure_is_history_but_nobodys_alert() -> None:
    world = World()
    # Longer than the failure and the slowest way to notice its end.
    world.check("page", settle_seconds=150)
    world.run(60)
    world.down = {"page"}
    world.run(60)
    world.down = set()
    world.run(60)
    (outage,) = world.outages("page")
    assert outage.held_by == "recovered"
    assert outage.announced_at is None
    assert world.alerts() == world.recoveries() == []
    assert [change[:2] for change in world.changes("page")] == [
        ("unknown", "up"),
        ("up", "down"),
        ("down", "up"),
    ]


def test_what_was_announced_is_announced_as_over_also_after_it_became_unreachable() -> None:
    world = three_layers({"database": 0, "service": 5, "page": 10})
    world.down = {"service"}
    world.run(120)
    assert world.alerts() == ["service"]
    world.down = {"service", "database"}
    world.run(120)
    assert world.state("service") == "unreachable"
    assert world.alerts() == ["service", "database"]
    world.down = set()
    world.run(120)
    assert sorted(world.recoveries()) == ["database", "service"]

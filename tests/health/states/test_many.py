"""Thousands that turn at once: told by a bounded number of statements, so that nobody waits long."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from health.models import CheckStatus, Outage
from health.services import announcements
from health.services.announcements import outages_announce
from health.services.evaluation import graph_evaluate
from tests.health.world import World

pytestmark = pytest.mark.django_db(transaction=True)


def turn(world: World, own_state: str) -> int:
    """All own states at once; how many statements what follows from it takes."""
    failures = 3 if own_state == "down" else 0
    CheckStatus.objects.update(
        own_state=own_state,
        own_since=world.now,
        failures=failures,
        streak_since=world.now,
        last_conclusive_at=world.now,
    )
    with CaptureQueriesContext(connection) as told, transaction.atomic():
        graph_evaluate(now=world.now)
    return len(told)


def counted(checks: int) -> tuple[int, int, int]:
    """Statements to begin, to announce and to end the outages of so many checks."""
    world = World()
    for _ in range(checks):
        world.check(f"page-{uuid4()}", service="shop", settle_seconds=1)
    world.pass_by(1)
    down = turn(world, "down")
    world.pass_by(2)
    with CaptureQueriesContext(connection) as told:
        assert outages_announce(now=world.now) == checks
    up = turn(world, "up")
    assert not Outage.objects.filter(ended_at=None).exists()
    assert len(world.recoveries()) == checks
    CheckStatus.objects.all().delete()
    return down, len(told), up


def test_statements_do_not_grow_with_the_checks_that_turn() -> None:
    # The first time makes the partitions of the journal as well.
    _, few, many = counted(2), counted(2), counted(40)
    assert many == few


def test_what_is_announced_in_pieces_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "AT_ONCE", 3)
    world = World()
    for number in range(8):
        world.check(f"page-{number}", settle_seconds=1)
    world.pass_by(1)
    turn(world, "down")
    world.pass_by(2)
    assert outages_announce(now=world.now) == 8
    assert outages_announce(now=world.now) == 0
    assert sorted(world.alerts()) == [f"page-{number}" for number in range(8)]
    first = world.told("failure_confirmed")[0]
    assert first.payload["check"]["name"] == first.payload["culprit"]["name"]

"""Several workers look at once, and some of them die: nothing is begun twice, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from healing.models import DetectorCursor, HealingRun, Opportunity, Quarantine
from healing.services import failure_detector
from healing.services.detecting.attempts import opportunities_claim
from healing.services.failure_detector import READER, failures_detect, failures_look
from healing.services.recovery_orchestrator import run_look
from resilience_site.core import journal
from tests.healing.engine import scenes
from tests.healing.engine.scenes import stage, step, workflow
from tests.health.world import World

__all__ = ["stage"]
pytestmark = pytest.mark.usefixtures("stage")


def shop() -> World:
    made = World()
    made.check("api", interval=5, service="shop", failures_to_down=2, settle_seconds=0)
    made.check("cellar", interval=5, service="cellar")
    made.check("kitchen", interval=5, service="kitchen")
    made.down.add("api")
    made.run(15)
    return made


@pytest.fixture
def world(transactional_db: None) -> World:
    return shop()


def at_once(call: Callable[[], object], count: int = 6) -> None:
    begins = threading.Barrier(count)

    def alone() -> None:
        try:
            connection.ensure_connection()
            begins.wait(60)
            call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        for each in [pool.submit(alone) for _ in range(count)]:
            each.result(timeout=60)


def test_workers_that_look_at_once_open_and_begin_once(world: World) -> None:
    workflow(step("test_left", "a"), now=world.now, name="first")
    workflow(step("test_left", "b"), now=world.now, name="second")
    for _ in range(3):
        at_once(lambda: failures_detect(now=world.now))
        world.pass_by(10)
    assert Opportunity.objects.count() == 2
    runs = HealingRun.objects.filter(dry_run=False)
    assert [each.workflow for each in runs.filter(refused_by="")] == ["first"]
    assert runs.exclude(refused_by="").count() == 1
    opened = [each for each in journal.read(0, ["healing"]) if each.kind == "opportunity.opened"]
    assert len(opened) == 2


def test_whoever_claims_opportunities_has_all_that_are_due(world: World) -> None:
    flow = workflow(step("test_left"), now=world.now)
    Opportunity.objects.bulk_create(
        Opportunity(
            workflow=flow, target_kind="service", target=f"shop-{n}", service=f"shop-{n}",
            trigger_kind="check_failed", trigger_key="it", first_seen=world.now,
            last_seen=world.now, next_look_at=world.now,
        )
        for n in range(50)
    )  # fmt: skip
    claimed: list[int] = []
    at_once(lambda: claimed.append(len(opportunities_claim(world.now))))
    assert sorted(claimed) == [0, 0, 0, 0, 0, 50], "else the workflow that goes first might not"


def test_a_worker_that_holds_the_cursor_holds_up_nobody(world: World) -> None:
    workflow(step("test_left"), now=world.now)
    failures_look(now=world.now)
    world.pass_by(20)
    seen = DetectorCursor.objects.get().looked_at

    def other() -> None:
        failures_look(now=world.now)

    with transaction.atomic():
        DetectorCursor.objects.select_for_update().get(reader=READER)
        at_once(other, 1)
    assert DetectorCursor.objects.get().looked_at == seen
    other()
    assert DetectorCursor.objects.get().looked_at == world.now


def test_a_look_that_fails_half_way_leaves_no_trace_and_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow(step("test_left"), now=world.now)
    failures_look(now=world.now)
    world.pass_by(10)
    before = DetectorCursor.objects.get()
    Opportunity.objects.all().delete()

    def dies(*_: object) -> None:
        raise ConnectionError("the worker is gone")

    with monkeypatch.context() as patch:
        patch.setattr(failure_detector.journal, "append", dies)
        with pytest.raises(ConnectionError):
            failures_look(now=world.now)
    assert not Opportunity.objects.exists()
    assert DetectorCursor.objects.get().position == before.position
    failures_look(now=world.now)
    assert Opportunity.objects.count() == 1


@pytest.mark.django_db
def test_a_crash_loop_ends_in_quarantine_within_the_budget() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    world = shop()
    workflow(
        step("test_left"), now=world.now,
        guards={"cooldown_seconds": 30, "per_hour": 3, "failures_to_approve": 100},
    )  # fmt: skip
    crash = {"at": 0}

    def heals(_: str) -> None:
        world.down.discard("api")
        crash["at"] = int(world.now.timestamp()) + 25

    scenes.STAGE.on_act = heals

    def tick() -> None:
        if crash["at"] and world.now.timestamp() >= crash["at"]:
            world.down.add("api")
        failures_detect(now=world.now)
        for run in HealingRun.objects.filter(due_at__lte=world.now):
            run_look(run.pk, now=lambda: world.now)

    for _ in range(6):
        world.run(50, tick)
        if Quarantine.objects.exists():
            break
    assert Quarantine.objects.get().target == "shop"
    assert HealingRun.objects.filter(started_at__isnull=False).count() == 3
    assert len(scenes.STAGE.log) == 3
    kinds = [each.kind for each in journal.read(0, ["healing"])]
    assert kinds.count("target.quarantined") == 1
    assert kinds.count("run.failed_again") >= 2

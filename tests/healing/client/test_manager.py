"""The story's manager as a client of a real site: it detects, executes, verifies and undoes there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from analytics.choices import PatternState
from analytics.models import ErrorPattern as StoredPattern
from breakers.models import Toggle
from breakers.runtime import (
    ErrorPattern,
    HealingAction,
    HealingWorkflow,
    SelfHealingManager,
)
from breakers.runtime.site_reader import SiteReader
from healing.choices import RunState
from healing.models import HealingRun, HealingSwitch, Opportunity
from healing.services.failure_detector import failures_look
from healing.services.recovery_orchestrator import run_look, runs_due
from health.models import Service
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Scope
from resilience_site.core.keys import key_create
from tests.healing.engine import scenes
from tests.health.world import World
from tests.livesite import LiveSite

pytestmark = pytest.mark.django_db(transaction=True)

DIVERT = {"id": "divert", "action": "toggle", "with": {"key": "shop-diverted", "value": True}}
SEEN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PATTERN = ErrorPattern("PoolTimeout", "no connection", 3, SEEN, SEEN, ("buy",))


@contextmanager
def worker() -> Iterator[None]:
    """Looks at what is due, as the site's workers do."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            for run_id in runs_due(datetime.now(UTC)):
                run_look(run_id)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


@pytest.fixture
def shop(site: LiveSite) -> Iterator[None]:
    now = datetime.now(UTC)
    Service.objects.create(name="shop", first_seen=now, last_seen=now)
    with worker():
        yield


def manager(site: LiveSite, key: str = "") -> SelfHealingManager:
    reader = SiteReader(site.url, key or site.operator_key, service="shop", timeout=20)
    return SelfHealingManager(site=lambda: reader, verification_timeout=60)


def divert(**more: Any) -> None:
    scenes.workflow(DIVERT, now=datetime.now(UTC), name="divert", **more)


def execute(healing: SelfHealingManager, **more: Any) -> Any:
    return asyncio.run(
        healing.execute_healing_workflow(
            HealingWorkflow("divert", reason="orders pile up", timeout=60, **more)
        )
    )


def diverted() -> bool:
    return Toggle.objects.filter(key="shop-diverted").exclude(value=None).exists()


def test_a_workflow_of_the_site_is_executed_verified_and_undone(site: LiveSite, shop: None) -> None:
    divert()
    healing = manager(site)
    result = execute(healing)
    assert (result.outcome, result.done, result.source) == ("succeeded", ("toggle",), "site")
    assert "shop-diverted is true" in result.output
    run = HealingRun.objects.get(pk=result.run_id)
    assert (run.state, run.target, run.reason) == (RunState.SUCCEEDED, "shop", "orders pile up")
    assert diverted()
    action = HealingAction("divert", id=result.run_id)
    assert asyncio.run(healing.verify_healing_success(action)) is True
    undone = asyncio.run(healing.rollback_healing_action(result.run_id))
    # It is said once it is so, not once it is asked for.
    assert (undone.rolled_back, undone.reason) == (True, "")
    run.refresh_from_db()
    assert run.state == RunState.ROLLED_BACK
    assert not Toggle.objects.get(key="shop-diverted").is_set
    again = asyncio.run(healing.rollback_healing_action(result.run_id))
    assert not again.rolled_back
    assert "undone already" in again.reason


def test_a_heal_that_does_not_show_is_undone_and_is_not_verified(
    site: LiveSite, shop: None
) -> None:
    world = World(datetime.now(UTC) - timedelta(seconds=21))
    world.check("till", interval=5, service="shop", failures_to_down=2)
    world.down.add("till")
    world.run(20)
    divert(verification={"passes": 1, "timeout_seconds": 1})
    healing = manager(site)
    result = execute(healing)
    assert result.outcome == "escalated"
    assert "till" in result.error
    assert not Toggle.objects.get(key="shop-diverted").is_set
    action = HealingAction("divert", id=result.run_id)
    assert asyncio.run(healing.verify_healing_success(action)) is False


def test_a_guardrail_that_refuses_is_named(site: LiveSite, shop: None) -> None:
    divert()
    HealingSwitch.objects.create(
        stopped=True, reason="we move", actor="ann", changed_at=datetime.now(UTC)
    )
    result = execute(manager(site))
    assert (result.outcome, result.failed) == ("refused", "kill_switch")
    assert "we move" in result.error
    assert HealingRun.objects.get(pk=result.run_id).refused_by == "kill_switch"
    assert not Toggle.objects.exists()


def test_a_run_that_needs_a_yes_is_left_waiting(site: LiveSite, shop: None) -> None:
    divert()
    result = execute(manager(site), mode="approve")
    assert result.outcome == "waiting"
    assert HealingRun.objects.get(pk=result.run_id).state == RunState.WAITING_APPROVAL
    assert not Toggle.objects.exists()


def test_a_dry_run_tells_the_effect_and_has_none(site: LiveSite, shop: None) -> None:
    divert()
    result = execute(manager(site), dry_run=True)
    assert result.outcome == "succeeded"
    assert result.output.startswith("Switches shop-diverted from unset to true")
    assert not Toggle.objects.exists()


def test_what_the_site_has_for_an_error_is_detected(site: LiveSite, shop: None) -> None:
    now = datetime.now(UTC)
    StoredPattern.objects.create(
        id=uuid4(),
        rule="type",
        version=1,
        count=9,
        last_error_id=uuid4(),
        service="shop",
        type="PoolTimeout",
        template="no connection",
        state=PatternState.ESCALATING,
        state_changed_at=now,
        first_seen=now,
        last_seen=now,
    )
    spikes = {"type": "pattern_spiking", "names": ["Pool*"]}
    scenes.workflow(DIVERT, now=now, name="on_pools", mode="approve", trigger=spikes)
    failures_look(now=datetime.now(UTC))
    healing = manager(site)
    found = asyncio.run(healing.detect_healing_opportunity(PATTERN))
    assert found.found
    assert (found.source, found.workflows) == ("site", ("on_pools",))
    assert found.opportunities == (str(Opportunity.objects.get().pk),)
    other = ErrorPattern("KeyError", "x", 1, SEEN, SEEN, ())
    nothing = asyncio.run(healing.detect_healing_opportunity(other))
    assert not nothing.found
    assert nothing.source == "site"


def test_a_key_that_may_only_read_detects_and_changes_nothing(site: LiveSite, shop: None) -> None:
    divert()
    _, key = key_create(name="eyes", scope=Scope.READ, actor=Actor(ActorKind.SYSTEM, "tests"))
    healing = manager(site, key)
    assert asyncio.run(healing.detect_healing_opportunity(PATTERN)).source == "site"
    result = execute(healing)
    assert (result.outcome, result.failed) == ("failed", "")
    assert "operate" in result.error
    assert not HealingRun.objects.exists()
    missing = HealingAction("divert", id="00000000-0000-0000-0000-000000000001")
    assert asyncio.run(healing.verify_healing_success(missing)) is False
    assert not asyncio.run(healing.rollback_healing_action(missing.id)).rolled_back


def test_without_a_site_what_is_registered_here_still_heals() -> None:
    reader = SiteReader("http://127.0.0.1:1", "k" * 20, service="shop")
    for site in (lambda: None, lambda: reader):
        healing = SelfHealingManager(site=site)
        done = []
        healing.action("recycle_pool", heals="Pool*")(done.append)
        found = asyncio.run(healing.detect_healing_opportunity(PATTERN))
        assert (found.actions, found.workflows, found.source) == (("recycle_pool",), (), "local")
        assert found.why
        local = HealingWorkflow("by_hand", [HealingAction("recycle_pool", {"grace": 0})])
        assert asyncio.run(healing.execute_healing_workflow(local)).outcome == "succeeded"
        assert done == [{"grace": 0}]
        result = execute(healing)
        assert (result.outcome, result.source) == ("failed", "local")
        assert result.error
        undone = asyncio.run(healing.rollback_healing_action("nothing"))
        assert not undone.rolled_back
        assert undone.reason

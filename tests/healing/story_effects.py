"""What each variable of the story about healing changes: a heal begins, or is only observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from healing.actions.base import Subject
from healing.choices import RunState
from healing.models import HealingRun, HealingTarget, Workflow
from healing.services.recovery_orchestrator import run_start
from resilience_site.config import config
from resilience_site.core.sealing import seal
from tests.healing.engine import scenes
from tests.health.world import World


def failing() -> World:
    """A service whose check fails."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    world = World(datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
    world.check("api", interval=5, service="shop", failures_to_down=2, successes_to_up=2)
    world.down.add("api")
    world.run(20)
    return world


@contextmanager
def acting() -> Iterator[None]:
    scenes.register()
    try:
        yield
    finally:
        for name in scenes.KINDS:
            scenes.ACTIONS.pop(name, None)


def begins(flow: Workflow, world: World, subject: Subject | None = None) -> HealingRun:
    """What the site makes of it: a run that begins, or one that a guardrail refused."""
    found = subject or scenes.subject(world)
    return run_start(workflow=flow, subject=found, actor=scenes.SITE, now=world.now)


def caps(variable: str, way: str, trigger: str = "check_failed") -> Callable[[], None]:
    """Off, a workflow in the mode auto only observes, and says which variable keeps it from acting;
    on, it begins."""

    def effect() -> None:
        world = failing()
        with acting():
            HealingTarget.objects.create(
                service="shop",
                ways={way: {"action": "test_left", "with": {"thing": "it"}}},
                sealed_ways=seal("{}"),
                changed_at=world.now,
            )
            step: dict[str, Any] = {"id": "heal", "action": way}
            flow = scenes.workflow(step, now=world.now, trigger={"type": trigger})
            with config.override(**{variable: False}):
                refused = begins(flow, world)
            assert (refused.state, refused.refused_by) == (RunState.CANCELLED, "mode")
            assert variable.upper() in str(refused.guardrails[-1])
            with config.override(**{variable: True}):
                begun = begins(flow, world)
            assert (begun.state, begun.refused_by) == (RunState.PENDING, "")

    return effect


def only_checks() -> None:
    """A failed check alone starts a heal, or nothing does without a person; what answers to
    something else goes on."""
    caps("automated_recovery_enabled", "degrade")()
    HealingRun.objects.update(state=RunState.CANCELLED)
    world = failing_elsewhere()
    with acting():
        flow = scenes.workflow(now=world.now, name="by_alert", trigger={"type": "alert"})
        with config.override(automated_recovery_enabled=False):
            assert begins(flow, world, scenes.subject(world, "cart")).refused_by == ""


def failing_elsewhere() -> World:
    world = World(datetime(2026, 3, 2, 13, 0, tzinfo=UTC))
    world.check("cart", interval=5, service="cart", failures_to_down=2, successes_to_up=2)
    world.down.add("cart")
    world.run(20)
    return world


def verification_timeout() -> None:
    """A heal that does not show is given up after so many seconds."""
    world = failing()
    with acting():
        flow = scenes.workflow(now=world.now, guards={"cooldown_seconds": 0})
        with config.override(healing_verification_timeout=10.0):
            short = scenes.followed(begins(flow, world), world, 40)
        assert short.state == RunState.ESCALATED
        with config.override(healing_verification_timeout=300.0):
            long = scenes.followed(begins(flow, world), world, 40)
        assert long.state == RunState.VERIFYING


EFFECTS = {
    "SELF_HEALING_ENABLED": caps("self_healing_enabled", "degrade", "manual"),
    "AUTO_RESTART_ENABLED": caps("auto_restart_enabled", "restart"),
    "CONNECTION_POOL_HEALING_ENABLED": caps("connection_pool_healing_enabled", "recycle_pool"),
    "CACHE_WARMING_ON_FAILURE": caps("cache_warming_on_failure", "warm_cache"),
    "HEALING_VERIFICATION_TIMEOUT": verification_timeout,
    "AUTOMATED_RECOVERY_ENABLED": only_checks,
}

"""A fleet that is being healed, with all that the screens can show of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from healing.choices import RunState, StepState
from healing.models import HealingRun, HealingStep, Opportunity, Quarantine, Workflow
from healing.services.failure_detector import failures_detect
from healing.services.targets import target_save
from healing.services.workflows.applying import workflows_ship
from healing.services.workflows.store import workflow_create
from resilience_site.config import config
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind
from tests.healing.engine.scenes import workflow as heals
from tests.health.world import World

ADA = Actor(ActorKind.USER, "ada")
MINUTE = timedelta(minutes=1)
OWN = """\
name: restart_shop
title: Restart the shop
description: Restarts one instance of the shop where its check fails.
priority: 5
trigger:
  type: check_failed
  services: [shop]
steps:
  # Nothing of it is lost.
  - id: restart
    action: restart
    precondition: {type: failing}
    timeout_seconds: 60
verification: {passes: 2}
guards: {cooldown_seconds: 300}
"""
PASSED = [
    {"name": name, "ruling": "pass", "reason": reason, "facts": {}}
    for name, reason in (
        ("kill_switch", "Healing is not stopped."),
        ("maintenance", "No maintenance of shop."),
        ("mode", "It may run with a person's yes."),
        ("target_lock", "No other run acts on shop."),
        ("cooldown", "The last run on shop ended 2 h ago."),
        ("target_budget", "0 of 3 runs in an hour, 1 of 6 in a day."),
    )
]
REFUSED = {
    "name": "cooldown",
    "ruling": "refuse",
    "reason": "The last run on shop ended 2 min ago; the cooldown is 5 min.",
    "facts": {},
}


@dataclass(frozen=True)
class Scene:
    """What the addresses of screens are made of."""

    now: datetime
    world: World
    workflow: Workflow
    waiting: HealingRun
    running: HealingRun
    over: HealingRun
    failed: HealingRun
    opportunity: Opportunity
    quarantine: Quarantine

    @property
    def places(self) -> dict[str, UUID | str]:
        return {
            "waiting": self.waiting.pk,
            "running": self.running.pk,
            "over": self.over.pk,
            "opportunity": self.opportunity.pk,
            "quarantine": self.quarantine.pk,
        }


def furnished() -> Scene:
    """The shop's check is down, one run waits for a yes, one is at work, some are over."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    now = datetime.now(UTC)
    world = World(now - 4 * MINUTE)
    world.check("shop-api", interval=5, service="shop", failures_to_down=2, successes_to_up=2)
    world.check("cellar", interval=30, service="cellar")
    world.run(60)
    world.down.add("shop-api")
    world.run(170)
    workflows_ship(actor=Actor.system("healing_apply"), now=now)
    with config.override(resilience_allow_private_targets=True):
        target_save(service="shop", ways=ways(), group="front", actor=ADA, now=now)
    own = workflow_create(text=OWN, reason="for the shop", actor=ADA, now=now - 24 * 60 * MINUTE)
    check = world.checks["shop-api"].pk
    for number in range(2, 13):
        made(own, world, number, RunState.SUCCEEDED)
    failed = made(
        own, world, 13, RunState.ESCALATED, outcome="The check did not pass within 5 min.",
        error="pid 4711 did not end within 10 s, nor by KILL.",
    )  # fmt: skip
    return Scene(
        now=now,
        world=world,
        workflow=own,
        waiting=made(own, world, 0, RunState.WAITING_APPROVAL, check=check),
        running=made(own, world, 1, RunState.RUNNING, service="cellar"),
        over=made(
            own, world, 2, RunState.SUCCEEDED, service="bakery", check=check, at=now - 3 * MINUTE
        ),
        failed=failed,
        opportunity=opportunity(own, world, check),
        quarantine=Quarantine.objects.create(
            target_kind="service", target="mill", service="mill", since=now - 40 * MINUTE,
            reason="3 runs on mill in an hour, of 3 that may be.",
        ),
    )  # fmt: skip


def ways() -> dict[str, Any]:
    """How the shop is reached; one of them holds a secret."""
    secret = "whsec_" + "c2VjcmV0" * 4
    hook = {"url": "https://hooks.example.org/shop", "secret": secret}
    return {
        "restart": {"action": "wait", "with": {"seconds": 1}, "safe_to_leave": True},
        "scale_out": {"action": "http_hook", "with": hook, "safe_to_leave": True},
    }


def made(
    workflow: Workflow,
    world: World,
    number: int,
    state: RunState,
    *,
    service: str = "shop",
    check: UUID | None = None,
    at: datetime | None = None,
    outcome: str = "2 passes in a row of shop-api, 14 s after the restart.",
    error: str = "",
) -> HealingRun:
    """A run as it is stored, `number` hours old."""
    now = datetime.now(UTC)
    began = at or now - timedelta(hours=number if state in _OVER else 0, seconds=20)
    waits, over = state == RunState.WAITING_APPROVAL, state in _OVER
    run = HealingRun.objects.create(
        workflow_row=workflow, workflow=workflow.name, version=workflow.version,
        definition=workflow.definition, target_kind="service", target=service, service=service,
        mode="approve", state=state, trigger_kind="check_failed", trigger_key=str(check or number),
        trigger={"text": f"Check shop-api of {service} is down: it gave up after 10 s", "link": ""},
        check_id=check, requested_by="healing", guardrails=PASSED, created_at=began,
        due_at=None, started_at=None if waits else began,
        ended_at=began + timedelta(seconds=31) if over else None,
        deadline=began + 30 * MINUTE, approve_until=now + 25 * MINUTE if waits else None,
        approved_by="" if waits else "ada", outcome=outcome if over else "",
    )  # fmt: skip
    step = HealingStep(run=run, n=1, name="restart", action="restart")
    if not waits:
        step.resolved, step.attempt, step.started_at = "supervisor_restart", 1, began
        step.state = StepState.SUCCEEDED if over else StepState.RUNNING
        step.output = "shop:0 was pid 4711, runs as pid 4801 since 12:00:07.\nready after 3.2 s"
    if over:
        step.ended_at = began + timedelta(seconds=9)
    if error:
        step.state, step.error = StepState.FAILED, error
    step.save()
    return run


_OVER = frozenset({RunState.SUCCEEDED, RunState.ESCALATED})


def opportunity(workflow: Workflow, world: World, check: UUID) -> Opportunity:
    now = datetime.now(UTC)
    return Opportunity.objects.create(
        workflow=workflow, target_kind="service", target="shop", service="shop",
        trigger_kind="check_failed", trigger_key=str(check), check_id=check,
        trigger={"text": "Check shop-api of shop is down", "link": f"/health/checks/{check}"},
        first_seen=now - 2 * MINUTE, last_seen=now, verdicts=[*PASSED[:4], REFUSED],
        refused_by="cooldown",
    )  # fmt: skip


# --- A shop that really heals -----------------------------------------------------------------

DIVERT = {"id": "divert", "action": "toggle", "with": {"key": "shop-diverted", "value": True}}


def failing(mode: str, *steps: dict[str, Any]) -> World:
    """The shop's check is down, and the detector has found what answers to it."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    world = World(datetime.now(UTC) - MINUTE)
    world.check(
        "shop-api", interval=5, service="shop", failures_to_down=2, successes_to_up=2,
        settle_seconds=0,
    )  # fmt: skip
    world.run(10)
    world.down.add("shop-api")
    world.run(20)
    heals(*steps, now=world.now, mode=mode)
    failures_detect(now=world.now)
    return world


def caught_up(world: World) -> None:
    """Its time goes by until now: what people did in the browser happened in ours."""
    world.run((datetime.now(UTC) - world.now).total_seconds() + 1)

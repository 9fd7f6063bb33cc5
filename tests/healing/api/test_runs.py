"""Runs over the API: starting one, saying yes or no to it, and what stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine

from healing.choices import RunState
from healing.models import HealingRun, HealingSwitch
from healing.services.recovery_orchestrator import run_start
from resilience_site.core.models import AuditEntry
from tests.healing.engine.scenes import SITE, Stage, followed, step, subject, workflow
from tests.health.api.conftest import Api
from tests.health.world import World

FIELDS = {
    "id", "workflow", "version", "target", "mode", "state", "trigger", "steps", "guardrails",
    "started_at", "ended_at",
}  # fmt: skip
STEP_FIELDS = {"n", "action", "state", "attempt", "started_at", "ended_at", "output"}
# What begins now is listed a moment later.
MOMENT = timedelta(milliseconds=1)
BODY = {"workflow": "heal_it", "target": "shop", "reason": "it hangs"}


def post(api: Api, path: str, body: Any, *, status: int) -> Any:
    got, document = api("POST", path, body)
    assert got == status, document
    return document


@pytest.fixture(autouse=True)
def clock(world: World) -> Iterator[time_machine.Traveller]:
    # It stands still: while a busy machine answered, what fails would recover before the run begins.
    with time_machine.travel(world.now + MOMENT, tick=False) as made:
        yield made


def test_a_run_by_hand_has_the_fields_that_clients_rely_on(
    operator: Api, viewer: Api, world: World, stage: Stage
) -> None:
    workflow(step("test_left", "cork"), now=world.now)
    made = post(operator, "healing/runs", {**BODY, "mode": "auto"}, status=201)
    assert set(made) >= FIELDS
    assert (made["workflow"], made["version"], made["target"]) == ("heal_it", 1, "shop")
    assert (made["state"], made["mode"], made["dry_run"]) == ("pending", "auto", False)
    assert made["trigger"]["kind"] == "manual"
    assert made["trigger"]["check_id"] == str(world.checks["api"].pk)
    assert set(made["steps"][0]) >= STEP_FIELDS
    assert [each["ruling"] for each in made["guardrails"]].count("refuse") == 0
    world.down.clear()
    followed(HealingRun.objects.get(), world)
    ended = viewer.get(f"healing/runs/{made['id']}")
    assert (ended["state"], ended["steps"][0]["state"]) == ("succeeded", "succeeded")
    assert stage.log == ["test_left cork"]
    entry = AuditEntry.objects.get(action="healing_run.start")
    assert (entry.reason, entry.object_id) == ("it hangs", made["id"])


def test_a_dry_run_tells_each_steps_effect_and_does_nothing(
    operator: Api, viewer: Api, world: World, stage: Stage
) -> None:
    workflow(step("test_left", "cork"), step("test_undoable", "lamp"), now=world.now)
    made = post(operator, "healing/runs", {**BODY, "dry_run": True}, status=201)
    followed(HealingRun.objects.get(), world)
    found = viewer.get(f"healing/runs/{made['id']}")
    assert found["dry_run"]
    assert [each["output"] for each in found["steps"]] == [
        "would test_left cork of shop",
        "would test_undoable lamp of shop",
    ]
    assert stage.log == []


def test_what_a_guardrail_refuses_is_409_with_its_reason_and_the_run_that_keeps_it(
    operator: Api, viewer: Api, world: World, stage: Stage, clock: time_machine.Traveller
) -> None:
    workflow(now=world.now)
    HealingSwitch.objects.create(stopped=True, reason="we move", actor="ann", changed_at=world.now)
    refused = post(operator, "healing/runs", BODY, status=409)
    clock.shift(MOMENT)
    assert refused["guardrail"] == "kill_switch"
    assert "we move" in refused["reason"]
    kept = viewer.get(f"healing/runs/{refused['run']}")
    assert (kept["state"], kept["refused_by"]) == ("cancelled", "kill_switch")
    assert kept["guardrails"][-1]["ruling"] == "refuse"
    assert [each["id"] for each in viewer.get("healing/runs?refused=true")["items"]] == [kept["id"]]
    assert viewer.get("healing/runs?refused=false")["items"] == []


def test_a_run_that_waits_is_approved_refused_or_cancelled(
    operator: Api, viewer: Api, world: World, stage: Stage
) -> None:
    row = workflow(now=world.now, mode="approve")
    first = run_start(workflow=row, subject=subject(world), actor=SITE, now=world.now)
    assert first.state == RunState.WAITING_APPROVAL
    (found,) = viewer.get("healing/runs?state=waiting_approval")["items"]
    assert found["approve_until"] is not None
    post(operator, f"healing/runs/{first.id}/refuse", {"reason": "not now"}, status=200)
    again = post(operator, f"healing/runs/{first.id}/approve", {}, status=409)
    assert again["state"] == "cancelled"
    second = run_start(workflow=row, subject=subject(world), actor=SITE, now=world.now)
    approved = post(operator, f"healing/runs/{second.id}/approve", {"reason": "go"}, status=200)
    assert (approved["state"], approved["approved_by"]) == ("pending", "a operate key")
    cancelled = post(operator, f"healing/runs/{second.id}/cancel", {"reason": "stop"}, status=200)
    assert cancelled["state"] in ("pending", "cancelled")
    assert followed(second, world).state == RunState.CANCELLED
    assert stage.log == []


def test_a_run_that_held_is_verified_again_and_rolled_back(
    operator: Api, world: World, stage: Stage
) -> None:
    workflow(step("test_undoable", "lamp"), now=world.now)
    made = post(operator, "healing/runs", BODY, status=201)
    world.down.clear()
    run = followed(HealingRun.objects.get(), world)
    assert run.state == RunState.SUCCEEDED
    assert post(operator, f"healing/runs/{made['id']}/verify", {}, status=200)["verified"] is True
    post(operator, f"healing/runs/{made['id']}/rollback", {"reason": "worse"}, status=200)
    for _ in range(30):
        run = followed(run, world, 1)
        world.run(1)
    run.refresh_from_db()
    assert run.state == RunState.ROLLED_BACK
    assert stage.log == ["test_undoable lamp", "undo lamp"]


@pytest.mark.parametrize(
    ("body", "status", "names"),
    [
        ({"target": "shop", "reason": "x"}, 422, "body.workflow"),
        ({"workflow": "dance", "target": "shop", "reason": "x"}, 404, "heal_it"),
        ({"workflow": "heal_it", "reason": "x"}, 422, "body.target"),
        ({"workflow": "heal_it", "target": "nowhere", "reason": "x"}, 404, "nowhere"),
        ({"workflow": "heal_it", "target": "sh\0op", "reason": "x"}, 422, "body.target"),
        ({"workflow": "heal_it", "target": ["shop"], "reason": "x"}, 422, "body.target"),
        ({"workflow": "heal_it", "target": "shop"}, 422, "body.reason"),
        ({**BODY, "mode": "berserk"}, 422, "body.mode"),
        ({**BODY, "dry_run": "maybe"}, 422, "body.dry_run"),
        ({**BODY, "shell": "rm"}, 422, "body.shell"),
    ],
)
def test_bad_bodies_are_told_which_field_is_wrong(
    operator: Api, world: World, stage: Stage, body: dict[str, object], status: int, names: str
) -> None:
    workflow(now=world.now)
    assert names in str(post(operator, "healing/runs", body, status=status))
    assert not HealingRun.objects.exists()


def test_what_there_is_not_is_404(operator: Api, viewer: Api) -> None:
    assert viewer("GET", f"healing/runs/{uuid4()}")[0] == 404
    post(operator, f"healing/runs/{uuid4()}/approve", {}, status=404)
    post(operator, f"healing/opportunities/{uuid4()}/start", {"reason": "x"}, status=404)

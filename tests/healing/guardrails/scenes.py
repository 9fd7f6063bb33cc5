"""Workflows and runs to be judged, in the simulated time of a fleet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from healing.actions.base import Subject
from healing.choices import Mode, RunState, StepState
from healing.domain.definition import Definition, definition_form, definition_of
from healing.domain.guardrails import Judgement
from healing.models import HealingRun, HealingStep, HealingTarget, Workflow
from healing.services.guardrails import guardrails_judge
from health.choices import HealthState
from health.models import CheckStatus
from resilience_site.core import journal
from resilience_site.core.sealing import seal
from tests.health.world import World

PLANNER: Final = Subject("service", "planner", "planner", trigger_kind="check_failed")


def definition(**changed: Any) -> Definition:
    """A workflow that restarts."""
    form = {
        "name": "restart_service",
        "title": "Restart",
        "trigger": {"type": "check_failed"},
        "steps": [{"id": "restart", "action": "restart"}],
    }
    return definition_of(form | changed)


def workflow(world: World, mode: str = Mode.AUTO, **changed: Any) -> Workflow:
    fields = {key: changed.pop(key) for key in ("enabled", "mode_changed_at") if key in changed}
    made = definition(**changed)
    given: dict[str, Any] = {
        "mode_changed_at": world.now - timedelta(days=100),
        "created_at": world.now,
        "changed_at": world.now,
    }
    return Workflow.objects.create(
        name=made.name,
        title=made.title,
        mode=mode,
        definition=definition_form(made),
        text="",
        **given | fields,
    )


def run(
    world: World,
    of: Workflow,
    state: str = RunState.SUCCEEDED,
    *,
    ago: float = 3600,
    took: float = 30,
    service: str = "planner",
    **fields: Any,
) -> HealingRun:
    """A run that acted; `ago` is when it ended in seconds, or when it began where it still runs."""
    over = state in {"succeeded", "failed", "rolled_back", "escalated", "cancelled"}
    end = world.now - timedelta(seconds=ago)
    began = end - timedelta(seconds=took) if over else end
    given: dict[str, Any] = {
        "workflow_row": of,
        "workflow": of.name,
        "version": of.version,
        "definition": of.definition,
        "target_kind": "service",
        "target": service,
        "service": service,
        "mode": of.mode,
        "state": state,
        "trigger_kind": "check_failed",
        "requested_by": "healing",
        "created_at": began,
        "started_at": began,
        "ended_at": end if over else None,
        "deadline": end + timedelta(hours=1),
    }
    return HealingRun.objects.create(**given | fields)


def steps(of: HealingRun, *actions: str, failed: str = "") -> None:
    """The steps that a run came to, each tried once."""
    HealingStep.objects.bulk_create(
        HealingStep(
            run=of,
            n=n,
            name=each,
            action=each,
            attempt=1,
            state=StepState.FAILED if each == failed else StepState.SUCCEEDED,
        )
        for n, each in enumerate(actions, start=1)
    )


def target(world: World, service: str, group: str = "", **ways: Any) -> HealingTarget:
    return HealingTarget.objects.create(
        service=service, group=group, ways=ways, sealed_ways=seal("{}"), changed_at=world.now
    )


def judged(world: World, of: Workflow, subject: Subject = PLANNER, **more: Any) -> Judgement:
    """What guardrails say now to an automatic start, unless `more` says otherwise."""
    given: dict[str, Any] = {"wanted_mode": "", "by_person": False, "now": world.now}
    return guardrails_judge(
        workflow=of,
        definition=definition_of(of.definition),
        subject=subject,
        **given | more,
    )


def refused_by(judgement: Judgement) -> str:
    return judgement.refusal.name if judgement.refusal else ""


def well(world: World) -> None:
    """All checks pass, and that is confirmed."""
    CheckStatus.objects.update(own_state=HealthState.UP, own_since=world.now)
    world.evaluate()


def entries(*kinds: str) -> list[journal.Recorded]:
    found = journal.read(0, ["healing"], limit=10_000)
    return [each for each in found if each.kind in kinds]


def fail(world: World, *checks: str) -> None:
    """Let checks fail until that is confirmed."""
    rows = CheckStatus.objects.filter(check_row__name__in=checks)
    rows.update(own_state=HealthState.DOWN, own_since=world.now)
    world.evaluate()

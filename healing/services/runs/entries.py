"""What the journal says of runs, and what is acted on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from healing.actions.base import Subject
from healing.models import HealingRun, HealingStep
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry


def subject_of(run: HealingRun) -> Subject:
    """What the run acts on."""
    return Subject(
        kind=run.target_kind,
        name=run.target,
        service=run.service,
        check_id=run.check_id,
        trigger_kind=run.trigger_kind,
        trigger_key=run.trigger_key,
        trigger=run.trigger,
    )


def run_imagined(subject: Subject, now: datetime) -> HealingRun:
    """The run that it would be, as far as preconditions and proofs look at it; it is stored
    nowhere."""
    fields: dict[str, Any] = {
        "target_kind": subject.kind, "target": subject.name, "service": subject.service,
        "check_id": subject.check_id, "trigger_kind": subject.trigger_kind,
        "trigger_key": subject.trigger_key, "trigger": subject.trigger, "created_at": now,
    }  # fmt: skip
    return HealingRun(**fields)


def run_entry(kind: str, run: HealingRun, text: str, **more: Any) -> Entry:
    """An entry `run.…`, or of the state that the run has with `kind` empty."""
    return Entry(
        Topic.HEALING,
        kind or f"run.{run.state}",
        str(run.pk),
        run.state,
        run.service,
        {**_facts(run, text), **more},
    )


def step_entry(run: HealingRun, step: HealingStep, text: str) -> Entry:
    """An entry `run.step`; its state is that of the step."""
    more = {"step": step.name, "action": step.resolved or step.action, "attempt": step.attempt}
    return Entry(
        Topic.HEALING,
        "run.step",
        str(run.pk),
        step.undo_state or step.state,
        run.service,
        {**_facts(run, text), **more, "state": step.undo_state or step.state},
    )


def _facts(run: HealingRun, text: str) -> dict[str, Any]:
    return {
        "workflow": run.workflow,
        "target": run.target,
        "target_kind": run.target_kind,
        "service": run.service,
        "mode": run.mode,
        "trigger": str(run.trigger.get("text", "")),
        "text": text,
        "link": f"/healing/runs/{run.pk}",
        "reason": run.reason,
        "state": run.state,
    }

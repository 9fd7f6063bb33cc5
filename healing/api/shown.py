"""Runs and opportunities as the API gives them."""

from __future__ import annotations

from typing import Any, Final

from healing.domain.definition import definition_of
from healing.models import HealingRun, HealingStep, Opportunity, Workflow
from healing.selectors.runs import steps_of
from healing.services.guardrails import mode_cap

_RUN: Final = (
    "id", "workflow", "version", "target", "target_kind", "service", "mode", "state", "dry_run",
    "reason", "requested_by", "guardrails", "refused_by", "created_at", "started_at", "ended_at",
    "deadline", "approve_until", "approved_by", "approved_at", "passes", "outcome", "evidence",
    "failed_again_at",
)  # fmt: skip
_STEP: Final = (
    "n", "name", "action", "resolved", "parameters", "state", "attempt", "started_at", "ended_at",
    "output", "error", "undo_state", "undo_output",
)  # fmt: skip
_OPPORTUNITY: Final = (
    "id", "target", "target_kind", "service", "state", "first_seen", "last_seen", "count",
    "refused_by", "ended_at",
)  # fmt: skip
_WORKFLOW: Final = (
    "id", "name", "title", "description", "mode", "mode_changed_at", "mode_changed_by",
    "mode_reason", "enabled", "priority", "origin", "version", "changed_at", "changed_by",
)  # fmt: skip


def workflow_shown(row: Workflow) -> dict[str, Any]:
    """A workflow in short, with how far variables of the site let it go."""
    definition = definition_of(row.definition)
    capped_at, capped_by = mode_cap(definition)
    return {
        **{name: getattr(row, name) for name in _WORKFLOW},
        "capped_at": capped_at,
        "capped_by": capped_by,
        "target": definition.target,
        "strategy": definition.strategy,
        "triggers": [each.type for each in (definition.trigger, *definition.triggers)],
        "actions": [each.action for each in definition.steps],
    }


def run_shown(run: HealingRun) -> dict[str, Any]:
    """A run with its steps and what its guardrails said."""
    return {
        **{name: getattr(run, name) for name in _RUN},
        "trigger": trigger_shown(run),
        "steps": [step_shown(each) for each in steps_of(run)],
        "passes_needed": definition_of(run.definition).verification.passes,
    }


def step_shown(step: HealingStep) -> dict[str, Any]:
    return {
        **{name: getattr(step, name) for name in _STEP},
        "verification": step.verification if step.verification.get("words") else None,
    }


def opportunity_shown(found: Opportunity, run_id: Any = None) -> dict[str, Any]:
    """An opportunity with the mode of its workflow and the run that came of it."""
    return {
        **{name: getattr(found, name) for name in _OPPORTUNITY},
        "workflow": found.workflow.name,
        "mode": found.workflow.mode,
        "trigger": trigger_shown(found),
        "guardrails": found.verdicts,
        "run_id": run_id,
    }


def trigger_shown(row: HealingRun | Opportunity) -> dict[str, Any]:
    """What it answers to: kind, key, and what was told of it."""
    return {
        "kind": row.trigger_kind,
        "key": row.trigger_key,
        "text": row.trigger.get("text", ""),
        "link": row.trigger.get("link", ""),
        "check_id": row.check_id,
        "evidence": row.trigger.get("evidence", {}),
    }

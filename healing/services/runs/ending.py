"""From state to state: each change is written with its moment, its words and its entry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from healing.choices import OPEN, RunState
from healing.domain import machine
from healing.models import HealingRun
from healing.services.runs.entries import run_entry
from resilience_site.core import journal

# How entries of changes to states that are open are called, where their state alone does not say it.
_KINDS: Final = {
    (RunState.PENDING, RunState.RUNNING): "run.started",
    (RunState.PENDING, RunState.WAITING_APPROVAL): "run.created",
    (RunState.WAITING_APPROVAL, RunState.PENDING): "run.approved",
    (RunState.VERIFYING, RunState.RUNNING): "run.unhealed",
}


def run_move(run: HealingRun, state: RunState, text: str, **changes: Any) -> None:
    """Give a run another state that is open, inside the caller's transaction."""
    machine.require(run.state, state.value)
    kind = _KINDS.get((RunState(run.state), state), "")
    if not kind and state == RunState.RUNNING:
        kind = "run.undoing"
    run.state = state
    for name, value in changes.items():
        setattr(run, name, value)
    run.save(update_fields=["state", *changes])
    journal.append([run_entry(kind, run, text)])


def run_end(
    run: HealingRun,
    state: RunState,
    outcome: str,
    now: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """End a run inside the caller's transaction. A dry run tells nobody."""
    machine.require(run.state, state.value)
    if state in OPEN:
        raise machine.Forbidden(f"{state} is no end")
    run.state, run.outcome = state, outcome
    run.ended_at, run.due_at, run.lease_until = now, None, None
    run.evidence = {**run.evidence, **(evidence or {})}
    run.save(update_fields=["state", "outcome", "ended_at", "due_at", "lease_until", "evidence"])
    if not run.dry_run:
        journal.append([run_entry("", run, outcome, evidence=dict(evidence or {}))])

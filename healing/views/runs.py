"""Runs: all of them, and one with its steps, its guardrails and how its target did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from healing.choices import RunState, StepState
from healing.domain.definition import definition_of
from healing.models import HealingRun, HealingStep
from healing.selectors.runs import ACTIVE, run_find, run_list, steps_of
from healing.views.around import target_around
from healing.views.rows import run_rows
from healing.views.words import guardrails, is_open, run_verdict, shown_state, target_link, took
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import exact
from resilience_site.core.pagination import keyset_page
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.screens import bad_question, is_partial, may_operate, topic

ROWS: Final = 50
STATES: Final = [(ACTIVE, "not over yet"), *RunState.choices]


@require_GET
@require_role(Role.VIEWER)
def runs(request: HttpRequest) -> HttpResponse:
    """All runs, the newest first."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    asked = {
        name: request.GET.get(name, "").replace("\0", "").strip()
        for name in ("state", "workflow", "service")
    }
    try:
        page = keyset_page(
            run_list(state=asked["state"], workflow=asked["workflow"], service=asked["service"]),
            by=("-created_at", "-id"),
            types=(datetime, UUID),
            cursor=request.GET.get("cursor"),
            limit=ROWS,
        )
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "rows": run_rows(page.items, now),
        "page": page,
        "states": STATES,
        "filtered": any(asked.values()),
        **asked,
    }
    part = "_runs" if is_partial(request) else "runs"
    return render(request, f"healing/{part}.html", context)


@dataclass(frozen=True)
class StepRow:
    """A step as the timeline shows it; `undone` is how its undoing stands, empty without one."""

    step: HealingStep
    state: str
    tone: str
    took: str
    undone: str
    undo_took: str
    verified: str


@dataclass(frozen=True)
class Verified:
    """How the run as a whole is verified: by what, and how that stands."""

    proof: str
    text: str
    state: str
    tone: str
    since: datetime | None


_TONES: Final = {
    StepState.SUCCEEDED: "ok",
    StepState.FAILED: "bad",
    StepState.RUNNING: "info",
    StepState.VERIFYING: "info",
    StepState.UNKNOWN: "warn",
    StepState.COMPENSATED: "warn",
}


@require_GET
@require_role(Role.VIEWER)
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One run: how it stands, what can be done with it, its steps and why it was let."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    found = run_or_404(run_id)
    definition = definition_of(found.definition)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "run": found,
        "title": definition.title,
        "state": shown_state(found),
        "verdict": run_verdict(found, now),
        "steps": [_step_row(each) for each in steps_of(found)],
        "verified": _verified(found),
        "guardrails": guardrails(found.guardrails),
        "target_link": target_link(found.target_kind, found.target, found.service),
        "took": took(found.started_at, found.ended_at),
        "waits": found.state == RunState.WAITING_APPROVAL,
        "can_cancel": is_open(found) and found.state != RunState.WAITING_APPROVAL,
        "can_roll_back": _can_roll_back(found),
        "may_operate": may_operate(request),
        "topic": topic("healing", str(found.id)),
        "facts": _facts(found),
        **target_around(found, now),
    }
    part = "_run" if is_partial(request) else "run"
    return render(request, f"healing/{part}.html", context)


def run_or_404(run_id: UUID) -> HealingRun:
    found = run_find(run_id)
    if found is None:
        raise Http404("There is no such run.")
    return found


def _can_roll_back(run: HealingRun) -> bool:
    acted = any(each.state == StepState.SUCCEEDED for each in steps_of(run))
    return acted and not run.dry_run and run.state == RunState.SUCCEEDED


def _step_row(step: HealingStep) -> StepRow:
    return StepRow(
        step=step,
        state=step.state,
        tone=_TONES.get(StepState(step.state), ""),
        took=took(step.started_at, step.ended_at),
        undone=step.undo_state,
        undo_took=took(step.undo_started_at, step.undo_ended_at),
        verified=_step_verified(step),
    )


def _step_verified(step: HealingStep) -> str:
    """What a step is verified by and what that said, in words; empty where by nothing of its own."""
    told = step.verification
    if not told.get("words"):
        return ""
    said = f": {told['text']}" if told.get("text") else ""
    verb = "To be verified" if told.get("well") is None else "Verified"
    if told.get("well") is False:
        verb = "Was to be verified"
    return f"{verb} {told['words']}{said}."


def _verified(run: HealingRun) -> Verified | None:
    """The run's own verification, once it began."""
    told = run.evidence.get("verification")
    if run.verify_since is None or not isinstance(told, dict) or not told.get("proof"):
        return None
    state = {RunState.VERIFYING: "verifying", RunState.SUCCEEDED: "succeeded"}.get(
        RunState(run.state), "failed"
    )
    tone = {"verifying": "info", "succeeded": "ok"}.get(state, "bad")
    return Verified(told["proof"], told.get("text", ""), state, tone, run.verify_since)


def _facts(run: HealingRun) -> list[tuple[str, str]]:
    facts = [
        ("Workflow", f"{run.workflow}, version {run.version}"),
        ("Acts on", f"{run.target_kind} {run.target}"),
        ("Answers to", run.get_trigger_kind_display()),
        ("Asked for by", run.requested_by),
        ("Reason", run.reason),
        ("Approved by", run.approved_by),
        ("Approved", exact(run.approved_at) if run.approved_at else ""),
        ("Began", exact(run.started_at) if run.started_at else ""),
        ("Ended", exact(run.ended_at) if run.ended_at else ""),
        ("Deadline", exact(run.deadline)),
    ]
    return [(name, value) for name, value in facts if value]

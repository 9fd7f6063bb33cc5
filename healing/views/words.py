"""Runs, guardrails and modes in words, as all screens of healing say them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.urls import reverse

from healing.choices import OPEN, RunState, TargetKind
from healing.models import HealingRun, HealingStep
from healing.selectors.runs import steps_of
from resilience_site.core.formatting import duration

# What a guardrail guards against, where its name alone does not say it.
GUARDRAILS: Final = {
    "kill_switch": "Kill switch",
    "maintenance": "Maintenance",
    "mode": "Mode",
    "target_lock": "One run a target",
    "cooldown": "Cooldown",
    "target_budget": "Budget of the target",
    "concurrency": "Runs at once",
    "blast_radius": "Blast radius",
    "failed_runs": "Failed runs in a row",
    "error_budget": "Error budget",
    "culprit": "Culprit",
}


@dataclass(frozen=True)
class Verdict:
    """A sentence that says how something stands, with its tone, its icon and what stands behind."""

    tone: str
    icon: str
    sentence: str
    detail: str = ""


def guardrails(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts with the names that people read."""
    return [
        {**each, "label": GUARDRAILS.get(each["name"], each["name"].replace("_", " ").capitalize())}
        for each in verdicts
    ]


def shown_state(run: HealingRun) -> str:
    """Its state as its badge has it."""
    if run.dry_run and run.state == RunState.SUCCEEDED:
        return "dry_run"
    if run.refused_by and run.state == RunState.CANCELLED:
        return "refused"
    return run.state


def took(since: datetime | None, until: datetime | None) -> str:
    """How long something took, empty while it is not over."""
    if since is None or until is None:
        return ""
    return duration(max(0.0, (until - since).total_seconds()))


def run_verdict(run: HealingRun, now: datetime) -> Verdict:
    """How a run stands, in one sentence."""
    steps = steps_of(run)
    running = next((each for each in steps if each.state == "running"), None)
    proven = next((each for each in steps if each.state == "verifying"), None)
    over = sum(1 for each in steps if each.ended_at is not None)
    detail = f"{over} of {len(steps)} steps are over"
    match shown_state(run):
        case "pending":
            return Verdict("", "clock", "It begins at once.", detail)
        case "waiting_approval":
            return Verdict(
                "warn", "hand-raised", "It waits for a person's yes.",
                _until(run.approve_until, now, "Without one it is given up"),
            )  # fmt: skip
        case "running" if run.undoing:
            return Verdict("warn", "arrow-uturn-left", f"It undoes what it did: {run.undoing}")
        case "running" if proven is not None:
            own = proven.verification
            return Verdict(
                "info", "magnifying-glass", f"Step {proven.n}, {_action(proven)}, is verified "
                f"{own.get('words', '')}.", own.get("text", ""),
            )  # fmt: skip
        case "running":
            step = f"Step {running.n}, {_action(running)}, runs." if running else "It runs."
            return Verdict("info", "wrench", step, detail)
        case "verifying":
            needed = run.definition.get("verification", {}).get("passes", 2)
            return Verdict(
                "info", "magnifying-glass",
                f"It is verified: {run.passes} of {needed} passes in a row.",
                _until(run.verify_until, now, "It has failed unless that is done"),
            )  # fmt: skip
        case "succeeded":
            again = run.failed_again_at
            if again is not None:
                sentence = f"It healed, but failed again after {took(run.ended_at, again)}."
                return Verdict("bad", "x-circle", sentence, run.outcome)
            if run.evidence.get("verification", {}).get("by") == "nothing":
                sentence = "Its steps took effect; nothing tells whether that healed."
                return Verdict("warn", "check-circle", sentence, run.outcome)
            return Verdict("ok", "check-circle", "It healed, and that was verified.", run.outcome)
        case "dry_run":
            return Verdict("info", "eye", "This is what it would have done.", run.outcome)
        case "refused":
            name = GUARDRAILS.get(run.refused_by, run.refused_by)
            return Verdict("warn", "shield-exclamation", f"Not begun: {name}.", run.outcome)
        case "cancelled":
            return Verdict("", "no-symbol", "It was cancelled.", run.outcome)
        case "rolled_back":
            return Verdict("warn", "arrow-uturn-left", "What it did was undone.", run.outcome)
        case "escalated":
            return Verdict("bad", "user", "It did not heal: a person is needed.", run.outcome)
    return Verdict("bad", "x-circle", "It failed.", run.outcome)


def is_open(run: HealingRun) -> bool:
    return run.state in OPEN


def target_link(kind: str, target: str, service: str) -> str:
    """The page of what a run acts on."""
    if kind == TargetKind.PATTERN:
        return reverse("pattern", args=[target])
    if kind == TargetKind.BREAKER:
        return f"{reverse('breakers')}?service={service}"
    return reverse("service", args=[service])


def _action(step: HealingStep) -> str:
    return step.action.replace("_", " ")


def _until(moment: datetime | None, now: datetime, what: str) -> str:
    if moment is None or moment <= now:
        return ""
    return f"{what} within {duration((moment - now).total_seconds())}."

"""Judges whether a run may begin or go on, and does what follows from a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from healing.actions.base import Subject
from healing.actions.registry import actions_known
from healing.choices import TriggerKind
from healing.domain.definition import Definition
from healing.domain.guardrails import Judgement
from healing.domain.judging import Situation, judge, stops_automation
from healing.domain.modes import AUTO, OBSERVE
from healing.domain.variables import variables_of
from healing.models import HealingRun, HealingTarget, Workflow
from healing.selectors.situation import Cap, situation_of
from healing.services.quarantine import quarantine_begin
from healing.services.switches import automation_stop
from resilience_site.config import config
from resilience_site.core.audit import Actor

SITE = Actor.system("healing")


def guardrails_judge(
    *,
    workflow: Workflow,
    definition: Definition,
    subject: Subject,
    wanted_mode: str,
    by_person: bool,
    now: datetime,
    run: HealingRun | None = None,
    dry_run: bool = False,
) -> Judgement:
    """What guardrails say to healing `subject` by `workflow`, and how far it may go.

    `wanted_mode` may be empty. `by_person`: a person starts it; an approved `run` counts as such.
    `run` is the one that is judged, if it is there already: it does not stand in its own way.

    A target that used up its budget goes into quarantine, and automation stops for a group of which
    half is unhealthy, in the caller's transaction, which must therefore be committed though it was
    refused; with `dry_run` nothing is written.
    """
    person = by_person or (run is not None and run.approved_at is not None)
    situation = situation_of(
        workflow=workflow,
        definition=definition,
        subject=subject,
        wanted_mode=wanted_mode,
        by_person=person,
        cap=Cap(*mode_cap(definition, service=subject.service, by_person=person)),
        now=now,
        run=run,
    )
    judgement = judge(situation)
    if not dry_run:
        _follow(judgement, situation, subject)
    return judgement


def mode_cap(
    definition: Definition, *, service: str = "", by_person: bool = False
) -> tuple[str, str]:
    """How far the site's variables let a workflow go, and which one says so: `auto` and nothing
    where all that govern it are true. A variable that governs one step governs the workflow.

    With a `service` its ways are followed to their actions. See `variables_of` for `by_person`.
    """
    for name in variables_of(definition, _of_actions(definition, service), by_person=by_person):
        if not getattr(config, name):
            return OBSERVE, f"{name.upper()} is false."
    return AUTO, ""


def _of_actions(definition: Definition, service: str) -> list[str]:
    """The variables of the actions that its steps come to, as far as these are known."""
    known = actions_known()
    ways: Mapping[str, Any] = {}
    if service and any(each.action not in known for each in definition.steps):
        kept = HealingTarget.objects.filter(service=service).values_list("ways", flat=True)
        ways = kept.first() or {}
    found = []
    for step in definition.steps:
        way = ways.get(step.action, {})
        action = known.get(step.action) or known.get(way.get("action", ""))
        if action is not None:
            found.append(action.variable_of({**way.get("with", {}), **step.parameters}))
    return found


def _follow(judgement: Judgement, situation: Situation, subject: Subject) -> None:
    refusal = judgement.refusal
    if refusal is None:
        return
    if refusal.name == "target_budget" and situation.quarantined_since is None:
        if subject.trigger_kind == TriggerKind.HEALED:
            # Its target is well: what is left of its heal is cleared away later, or ends by itself.
            return
        quarantine_begin(subject=subject, reason=refusal.reason, actor=SITE, now=situation.now)
    elif refusal.name == "blast_radius" and stops_automation(situation):
        automation_stop(group=situation.group.name, reason=refusal.reason, now=situation.now)

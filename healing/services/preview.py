"""What would heal now: a dry run over the present state. It looks at targets, and touches nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from healing.actions.base import ActionFailed, Context, Subject
from healing.choices import OpportunityState, TriggerKind
from healing.domain.definition import Step
from healing.domain.guardrails import Verdict
from healing.domain.matching import Failing
from healing.domain.output import output_clean
from healing.models import Opportunity
from healing.selectors.standing import failures_standing
from healing.services.detecting.opportunities import Answer, Key, answers_to
from healing.services.guardrails import guardrails_judge
from healing.services.runs.conditions import condition_words
from healing.services.runs.entries import run_imagined
from healing.services.runs.preconditions import precondition_missing
from healing.services.runs.steps import guarded
from healing.services.targets import step_resolve
from health.checks.addresses import Addresses
from resilience_site.config import config

# Seconds that all effects together, and each of them, may take to tell.
SECONDS: Final = 15.0
_EFFECT_SECONDS: Final = 5.0
# Failures that are told of, those that fail longest first; the rest are counted.
MOST: Final = 50


@dataclass(frozen=True)
class StepEffect:
    """What a step would do. `state`: `would` (with the exact effect in `text`), `skipped` and
    `cannot` (with the reason in `text`). `verification`: what it would be verified by, in words;
    empty for a step that is not verified by itself."""

    name: str
    action: str
    resolved: str
    state: str
    text: str
    verification: str = ""


@dataclass(frozen=True)
class WouldRun:
    """A workflow that answers. `mode` is how far it would go, `refused_by` the guardrail that says
    no, `unable` why it could do nothing. `opportunity` is the one that it stands for, if it is
    known already."""

    workflow: str
    title: str
    mode: str
    target_kind: str
    target: str
    verdicts: tuple[Verdict, ...]
    refused_by: str
    unable: str
    steps: tuple[StepEffect, ...]
    opportunity: UUID | None

    @property
    def begins(self) -> bool:
        """Whether it would begin by itself, or ask a person for a yes."""
        return not (self.refused_by or self.unable) and self.mode in ("approve", "auto")


@dataclass(frozen=True)
class WouldHeal:
    """Something that fails now, with the workflows that answer to it, the one that goes first
    first. None: nothing would heal it."""

    failing: Failing
    answers: tuple[WouldRun, ...]


@dataclass(frozen=True)
class Preview:
    """All that fails now; `left_off` more are not told of."""

    at: datetime
    failures: tuple[WouldHeal, ...]
    left_off: int = 0


def preview(*, now: datetime, clock: Callable[[], float] = time.monotonic) -> Preview:
    """For everything that fails now: which workflow would answer, what guardrails say, and what
    each of its steps would do to the real target."""
    failures = failures_standing(now)
    answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for each in answers_to(failures, now):
        answers[each.failing.kind, each.failing.key].append(each)
    # After a heal there is only something to do where a workflow answers.
    wanted = [
        each
        for each in failures
        if each.kind != TriggerKind.HEALED or (each.kind, each.key) in answers
    ]
    wanted.sort(key=lambda each: each.since)
    known = _known()
    until = clock() + SECONDS
    told = tuple(
        WouldHeal(
            each,
            tuple(
                _would_run(one, known, now, clock, until) for one in answers[each.kind, each.key]
            ),
        )
        for each in wanted[:MOST]
    )
    return Preview(now, told, max(0, len(wanted) - MOST))


def _known() -> dict[Key, UUID]:
    rows = Opportunity.objects.filter(state=OpportunityState.OPEN)
    columns = ("workflow_id", "target_kind", "target", "trigger_key", "id")
    return {Key(*key): pk for *key, pk in rows.values_list(*columns)}


def _would_run(
    answer: Answer,
    known: dict[Key, UUID],
    now: datetime,
    clock: Callable[[], float],
    until: float,
) -> WouldRun:
    workflow, key = answer.workflow, answer.key
    subject = _subject(answer)
    judgement = guardrails_judge(
        workflow=workflow, definition=answer.definition, subject=subject,
        wanted_mode=workflow.mode, by_person=False, now=now, dry_run=True,
    )  # fmt: skip
    refusal = judgement.refusal
    steps = () if answer.unable else answer.definition.steps
    return WouldRun(
        workflow=workflow.name,
        title=workflow.title,
        mode=judgement.mode,
        target_kind=key.target_kind,
        target=key.target,
        verdicts=judgement.verdicts,
        refused_by=refusal.name if refusal is not None else "",
        unable=answer.unable,
        steps=tuple(_effect(each, answer, subject, now, clock, until) for each in steps),
        opportunity=known.get(key),
    )


def _subject(answer: Answer) -> Subject:
    failing, key = answer.failing, answer.key
    return Subject(
        kind=key.target_kind, name=key.target, service=failing.service, check_id=failing.check_id,
        trigger_kind=failing.kind, trigger_key=failing.key, trigger=failing.trigger(),
    )  # fmt: skip


def _effect(
    step: Step,
    answer: Answer,
    subject: Subject,
    now: datetime,
    clock: Callable[[], float],
    until: float,
) -> StepEffect:
    run = run_imagined(subject, now)
    missing = precondition_missing(step.precondition, run, now)
    if missing:
        return StepEffect(step.id, step.action, "", "skipped", missing)
    deadline = min(until, clock() + _EFFECT_SECONDS)
    if clock() >= until:
        text = "It was not asked: the others took too long to tell."
        return StepEffect(step.id, step.action, "", "cannot", text)
    found, secrets = "", frozenset[str]()
    try:
        resolved = step_resolve(step, subject)
        found, secrets = resolved.action.name, resolved.secrets
        context = Context(
            subject=subject, key=f"preview:{subject.name}:{step.id}", started_at=now,
            deadline=deadline, clock=clock, now=lambda: now, pause=time.sleep,
            addresses=Addresses(allow_private=config.resilience_allow_private_targets),
            actor=f"healing: {answer.workflow.name}", reason=answer.failing.text,
        )  # fmt: skip
        told = guarded(lambda: resolved.action.effect(resolved.parameters, context), "Its effect")
    except ActionFailed as error:
        return StepEffect(
            step.id, step.action, found, "cannot", output_clean(error.message, secrets)
        )
    verified = condition_words(step.verification, run, now) if step.verification else ""
    return StepEffect(step.id, step.action, found, "would", output_clean(told, secrets), verified)

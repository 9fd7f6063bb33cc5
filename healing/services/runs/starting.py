"""Starting a run: guardrails are judged, and what they say is kept whether or not it begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection, transaction

from breakers.services.requests import operator_needed, reason_checked
from healing.actions.base import Subject
from healing.choices import Mode, OpportunityState, RunState
from healing.domain.definition import Definition, definition_form, definition_of
from healing.domain.guardrails import Judgement, Verdict
from healing.models import HealingRun, HealingStep, Opportunity, Workflow
from healing.selectors.learning import ladder_order
from healing.services.guardrails import guardrails_judge
from healing.services.runs.entries import run_entry
from healing.services.runs.refusals import Refused
from healing.services.runs.telling import look_soon
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import ActorKind, Role
from resilience_site.core.problems import Forbidden, Invalid

# Any constant that no other advisory lock of the site uses. Two that begin at once would each not
# see the other, and both find room.
_START_LOCK: Final = 0x6865616C696E67
_MODES: Final = (Mode.OBSERVE, Mode.SUGGEST, Mode.APPROVE, Mode.AUTO)
_OBJECT: Final = "healing_run"


@dataclass(frozen=True)
class _Wanted:
    """What somebody asks for. `mode` is how far it may go at most."""

    workflow: Workflow
    definition: Definition
    subject: Subject
    mode: Mode
    by_person: bool
    dry_run: bool
    reason: str
    actor: Actor
    opportunity: Opportunity | None
    now: datetime


def run_start(
    *,
    workflow: Workflow,
    subject: Subject,
    actor: Actor,
    reason: str = "",
    role: Role | None = None,
    mode: str | None = None,
    dry_run: bool = False,
    opportunity: Opportunity | None = None,
    now: datetime | None = None,
) -> HealingRun:
    """Start a workflow on a target; see `healing.services.recovery_orchestrator`.

    Raises `Refused` where a guardrail refuses a person; the site gets the cancelled run back.
    Raises `Forbidden` and `Invalid`.
    """
    now = now or datetime.now(UTC)
    by_person = actor.kind != ActorKind.SYSTEM
    with refusals_audited(
        actor=actor,
        action="healing_run.start",
        object_type=_OBJECT,
        object_id=f"{workflow.name} on {subject.name}",
    ):
        if by_person:
            operator_needed(role)
            reason = reason_checked(reason)
        elif role is not None:
            raise Forbidden("The site itself has no role.")
        asked = _mode_asked(workflow, mode, by_person)
        if by_person and asked == Mode.OBSERVE:
            # What guardrails would say to the real one is what they want to see.
            asked, dry_run = Mode.AUTO, True
        wanted = _Wanted(
            workflow=workflow,
            definition=definition_of(workflow.definition),
            subject=subject,
            mode=asked,
            by_person=by_person,
            dry_run=dry_run,
            reason=reason,
            actor=actor,
            opportunity=opportunity,
            now=now,
        )
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_START_LOCK])
            run = _started(wanted)
        if run.refused_by and by_person and not run.dry_run:
            refusal = run.guardrails[-1]
            raise Refused(run, run.refused_by, str(refusal["reason"]))
    return run


def _mode_asked(workflow: Workflow, mode: str | None, by_person: bool) -> Mode:
    """How far the run may go. A person who starts it has said yes to it by that."""
    if mode is not None and mode not in Mode.values:
        raise Invalid.field("body.mode", f"The mode is one of {', '.join(Mode.values)}.")
    most = Mode.AUTO if by_person else Mode(workflow.mode)
    asked = most if mode is None else Mode(mode)
    if by_person and asked == Mode.SUGGEST:
        asked = Mode.APPROVE
    return min(asked, most, key=_MODES.index)


def _started(wanted: _Wanted) -> HealingRun:
    judgement = guardrails_judge(
        workflow=wanted.workflow,
        definition=wanted.definition,
        subject=wanted.subject,
        wanted_mode=wanted.mode.value,
        by_person=wanted.by_person,
        now=wanted.now,
        run=None,
        dry_run=wanted.dry_run,
    )
    if wanted.dry_run:
        return _created(wanted, judgement, RunState.PENDING)
    state, refusal = state_allowed(judgement, asked=wanted.mode, by_person=wanted.by_person)
    if refusal is not None:
        return _refused(wanted, judgement, refusal)
    return _created(wanted, judgement, state)


def state_allowed(
    judgement: Judgement, *, asked: Mode, by_person: bool
) -> tuple[RunState, Verdict | None]:
    """How a run begins by what guardrails say, or the verdict that keeps it from beginning.

    What needs approval has it where a person starts it, unless they asked to have it approved.
    """
    if judgement.refusal is not None:
        return RunState.CANCELLED, judgement.refusal
    allowed = min(Mode(judgement.mode), asked, key=_MODES.index)
    if allowed in (Mode.OBSERVE, Mode.SUGGEST):
        verdict = Verdict(
            "mode", "refuse", f"It may go no further than the mode {allowed.value}.", {}
        )
        return RunState.CANCELLED, verdict
    if allowed == Mode.AUTO or (by_person and asked == Mode.AUTO):
        return RunState.PENDING, None
    return RunState.WAITING_APPROVAL, None


def _refused(wanted: _Wanted, judgement: Judgement, refusal: Verdict) -> HealingRun:
    """The run that keeps the refusal: one an opportunity, however often it is judged."""
    verdicts = [each.form() for each in judgement.verdicts]
    if refusal not in judgement.verdicts:
        verdicts.append(refusal.form())
    outcome = f"Refused by {refusal.name.replace('_', ' ')}: {refusal.reason}"
    if wanted.opportunity is not None and not wanted.by_person:
        Opportunity.objects.filter(pk=wanted.opportunity.pk).update(
            verdicts=verdicts, refused_by=refusal.name
        )
        former = HealingRun.objects.filter(
            opportunity=wanted.opportunity, state=RunState.CANCELLED
        ).exclude(refused_by="")
        run = former.select_for_update(no_key=True).first()
        if run is not None:
            changed = run.refused_by != refusal.name
            run.guardrails, run.refused_by, run.outcome = verdicts, refusal.name, outcome
            run.ended_at = wanted.now
            run.save(update_fields=["guardrails", "refused_by", "outcome", "ended_at"])
            if changed:
                journal.append([run_entry("run.refused", run, outcome)])
            return run
    run = _row(wanted, RunState.CANCELLED, verdicts)
    run.refused_by, run.outcome = refusal.name, outcome
    run.due_at, run.ended_at = None, wanted.now
    run.save(force_insert=True)
    journal.append([run_entry("run.refused", run, outcome)])
    return run


def _created(wanted: _Wanted, judgement: Judgement, state: RunState) -> HealingRun:
    run = _row(wanted, state, [each.form() for each in judgement.verdicts])
    if wanted.dry_run and judgement.refusal is not None:
        run.refused_by = judgement.refusal.name
    if state == RunState.WAITING_APPROVAL:
        run.mode = Mode.APPROVE
        run.approve_until = wanted.now + timedelta(
            seconds=wanted.definition.guards.approval_seconds
        )
        run.due_at = run.approve_until
        run.deadline = run.approve_until + timedelta(seconds=wanted.definition.deadline_seconds)
    elif wanted.by_person and not wanted.dry_run:
        run.approved_by, run.approved_at = wanted.actor.name, wanted.now
    run.save(force_insert=True)
    _steps(run, wanted.definition)
    if not wanted.dry_run and wanted.opportunity is not None:
        Opportunity.objects.filter(pk=wanted.opportunity.pk, state=OpportunityState.OPEN).update(
            state=OpportunityState.TAKEN,
            ended_at=wanted.now,
            next_look_at=None,
            verdicts=run.guardrails,
            refused_by="",
        )
    audit_record(
        actor=wanted.actor,
        action="healing_run.dry_run" if wanted.dry_run else "healing_run.start",
        object_type=_OBJECT,
        object_id=run.pk,
        reason=wanted.reason or _because(run),
        after={"workflow": run.workflow, "target": run.target, "state": run.state},
    )
    if not wanted.dry_run:
        text = f"{wanted.definition.title} on {run.target}: {_because(run)}"
        if state == RunState.WAITING_APPROVAL:
            text = f"{text}; it waits for a person's yes"
        journal.append([run_entry("run.created", run, text)])
    if state == RunState.PENDING:
        look_soon(run.pk)
    return run


def _because(run: HealingRun) -> str:
    return str(run.trigger.get("text") or run.reason or "started by hand")


def _row(wanted: _Wanted, state: RunState, verdicts: list[dict[str, object]]) -> HealingRun:
    subject, definition = wanted.subject, wanted.definition
    return HealingRun(
        workflow_row=wanted.workflow,
        workflow=wanted.workflow.name,
        version=wanted.workflow.version,
        definition=definition_form(definition),
        target_kind=subject.kind,
        target=subject.name,
        service=subject.service,
        mode=wanted.mode,
        state=state,
        trigger_kind=subject.trigger_kind or "manual",
        trigger_key=subject.trigger_key,
        trigger=dict(subject.trigger),
        check_id=subject.check_id,
        opportunity=wanted.opportunity,
        dry_run=wanted.dry_run,
        reason=wanted.reason,
        requested_by=wanted.actor.name,
        guardrails=verdicts,
        created_at=wanted.now,
        due_at=wanted.now,
        deadline=wanted.now + timedelta(seconds=definition.deadline_seconds),
    )


def _steps(run: HealingRun, definition: Definition) -> None:
    order = [each.id for each in definition.steps]
    if definition.strategy == "ladder":
        order = ladder_order(definition, run.service, run.created_at)
    HealingStep.objects.bulk_create(
        HealingStep(run=run, n=n, name=name, action=definition.step(name).action)
        for n, name in enumerate(order, start=1)
    )

"""Reads of runs with their steps, and of opportunities."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from healing.choices import OPEN, OpportunityState, RunState
from healing.models import HealingRun, HealingStep, Opportunity

ACTIVE = "open"


def run_list(
    *,
    state: str = "",
    workflow: str = "",
    service: str = "",
    target: str = "",
    trigger: str = "",
    dry_run: bool | None = None,
    refused: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[HealingRun]:
    """Runs with their steps, the newest first. `state` may also be `open`: not over yet."""
    found = HealingRun.objects.all()
    if state == ACTIVE:
        found = found.filter(state__in=sorted(OPEN))
    elif state:
        found = found.filter(state=state)
    named = {"workflow": workflow, "service": service, "target": target, "trigger_kind": trigger}
    found = found.filter(**{name: value for name, value in named.items() if value})
    if dry_run is not None:
        found = found.filter(dry_run=dry_run)
    if refused is not None:
        found = found.exclude(refused_by="") if refused else found.filter(refused_by="")
    if since is not None:
        found = found.filter(created_at__gte=since)
    if until is not None:
        found = found.filter(created_at__lt=until)
    return found.prefetch_related("steps").order_by("-created_at", "-id")


def run_find(run_id: UUID) -> HealingRun | None:
    """The run with its steps, if it is there."""
    return HealingRun.objects.prefetch_related("steps").filter(id=run_id).first()


def steps_of(run: HealingRun) -> list[HealingStep]:
    """Its steps in the order in which they run."""
    return sorted(run.steps.all(), key=lambda each: each.n)


def open_run_of(kind: str, target: str) -> HealingRun | None:
    """The run that acts on a target now; there is at most one."""
    return HealingRun.objects.filter(
        target_kind=kind, target=target, dry_run=False, state__in=sorted(OPEN)
    ).first()


def last_runs() -> dict[str, HealingRun]:
    """The newest run of each workflow that was let begin, by its name; one query."""
    rows = HealingRun.objects.filter(dry_run=False, refused_by="")
    newest = rows.order_by("workflow", "-created_at", "-id").distinct("workflow")
    return {each.workflow: each for each in newest}


def waiting_runs() -> QuerySet[HealingRun]:
    """Runs that wait for a person's yes, the one that waits longest first."""
    return (
        HealingRun.objects.filter(state=RunState.WAITING_APPROVAL)
        .prefetch_related("steps")
        .order_by("created_at", "id")
    )


def opportunity_list(
    *, state: str = "", service: str = "", workflow: str = "", type_: str = ""
) -> QuerySet[Opportunity]:
    """Opportunities with their workflow, the one that was told last first. `type_` is a type of
    errors: those that answer to a pattern of it."""
    found = Opportunity.objects.select_related("workflow")
    if state:
        found = found.filter(state=state)
    if service:
        found = found.filter(service=service)
    if workflow:
        found = found.filter(workflow__name=workflow)
    if type_:
        found = found.filter(trigger__evidence__type=type_)
    return found.order_by("-last_seen", "-id")


def opportunities_open() -> QuerySet[Opportunity]:
    """What could be healed now and no run does."""
    return opportunity_list(state=OpportunityState.OPEN)


def opportunity_find(opportunity_id: UUID) -> Opportunity | None:
    """The opportunity, if it is there."""
    return Opportunity.objects.select_related("workflow").filter(id=opportunity_id).first()

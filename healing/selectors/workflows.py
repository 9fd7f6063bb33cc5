"""Reads of workflows and targets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db.models import QuerySet

from healing.choices import TriggerKind
from healing.domain.definition import definition_of
from healing.domain.matching import Failing, answers
from healing.models import HealingTarget, Workflow, WorkflowVersion
from health.models import Service

# Long enough for every trigger.
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def workflow_list() -> QuerySet[Workflow]:
    """Workflows in the order in which they go."""
    return Workflow.objects.order_by("priority", "name")


def workflow_find(name: str) -> Workflow | None:
    """The workflow of that name, if it is there."""
    return Workflow.objects.filter(name=name).first() if "\0" not in name else None


def workflows_for_errors(service: str, type_: str, now: datetime) -> list[Workflow]:
    """Those that are switched on and would answer to errors of this type that spike there."""
    criticality = Service.objects.filter(name=service).values_list("criticality", flat=True)
    spiking = Failing(
        kind=TriggerKind.PATTERN_SPIKING, key="", service=service, names=(type_,), since=_LONG_AGO,
        seen_at=now, text="", link="", criticality=frozenset(criticality or [""]), pattern=type_,
    )  # fmt: skip
    return [
        row
        for row in workflow_list().filter(enabled=True)
        if answers(definition_of(row.definition), spiking, now) is not None
    ]


def version_list(workflow: Workflow) -> QuerySet[WorkflowVersion]:
    """Its versions, the newest first."""
    return WorkflowVersion.objects.filter(workflow=workflow).order_by("-number")


def target_list() -> QuerySet[HealingTarget]:
    """How services are reached, by name."""
    return HealingTarget.objects.order_by("service")


def target_find(service: str) -> HealingTarget | None:
    """How a service is reached, if that is known."""
    return target_list().filter(service=service).first() if "\0" not in service else None

"""Versions of workflows, side by side."""

from __future__ import annotations

from healing.domain.diffs import DiffLine, text_diff
from healing.models import Workflow, WorkflowVersion


def version_find(workflow: Workflow, number: int) -> WorkflowVersion | None:
    """A version by its number, if it is there."""
    return WorkflowVersion.objects.filter(workflow=workflow, number=number).first()


def version_diff(older: WorkflowVersion, newer: WorkflowVersion) -> list[DiffLine]:
    """What changed from one version to the other."""
    return text_diff(older.text, newer.text)

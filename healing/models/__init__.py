"""The tables of healing."""

from __future__ import annotations

from healing.models.guards import HealingSwitch, Quarantine
from healing.models.runs import HealingRun, HealingStep, Opportunity
from healing.models.workflows import HealingTarget, Workflow, WorkflowVersion

__all__ = [
    "HealingRun",
    "HealingStep",
    "HealingSwitch",
    "HealingTarget",
    "Opportunity",
    "Quarantine",
    "Workflow",
    "WorkflowVersion",
]

"""The tables of healing."""

from __future__ import annotations

from healing.models.detection import DetectorCursor
from healing.models.guards import HealingSwitch, Quarantine
from healing.models.runs import HealingRun, HealingStep, Opportunity
from healing.models.workflows import HealingTarget, Workflow, WorkflowVersion

__all__ = [
    "DetectorCursor",
    "HealingRun",
    "HealingStep",
    "HealingSwitch",
    "HealingTarget",
    "Opportunity",
    "Quarantine",
    "Workflow",
    "WorkflowVersion",
]

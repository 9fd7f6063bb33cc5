"""Models of the control plane, by what they hold."""

from __future__ import annotations

from breakers.models.control import (
    Command,
    CommandReport,
    ControlDocument,
    DegradedMode,
    DomainMember,
    Notice,
    Override,
    PolicyChange,
    Toggle,
)
from breakers.models.rollups import (
    BulkheadRollup,
    CallMinute,
    CallRollup,
    FallbackRollup,
    OutcomeBatch,
    RetryRollup,
)
from breakers.models.telemetry import (
    Breaker,
    BreakerTransition,
    Bulkhead,
    BulkheadBreach,
    Instance,
    RetryBudget,
)

__all__ = [
    "Breaker",
    "BreakerTransition",
    "Bulkhead",
    "BulkheadBreach",
    "BulkheadRollup",
    "CallMinute",
    "CallRollup",
    "Command",
    "CommandReport",
    "ControlDocument",
    "DegradedMode",
    "DomainMember",
    "FallbackRollup",
    "Instance",
    "Notice",
    "OutcomeBatch",
    "Override",
    "PolicyChange",
    "RetryBudget",
    "RetryRollup",
    "Toggle",
]

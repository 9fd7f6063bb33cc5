"""The service catalogue, the checks with their graph and history, and what is announced."""

from __future__ import annotations

from health.models.catalogue import Service
from health.models.checks import Check, CheckStatus, Dependency
from health.models.history import (
    CheckHour,
    CheckMinute,
    CheckResult,
    Outage,
    ServiceHour,
    StateChange,
)
from health.models.planned import (
    JournalReader,
    Maintenance,
    PublicIncident,
    PublicIncidentUpdate,
)

__all__ = [
    "Check",
    "CheckHour",
    "CheckMinute",
    "CheckResult",
    "CheckStatus",
    "Dependency",
    "JournalReader",
    "Maintenance",
    "Outage",
    "PublicIncident",
    "PublicIncidentUpdate",
    "Service",
    "ServiceHour",
    "StateChange",
]

"""The kinds of checks, one file each. `health.checks.KINDS` holds them by name."""

from __future__ import annotations

from health.checks.base import (
    KINDS,
    CheckKind,
    Context,
    Failed,
    Finding,
    Inconclusive,
    Member,
    Observed,
)
from health.checks.kinds import load

load()

__all__ = [
    "KINDS",
    "CheckKind",
    "Context",
    "Failed",
    "Finding",
    "Inconclusive",
    "Member",
    "Observed",
]

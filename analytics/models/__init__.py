"""Models of error analytics, by what they hold."""

from __future__ import annotations

from analytics.models.chains import ChainPending, CorrelationChain
from analytics.models.errors import ErrorEvent, ErrorPattern, StackTrace
from analytics.models.rollups import (
    CallRollup,
    EdgePending,
    EdgeRollup,
    ErrorRollup,
    IngestRollup,
    PeerAlias,
)
from analytics.models.spans import Span

__all__ = [
    "CallRollup",
    "ChainPending",
    "CorrelationChain",
    "EdgePending",
    "EdgeRollup",
    "ErrorEvent",
    "ErrorPattern",
    "ErrorRollup",
    "IngestRollup",
    "PeerAlias",
    "Span",
    "StackTrace",
]

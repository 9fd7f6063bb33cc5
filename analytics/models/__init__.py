"""Models of error analytics, by what they hold."""

from __future__ import annotations

from analytics.models.chains import ChainPending, CorrelationChain
from analytics.models.errors import ErrorEvent, ErrorPattern, StackTrace
from analytics.models.logs import LogRecord, LogRollup, LogTemplate
from analytics.models.metrics import MetricRollup, MetricRollupHour, MetricSeries, MetricStream
from analytics.models.receipts import BatchReceipt, PostedId
from analytics.models.rollups import (
    CallRollup,
    EdgePending,
    EdgeRollup,
    EdgeSighting,
    ErrorRollup,
    IngestRollup,
    PeerAlias,
)
from analytics.models.spans import Span

__all__ = [
    "BatchReceipt",
    "CallRollup",
    "ChainPending",
    "CorrelationChain",
    "EdgePending",
    "EdgeRollup",
    "EdgeSighting",
    "ErrorEvent",
    "ErrorPattern",
    "ErrorRollup",
    "IngestRollup",
    "LogRecord",
    "LogRollup",
    "LogTemplate",
    "MetricRollup",
    "MetricRollupHour",
    "MetricSeries",
    "MetricStream",
    "PeerAlias",
    "PostedId",
    "Span",
    "StackTrace",
]

"""Models of error analytics, by what they hold."""

from __future__ import annotations

from analytics.models.anomalies import Anomaly, DetectorState
from analytics.models.chains import ChainOnset, ChainPending, CorrelationChain
from analytics.models.errors import ErrorEvent, ErrorPattern, PatternRelease, StackTrace
from analytics.models.forecasts import Exhaustion, Forecast
from analytics.models.hours import (
    CallRollupHour,
    EdgeRollupHour,
    ErrorRollupHour,
    ErrorTotal,
    FigureHour,
)
from analytics.models.late import LateFigure
from analytics.models.logs import LogRecord, LogRollup, LogTemplate
from analytics.models.metrics import MetricRollup, MetricRollupHour, MetricSeries, MetricStream
from analytics.models.names import CallName, FoldedName
from analytics.models.predictions import (
    ObservedFailure,
    Prediction,
    PredictionModel,
    ReadCursor,
    Sign,
)
from analytics.models.receipts import BatchReceipt, PostedId
from analytics.models.relations import PatternMerge, PatternRelation
from analytics.models.releases import Release
from analytics.models.rollups import (
    CallRollup,
    EdgePending,
    EdgeRollup,
    EdgeSighting,
    ErrorRollup,
    IngestRollup,
    PeerAlias,
)
from analytics.models.silences import ServiceSilence
from analytics.models.slo_terms import FormerSlo
from analytics.models.slos import Slo
from analytics.models.spans import Span

__all__ = [
    "Anomaly",
    "BatchReceipt",
    "CallName",
    "CallRollup",
    "CallRollupHour",
    "ChainOnset",
    "ChainPending",
    "CorrelationChain",
    "DetectorState",
    "EdgePending",
    "EdgeRollup",
    "EdgeRollupHour",
    "EdgeSighting",
    "ErrorEvent",
    "ErrorPattern",
    "ErrorRollup",
    "ErrorRollupHour",
    "ErrorTotal",
    "Exhaustion",
    "FigureHour",
    "FoldedName",
    "Forecast",
    "FormerSlo",
    "IngestRollup",
    "LateFigure",
    "LogRecord",
    "LogRollup",
    "LogTemplate",
    "MetricRollup",
    "MetricRollupHour",
    "MetricSeries",
    "MetricStream",
    "ObservedFailure",
    "PatternMerge",
    "PatternRelation",
    "PatternRelease",
    "PeerAlias",
    "PostedId",
    "Prediction",
    "PredictionModel",
    "ReadCursor",
    "Release",
    "ServiceSilence",
    "Sign",
    "Slo",
    "Span",
    "StackTrace",
]

"""What the paths of predictions take and give."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Schema

from analytics.choices import FailureKind, PredictionMethod, PredictionOutcome
from resilience_site.core.pagination import RangeQuery


class PredictionQuery(RangeQuery):
    """Filters of the predictions list."""

    service: str = ""
    kind: FailureKind | None = None
    outcome: PredictionOutcome | None = None


class PredictionOut(Schema):
    """`confidence` is how far to trust the probability, 0..1, by the history behind it;
    `lead_seconds` is from the prediction to the failure, where there was one."""

    id: UUID
    service: str
    kind: FailureKind
    probability: float
    confidence: float
    horizon_seconds: int
    made_at: datetime
    due_at: datetime
    reasons: list[str]
    method: PredictionMethod
    outcome: PredictionOutcome
    settled_at: datetime | None
    failed_at: datetime | None
    lead_seconds: int | None

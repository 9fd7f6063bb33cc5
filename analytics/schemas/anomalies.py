"""What the path of anomalies takes and gives."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Field, Schema

from resilience_site.core.pagination import RangeQuery


class AnomalyQuery(RangeQuery):
    """Filters of the anomalies list."""

    service: str = ""
    metric: str = ""


class AnomalyOut(Schema):
    """`value`, `expected` and its band are of the minute `at` that stood out most."""

    id: UUID
    service: str
    metric: str
    unit: str
    at: datetime
    value: float
    expected: float
    lower: float
    upper: float
    score: float = Field(description="How unusual it was, 0..1; from 0.5 on it is an anomaly")
    started_at: datetime
    ended_at: datetime | None
    window_seconds: int

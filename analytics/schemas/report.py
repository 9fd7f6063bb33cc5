"""The error report in the API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Field, Schema

from analytics.choices import PatternState


class ReportServiceOut(Schema):
    service: str
    errors: int = Field(description="Stored errors")
    before: int = Field(description="Stored errors in the range before")
    calls: int | None
    failed_calls: int | None
    error_rate: float | None
    p95_ms: float | None
    availability: float | None
    mttr_seconds: float | None
    mtbf_seconds: float | None


class ReportTypeOut(Schema):
    type: str
    errors: int
    services: int


class ReportPatternOut(Schema):
    id: UUID
    service: str
    type: str
    template: str
    state: PatternState
    errors: int = Field(description="In the range; `count` is of all time")
    count: int
    first_seen: datetime
    last_seen: datetime


class ReportCauseOut(Schema):
    service: str
    type: str
    chains: int
    errors: int
    widest: int = Field(description="Services crossed by the widest of the chains")


class ReportReleaseOut(Schema):
    service: str
    environment: str
    version: str
    first_seen: datetime


class ReportOut(Schema):
    """Counts of whole minutes from `since` to `until`; `before_since` begins the range that they
    are compared with."""

    since: datetime
    until: datetime
    before_since: datetime
    window_seconds: float
    errors: int
    errors_before: int
    calls: int
    failed_calls: int
    patterns: int
    patterns_new: int
    anomalies: int
    predictions: dict[str, int]
    services: list[ReportServiceOut]
    types: list[ReportTypeOut]
    top_patterns: list[ReportPatternOut]
    causes: list[ReportCauseOut]
    releases: list[ReportReleaseOut]

"""Chains of errors in the API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Field, Schema

from analytics.choices import ChainKind
from analytics.schemas.errors import ErrorOut
from resilience_site.core.pagination import RangeQuery


class GapOut(Schema):
    """A span that never arrived though others name it."""

    parent_span_id: str
    child_span_ids: list[str]
    service: str
    trace_id: str


class ChainQuery(RangeQuery):
    """Filters of the chains list; `service` is any that the chain crossed."""

    service: str = ""
    root_service: str = ""


class ChainOut(Schema):
    id: UUID | None
    kind: ChainKind
    confidence: float = Field(
        description="How far its errors belong together, 0..1; 1 where ids say so"
    )
    trace_id: str | None
    correlation_id: str | None
    root_cause: ErrorOut | None
    services: list[str]
    error_count: int
    span_count: int
    gap_count: int
    started_at: datetime
    ended_at: datetime


class ChainDetailOut(ChainOut):
    events: list[ErrorOut]
    path: list[str] = Field(description="Span ids from the root cause up to the entry")
    gaps: list[GapOut]

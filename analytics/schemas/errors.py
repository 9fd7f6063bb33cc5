"""Errors in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema
from pydantic import field_validator

from resilience_site.core.pagination import RangeQuery


class ErrorQuery(RangeQuery):
    """Filters of the errors list; each narrows it."""

    service: str = ""
    type: str = ""
    pattern: UUID | None = None
    trace_id: str = Field("", max_length=32)
    correlation_id: str = ""
    q: str = Field("", max_length=500, description="Words of the type or message")


class ErrorOut(Schema):
    id: UUID
    occurred_at: datetime
    received_at: datetime
    service: str
    environment: str
    operation: str
    type: str
    message: str
    severity: int = Field(description="OpenTelemetry severity number, 1..24")
    trace_id: str | None
    span_id: str | None
    correlation_id: str | None
    pattern_id: UUID | None
    attributes: dict[str, Any]

    @field_validator("trace_id", "span_id", "correlation_id", mode="before")
    @classmethod
    def empty_is_null(cls, value: str | None) -> str | None:
        return value or None


class ErrorDetailOut(ErrorOut):
    stacktrace: str | None
    frames: list[dict[str, Any]]

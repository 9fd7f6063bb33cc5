"""Maintenance windows, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from resilience_site.core.pagination import PageQuery


class MaintenanceQuery(PageQuery):
    open: bool = Field(False, description="Only windows that go on or are still to come")


class MaintenanceIn(Schema):
    """A window over services and checks by name, or, where it names none, over everything.

    `single` runs from `starts_at` to `ends_at`; `weekly` on `weekdays` (0 is Monday) from
    `start_time` for `duration_seconds`; `cron` from each moment of `cron` for as long; both by the
    wall clock of `timezone`.
    """

    name: Any = None
    kind: Any = "single"
    reason: Any = ""
    starts_at: Any = None
    ends_at: Any = None
    weekdays: Any = []
    start_time: Any = Field(None, description="HH:MM")
    cron: Any = ""
    duration_seconds: Any = None
    timezone: Any = "UTC"
    services: Any = []
    checks: Any = []
    public_text: Any = Field("", description="For the status page; empty keeps it off")


class MaintenanceChange(Schema):
    """The fields to change; what is not sent stays. What only the site writes is passed over."""

    name: Any = None
    kind: Any = None
    reason: Any = None
    starts_at: Any = None
    ends_at: Any = None
    weekdays: Any = None
    start_time: Any = None
    cron: Any = None
    duration_seconds: Any = None
    timezone: Any = None
    services: Any = None
    checks: Any = None
    public_text: Any = None


class ReasonIn(Schema):
    reason: Any = ""


class ReasonQuery(Schema):
    reason: str = Field("", max_length=1_000, description="Why, for the audit trail")


class SpanOut(Schema):
    starts_at: datetime
    ends_at: datetime


class MaintenanceOut(Schema):
    """`state` is under_way, upcoming or over; `occurrences` are the next ones, the one that goes on
    first."""

    id: UUID
    name: str
    kind: str
    state: str
    starts_at: datetime | None
    ends_at: datetime | None
    weekdays: list[int]
    start_time: str | None
    cron: str
    duration_seconds: int | None
    timezone: str
    everything: bool
    services: list[str]
    checks: list[str]
    reason: str
    public_text: str
    actor: str
    created_at: datetime
    ended_at: datetime | None
    version: int
    occurrences: list[SpanOut]


class PreviewOut(Schema):
    occurrences: list[SpanOut]

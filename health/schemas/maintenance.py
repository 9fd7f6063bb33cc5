"""Maintenance windows, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema

from health.choices import MaintenanceKind
from health.domain.windows import LONGEST_RECURRING
from health.models.checks import NAME
from health.services.maintenance_fields import (
    MOST_CRON,
    MOST_NAMES,
    MOST_TEXT,
    SHORTEST_SECONDS,
)
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery

_Name = Annotated[str, Field(min_length=1, max_length=NAME)]
_Names = Annotated[list[_Name], Field(max_length=MOST_NAMES)]
_Why = Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
_Text = Annotated[str, Field(max_length=MOST_TEXT)]
# RFC 3339 wants a zone of a time of day; these have none.
_Clock = Annotated[str, Field(pattern=r"^\d{2}:\d{2}(:\d{2})?$")]
_Weekdays = list[Annotated[int, Field(ge=0, le=6)]]
_Cron = Annotated[str, Field(max_length=MOST_CRON)]
_Seconds = Annotated[float, Field(ge=SHORTEST_SECONDS, le=LONGEST_RECURRING.total_seconds())]


class MaintenanceQuery(PageQuery):
    open: bool = Field(False, description="Only windows that go on or are still to come")


class MaintenanceIn(Body):
    """A window over services and checks by name, or, where it names none, over everything.

    `single` runs from `starts_at` to `ends_at`; `weekly` on `weekdays` (0 is Monday) from
    `start_time` for `duration_seconds`; `cron` from each moment of `cron` for as long; both by the
    wall clock of `timezone`.
    """

    name: Annotated[Any, Like(_Name, needed=True)] = None
    kind: Annotated[Any, Like(MaintenanceKind)] = "single"
    reason: Annotated[Any, Like(_Why, needed=True)] = ""
    starts_at: Annotated[Any, Like(datetime | None)] = None
    ends_at: Annotated[Any, Like(datetime | None)] = None
    weekdays: Annotated[Any, Like(_Weekdays | None)] = []
    start_time: Annotated[Any, Like(_Clock | None)] = Field(None, description="HH:MM, no zone")
    cron: Annotated[Any, Like(_Cron | None)] = ""
    duration_seconds: Annotated[Any, Like(_Seconds | None)] = None
    timezone: Annotated[Any, Like(str)] = Field("UTC", description="Such as Europe/Berlin")
    services: Annotated[Any, Like(_Names)] = []
    checks: Annotated[Any, Like(_Names)] = []
    public_text: Annotated[Any, Like(_Text)] = Field(
        "", description="For the status page; empty keeps it off"
    )


class MaintenancePreviewIn(MaintenanceIn):
    """As of a window that is planned; it needs neither name nor reason yet."""

    name: Annotated[Any, Like(str | None, max_length=NAME)] = None
    reason: Annotated[Any, Like(str | None, max_length=MOST_TEXT)] = ""


class MaintenanceChange(Body):
    """The fields to change; what is not sent stays. What only the site writes is passed over."""

    name: Annotated[Any, Like(_Name)] = None
    kind: Annotated[Any, Like(MaintenanceKind)] = Field(None, description="Never changes")
    reason: Annotated[Any, Like(_Why)] = None
    starts_at: Annotated[Any, Like(datetime | None)] = None
    ends_at: Annotated[Any, Like(datetime | None)] = None
    weekdays: Annotated[Any, Like(_Weekdays | None)] = None
    start_time: Annotated[Any, Like(_Clock | None)] = Field(None, description="HH:MM, no zone")
    cron: Annotated[Any, Like(_Cron | None)] = None
    duration_seconds: Annotated[Any, Like(_Seconds | None)] = None
    timezone: Annotated[Any, Like(str)] = Field(None, description="Such as Europe/Berlin")
    services: Annotated[Any, Like(_Names)] = None
    checks: Annotated[Any, Like(_Names)] = None
    public_text: Annotated[Any, Like(_Text)] = None


class WindowEndIn(Body):
    reason: Annotated[Any, Like(_Text)] = ""


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

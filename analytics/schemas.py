"""What the analytics part of the API takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Field, Schema
from pydantic import field_validator

from analytics.choices import ChainKind, DirectedBy, PatternState
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


class FiguresOut(Schema):
    """Calls in a window; rates per second, ratios 0..1, durations in milliseconds."""

    window_seconds: float
    calls: int
    errors: int
    rate: float
    error_ratio: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ServiceOut(Schema):
    name: str
    environment: str
    version: str
    language: str
    criticality: str
    first_seen: datetime
    last_seen: datetime
    figures: FiguresOut


class EdgeOut(FiguresOut):
    caller: str
    callee: str


class MapOut(Schema):
    since: datetime
    until: datetime
    edges: list[EdgeOut]


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


class PatternShortOut(Schema):
    """A pattern as others refer to it."""

    id: UUID
    service: str
    type: str
    template: str
    state: PatternState


class RelationOut(Schema):
    """That spells of one pattern are followed by spells of another, over the range `since` to `until`.

    `support` counts the `before_spells` that were followed within `within_seconds`, `confidence` is
    their share, `expected` the share by chance, `lift` the one over the other.
    """

    before_id: UUID
    after_id: UUID
    support: int
    confidence: float
    lift: float
    lag_seconds: float
    before_spells: int
    after_spells: int
    expected: float
    within_seconds: int
    directed_by: DirectedBy
    since: datetime
    until: datetime


class RelatedOut(RelationOut):
    """`pattern` is the other one; `order` says whether it comes before or after."""

    order: Literal["before", "after"]
    pattern: PatternShortOut


class PatternSeenOut(PatternShortOut):
    """A pattern with its errors in the range asked for."""

    count: int
    first_seen: datetime
    last_seen: datetime


class RelationsOut(Schema):
    """`patterns` had errors in the range; `relations` are those found over the last day, of which
    `left_out` were too many to list."""

    since: datetime
    until: datetime
    patterns: list[PatternSeenOut]
    relations: list[RelationOut]
    left_out: int


class BudgetOut(Schema):
    """The budget of `service`: `calls` in `days` days at `target` allow `allowed` failures, of which
    `failed` are those here."""

    service: str
    days: int
    target: float
    calls: int
    allowed: float
    failed: int


class ImpactOut(Schema):
    """What errors touched in a range.

    `share_of_traffic` is `requests` per `calls` of `service`, `error_budget_spent` the share of the
    30-day budget; both are null without calls. `users` is null where nothing names any. Where
    `approximate`, users, tiers, services and served_degraded are those of the newest `examined`
    requests alone, and of more than 20,000 errors the newest count. `blast_radius` are the services
    that depend on `service`.
    """

    since: datetime
    until: datetime
    service: str
    errors: int
    requests: int
    examined: int
    approximate: bool
    users: int | None
    tiers: list[str]
    requests_by_tier: dict[str, int]
    services: list[str]
    calls: int
    share_of_traffic: float | None
    error_budget_spent: float | None
    budget: BudgetOut
    blast_radius: list[str]
    served_degraded: int

"""Availability, reliability and the health of the whole, as the API gives them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Field, Schema

from health.schemas.checks import CheckBriefOut


class AvailabilityQuery(Schema):
    """Windows and columns with commas between; the columns are those of `seconds`."""

    window: str = Field("", description="Of 24h, 7d, 30d and 90d; all by default")
    good: str = Field("", description="Columns that count as good; up,degraded by default")
    bad: str = Field("", description="Columns that count as bad; down,unreachable by default")


class FigureOut(Schema):
    """The availability of one window: `availability` is 0..1, the good seconds over the good and
    the bad ones; null without any. `percent` says the same with three decimals."""

    window: str
    since: datetime
    until: datetime
    availability: float | None
    percent: str
    good_seconds: float
    bad_seconds: float
    excluded_seconds: float
    target: float
    met: bool | None
    budget_left_seconds: float | None


class ReliabilityOut(FigureOut):
    """Means: of the `repaired` failures that ended in the window, and of the good seconds for each
    of the `failures` that began in it; null without any."""

    mttr_seconds: float | None
    repaired: int
    mtbf_seconds: float | None
    failures: int


class LatencyOut(Schema):
    """Percentiles in milliseconds of the runs that succeeded since `since`, within 5 %."""

    since: datetime
    runs: int
    p50: float | None
    p95: float | None
    p99: float | None


class CheckWindowOut(ReliabilityOut):
    """`seconds` of each state outside of maintenance and in it."""

    seconds: dict[str, float]
    latency: LatencyOut


class PolicyOut(Schema):
    """Which columns of `seconds` count; all others are left out."""

    good: list[str]
    bad: list[str]


class CheckAvailabilityOut(Schema):
    id: UUID
    name: str
    policy: PolicyOut
    windows: list[CheckWindowOut]


class DeductionOut(Schema):
    points: int
    reason: str


class ServiceOut(Schema):
    """`score` is null where nothing is known; `deductions` say what lowered it."""

    name: str
    public_name: str
    criticality: str
    state: str
    score: int | None
    deductions: list[DeductionOut]
    checks: int
    availability: list[ReliabilityOut]


class HealthOut(Schema):
    """The whole. `checks` are the worst first; where there are more, `next_cursor` leads on."""

    status: str = Field(description="up, degraded, down, maintenance or unknown")
    score: int | None
    deductions: list[DeductionOut]
    at: datetime
    counts: dict[str, int] = Field(description="Checks by state; paused are switched off")
    services: list[ServiceOut]
    availability: list[FigureOut]
    checks: list[CheckBriefOut]
    next_cursor: str | None

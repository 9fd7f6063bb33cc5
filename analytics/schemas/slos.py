"""What the API takes and gives of service level objectives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema

from analytics.choices import SloKind, SloOrigin, SloSource
from analytics.services.slo_fields import (
    LEAST_DAYS,
    LEAST_OBJECTIVE,
    MOST_BAD,
    MOST_DAYS,
    MOST_NAME,
    MOST_OBJECTIVE,
    MOST_REASON,
    MOST_THRESHOLD_MS,
)
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery

_Service = Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
_Share = Annotated[float, Field(ge=LEAST_OBJECTIVE, le=MOST_OBJECTIVE)]
_Days = Annotated[int, Field(ge=LEAST_DAYS, le=MOST_DAYS)]
_Milliseconds = Annotated[float, Field(ge=0.1, le=MOST_THRESHOLD_MS)]
_Bad = Annotated[int, Field(ge=0, le=MOST_BAD)]
_Reason = Annotated[str, Field(max_length=MOST_REASON)]


class SloQuery(PageQuery):
    """Filters of the list of objectives."""

    service: str = ""
    kind: SloKind | None = None


class SloReasonQuery(Schema):
    reason: str = ""


class SloIn(Body):
    """An objective. `objective` is a share (0.5 to 0.999999), `window_days` 7 to 90.

    `kind` is availability or latency. Without `source`, it is measured by the calls of a service
    (traces), or by its critical checks where it has no calls. Of checks, availability counts the
    seconds that they were down, and latency the runs that answered later than `threshold_ms`, which
    belongs to latency alone; runs that failed are not among them. `min_bad` calls, seconds or runs
    must be bad in the long window of a burn rate before it calls anybody.
    """

    service: Annotated[Any, Like(_Service, needed=True)] = None
    kind: Annotated[Any, Like(SloKind)] = "availability"
    objective: Annotated[Any, Like(_Share, needed=True)] = None
    window_days: Annotated[Any, Like(_Days)] = 30
    source: Annotated[Any, Like(SloSource | None)] = None
    threshold_ms: Annotated[Any, Like(_Milliseconds | None)] = Field(
        None, description="Of latency alone, and needed there"
    )
    min_bad: Annotated[Any, Like(_Bad | None)] = None
    enabled: Annotated[Any, Like(bool)] = True
    reason: Annotated[Any, Like(_Reason)] = ""


class SloChange(Body):
    """The fields that are sent are changed; what the objective is of stays as it is."""

    service: Annotated[Any, Like(_Service)] = Field(None, description="Never changes")
    kind: Annotated[Any, Like(SloKind)] = Field(None, description="Never changes")
    source: Annotated[Any, Like(SloSource)] = Field(None, description="Never changes")
    objective: Annotated[Any, Like(_Share)] = None
    window_days: Annotated[Any, Like(_Days)] = None
    threshold_ms: Annotated[Any, Like(_Milliseconds | None)] = None
    min_bad: Annotated[Any, Like(_Bad)] = None
    enabled: Annotated[Any, Like(bool)] = None
    reason: Annotated[Any, Like(_Reason)] = ""


class BurnRateOut(Schema):
    """How fast the budget burnt over a window up to `at`: `bad` of `total` calls (seconds,
    runs); `rate` 1 spends exactly the budget, null is without data."""

    window_seconds: int
    bad: float
    total: float
    rate: float | None


class BurnRowOut(Schema):
    """A row of the table of burn rates. It `holds` while both windows burn at `threshold` or faster
    and at least `needed` calls, seconds or runs were bad in the long one (`guard`)."""

    severity: str = Field(description="page or ticket")
    threshold: float
    long_seconds: int
    short_seconds: int
    needed: int
    over: bool
    guard: bool
    holds: bool
    words: str


class SloOut(Schema):
    """An objective with its figures at `at`; `unit` says what `bad`, `total` and `allowed` count.

    `budget_left` is the share of the budget that is left, below 0 where the objective is missed,
    null without enough data. `exhausted_at` is when it will be gone if things go on as they do, or
    `at` where it is gone; null where that is not within the window, or cannot be told (`forecast`
    says why). `counted_slow_from_ms` is from where on calls or runs count as too slow: durations
    are kept in buckets, and that of the threshold counts as quick enough.
    """

    id: UUID
    service: str
    kind: SloKind
    source: SloSource
    objective: float
    window_days: int
    threshold_ms: float | None
    counted_slow_from_ms: float | None
    min_bad: int
    enabled: bool
    origin: SloOrigin
    version: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    at: datetime
    since: datetime = Field(description="From when on the budget counts")
    state: str = Field(description="burning, exhausted, spending, ok, no_data or off")
    unit: str = Field(description="calls, seconds or runs")
    bad: float
    total: float
    allowed: float
    budget_left: float | None
    burn_rates: list[BurnRateOut]
    rows: list[BurnRowOut]
    exhausted_at: datetime | None
    forecast: str


class SloMadeOut(SloOut):
    """A new objective, and what to know of it."""

    notes: list[str] = Field(
        description="That nothing is known of its service yet, with those of similar names; empty "
        "where it counts from now on"
    )

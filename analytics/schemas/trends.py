"""What the paths of trends and forecasts take and give."""

from __future__ import annotations

from datetime import datetime

from ninja import Field, Schema

from analytics.choices import ExhaustionKind, ForecastSpan
from resilience_site.core.pagination import PageQuery


class TrendQuery(Schema):
    """A figure, whose it is, and the range; steps are chosen by the range where none is given."""

    metric: str = "error_rate"
    service: str = ""
    operation: str = ""
    since: str | None = None
    until: str | None = None
    step: int | None = Field(None, ge=60, le=86_400, multiple_of=60, description="Seconds")


class TrendPointOut(Schema):
    at: datetime
    value: float | None
    count: int = Field(description="Out of how many calls, errors, outages … the value was made")


class ChangeOut(Schema):
    at: datetime
    before: float
    after: float


class RhythmOut(Schema):
    seconds: float
    strength: float


class WeekOut(Schema):
    now: float
    before: float
    change: float
    ratio: float | None
    pairs: int
    significant: bool


class DriftOut(Schema):
    per_day: float
    significant: bool


class TrendSeriesOut(Schema):
    """A figure over a range; `window_seconds` is the length of a step. `missing` says for what
    (changes, rhythm, week, drift) there are too few data, and what would be needed."""

    service: str
    operation: str
    metric: str
    title: str
    unit: str
    more_is_worse: bool
    since: datetime
    until: datetime
    window_seconds: float
    points: list[TrendPointOut]
    changes: list[ChangeOut] | None
    rhythm: RhythmOut | None
    week: WeekOut | None
    drift: DriftOut | None
    missing: dict[str, str]


class ForecastQuery(Schema):
    metric: str = "error_rate"
    service: str = ""
    span: ForecastSpan = ForecastSpan.DAY


class ForecastPointOut(Schema):
    at: datetime
    value: float
    lower: float
    upper: float


class ForecastOut(Schema):
    """The newest forecast with its band of 95 %; without points `reason` says why.

    `mase` is the error on held-back history by that of the seasonal naive forecast, `coverage` the
    share of that history that fell in the band.
    """

    service: str
    metric: str
    title: str
    unit: str
    span: ForecastSpan
    made_at: datetime | None
    window_seconds: float
    points: list[ForecastPointOut]
    reason: str
    mase: float | None
    coverage: float | None


class ExhaustionQuery(PageQuery):
    service: str = ""
    kind: ExhaustionKind | None = None


class ExhaustionOut(Schema):
    """What will be used up: `probability` is within `horizon_seconds` of `made_at`; `expected_at`
    and `earliest_at` (the end of the 95 % band) are null where not within it."""

    service: str
    kind: ExhaustionKind
    subject: str
    made_at: datetime
    level: float
    limit: float
    unit: str
    expected_at: datetime | None
    earliest_at: datetime | None
    probability: float
    horizon_seconds: int

"""Reads of forecasts and of what will be used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from analytics.choices import ForecastSpan
from analytics.models import Exhaustion, Forecast
from analytics.selectors.series import Metric
from analytics.selectors.trend_series import TREND_METRICS
from resilience_site.config import config
from resilience_site.core.problems import Invalid

FORECAST_METRICS: Final = ("error_rate", "latency_p95", "traffic", "saturation")


@dataclass(frozen=True)
class ForecastPoint:
    """What the step that begins at `at` is expected to be, and the band that holds 95 %."""

    at: datetime
    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class ForecastView:
    """The newest forecast of a figure; without points `reason` says why.

    `mase` is the mean error on held-back history by that of the seasonal naive forecast,
    `coverage` the share of it that fell in the band.
    """

    service: str
    metric: Metric
    span: ForecastSpan
    made_at: datetime | None
    step_seconds: int
    points: list[ForecastPoint]
    reason: str
    mase: float | None
    coverage: float | None


_STEPS: Final = {ForecastSpan.DAY: 3_600, ForecastSpan.WEEK: 86_400}


def forecast_read(
    metric: str, *, service: str = "", span: ForecastSpan = ForecastSpan.DAY
) -> ForecastView:
    """The forecast of a metric of a service, or of all together; raises `Invalid` for a metric
    that is not forecast."""
    if metric not in FORECAST_METRICS:
        known = ", ".join(FORECAST_METRICS)
        raise Invalid.field("query.metric", f"{metric[:40]!r} is not forecast; choose {known}.")
    row = Forecast.objects.filter(service=service, metric=metric, span=span.value).first()
    kind = TREND_METRICS[metric]
    if row is None:
        reason = _why_none(service)
        return ForecastView(service, kind, span, None, _STEPS[span], [], reason, None, None)
    points = [ForecastPoint(datetime.fromisoformat(at), *band) for at, *band in row.points]
    return ForecastView(
        service, kind, span, row.made_at, row.step_seconds, points, row.reason, row.mase,
        row.coverage,
    )  # fmt: skip


def _why_none(service: str) -> str:
    for on, name in (
        (config.error_trend_analysis, "ERROR_TREND_ANALYSIS"),
        (config.error_analytics_enabled, "ERROR_ANALYTICS_ENABLED"),
    ):
        if not on:
            return f"switched off by {name}"
    return (
        f"not enough data: {service or 'the services'} had no calls in the last two days, "
        "or too short a time ago"
    )


def exhaustion_list(*, service: str = "", kind: str = "") -> QuerySet[Exhaustion]:
    """What will be used up, the likeliest first, then the soonest."""
    rows = Exhaustion.objects.all()
    if service:
        rows = rows.filter(service=service)
    if kind:
        rows = rows.filter(kind=kind)
    return rows.order_by("-probability", "expected_at", "service", "kind", "subject")

"""How figures went, what they will do, and what will be used up."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from ninja import Query, Router

from analytics.schemas.trends import (
    ExhaustionOut,
    ExhaustionQuery,
    ForecastOut,
    ForecastQuery,
    TrendQuery,
    TrendSeriesOut,
)
from analytics.selectors.forecasts import exhaustion_list, forecast_read
from analytics.selectors.trend_series import trend_range
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest

router = Router(tags=["trends"])


@router.get("/trends", auth=ApiAuth(Scope.READ), response=TrendSeriesOut)
def trend(request: ApiRequest, query: Query[TrendQuery]) -> dict[str, Any]:
    """A figure over any range from 5 minutes to 92 days; the last 24 hours by default."""
    # Only here, as it brings numpy: a process that nobody asks for trends does without.
    from analytics.selectors.trends import trend_read

    now = datetime.now(UTC)
    step = timedelta(seconds=query.step) if query.step else None
    found = trend_read(
        query.metric,
        trend_range(query.since, query.until, step=step, now=now),
        now=now,
        service=query.service,
        operation=query.operation,
        step=step,
    )
    return {
        **asdict(found),
        **_metric(found.metric.name, found.metric.title, found.metric.unit),
        "more_is_worse": found.metric.more_is_worse,
        "window_seconds": found.step.total_seconds(),
    }


@router.get("/forecasts", auth=ApiAuth(Scope.READ), response=ForecastOut)
def forecast(request: ApiRequest, query: Query[ForecastQuery]) -> dict[str, Any]:
    """The next 24 hours, or 7 days, of a figure of a service or of all together."""
    found = forecast_read(query.metric, service=query.service, span=query.span)
    return {
        **asdict(found),
        **_metric(found.metric.name, found.metric.title, found.metric.unit),
        "window_seconds": float(found.step_seconds),
    }


@router.get("/forecasts/exhaustions", auth=ApiAuth(Scope.READ), response=PageOut[ExhaustionOut])
def exhaustions(request: ApiRequest, query: Query[ExhaustionQuery]) -> Page:
    """What will be used up, the likeliest first."""
    return keyset_page(
        exhaustion_list(service=query.service, kind=query.kind or ""),
        by=("-probability", "-id"), types=(float, int), cursor=query.cursor, limit=query.limit,
    )  # fmt: skip


def _metric(name: str, title: str, unit: str) -> dict[str, str]:
    return {"metric": name, "title": title, "unit": unit}

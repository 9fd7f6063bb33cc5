"""Forecasts of services' figures, of hours each hour and of days each day, and how they prove."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection

from analytics.choices import ForecastSpan
from analytics.domain.forecasts.forecasting import Forecasted, NotEnough, forecast_values
from analytics.models import Forecast
from analytics.selectors.forecasts import FORECAST_METRICS
from analytics.selectors.series import active_services
from analytics.selectors.trend_series import trend_series
from resilience_site.config import config
from resilience_site.core.timerange import TimeRange

# Services that are forecast besides all together: the first by name of those that were active.
MOST_SERVICES: Final = 200
_ACTIVE: Final = timedelta(days=2)
_LOCK: Final = 0x666F7265636173
# A share of calls cannot be above all of them.
_CEILING: Final = {"error_rate": 1.0}


@dataclass(frozen=True)
class _Span:
    """Steps of a forecast, how many, and how far back it looks."""

    step: timedelta
    horizon: int
    history: timedelta


_SPANS: Final = {
    ForecastSpan.DAY: _Span(timedelta(hours=1), 24, timedelta(days=42)),
    ForecastSpan.WEEK: _Span(timedelta(days=1), 7, timedelta(days=90)),
}


def forecasts_make(*, now: datetime) -> Generator[str, None, None]:
    """Make the forecasts that are due, one at a time, and yield the name of each.

    Whoever iterates decides when the turn is over; what is left is due at the next one. Those made
    within the hour (of daily steps: the day) are not made again, and where another process is at
    it, nothing is. Forecasts of services that fell silent are dropped.
    """
    if not (config.error_trend_analysis and config.error_analytics_enabled):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return
    try:
        yield from _make_due(now)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _make_due(now: datetime) -> Iterator[str]:
    services = ["", *active_services(TimeRange(now - _ACTIVE, now))[:MOST_SERVICES]]
    Forecast.objects.exclude(service__in=services).delete()
    made = {
        (service, metric, span): at
        for service, metric, span, at in Forecast.objects.values_list(
            "service", "metric", "span", "made_at"
        )
    }
    never = datetime.min.replace(tzinfo=UTC)
    due = [
        (at, service, metric, span)
        for service in services
        for metric in FORECAST_METRICS
        for span in ForecastSpan
        if (at := made.get((service, metric, span.value), never)) < _floor(now, _SPANS[span].step)
    ]
    # Those that waited longest go first: a turn may end before all are made.
    for _, service, metric, span in sorted(due, key=lambda each: each[0]):
        forecast_make(service=service, metric=metric, span=span, now=now)
        yield f"{service} {metric} {span.value}"


def forecast_make(*, service: str, metric: str, span: ForecastSpan, now: datetime) -> Forecast:
    """Forecast a metric of a service (of all together, where it is empty) and keep it."""
    shape = _SPANS[span]
    begin = _floor(now, shape.step)
    series = trend_series(
        metric, TimeRange(begin - shape.history, begin), now=now, service=service, step=shape.step
    )
    found = forecast_values(
        series.values,
        step=shape.step.total_seconds(),
        horizon=shape.horizon,
        ceiling=_CEILING.get(metric, float("inf")),
    )
    row, _ = Forecast.objects.update_or_create(
        service=service, metric=metric, span=span.value,
        defaults={
            "made_at": now,
            "step_seconds": int(shape.step.total_seconds()),
            **_figures(found, begin, shape),
        },
    )  # fmt: skip
    return row


def _figures(found: Forecasted | NotEnough, begin: datetime, shape: _Span) -> dict[str, object]:
    if isinstance(found, NotEnough):
        unit = "hours" if shape.step == timedelta(hours=1) else "days"
        reason = found.reason.replace("values", unit)
        return {"points": [], "reason": reason, "mase": None, "coverage": None}
    points = [
        [(begin + ahead * shape.step).isoformat(), value, lower, upper]
        for ahead, (value, lower, upper) in enumerate(
            zip(found.value.tolist(), found.lower.tolist(), found.upper.tolist(), strict=True)
        )
    ]
    return {"points": points, "reason": "", "mase": found.mase, "coverage": found.coverage}


def _floor(at: datetime, step: timedelta) -> datetime:
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if step == timedelta(hours=1) else whole.replace(hour=0)

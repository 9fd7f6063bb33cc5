"""Trends: how a figure goes, what is expected of it, and what stands out in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from analytics.choices import ForecastSpan
from analytics.figures import Figure, errors_query
from analytics.figures_trends import trend_figure
from analytics.selectors.anomalies import anomaly_list, anomaly_marks, told
from analytics.selectors.forecasts import (
    FORECAST_METRICS,
    ForecastView,
    exhaustion_list,
    forecast_read,
)
from analytics.selectors.releases import release_marks
from analytics.selectors.rollups import operation_figures
from analytics.selectors.series import METRICS
from analytics.selectors.trend_series import (
    TREND_METRICS,
    trend_metric,
    trend_range,
    trend_series,
)
from analytics.views.common import bad_question, is_partial
from analytics.views.trend_words import said, signed
from health.selectors import service_list
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import window
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.core.timerange import TimeRange

if TYPE_CHECKING:
    from analytics.selectors.trends import Trend

DEFAULT_METRIC = "error_rate"
DEFAULT_RANGE = "24h"
_SPARK_STEPS = 24
_LISTED = 10
_A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Asked:
    """What the address asks for."""

    metric: str
    service: str
    operation: str
    within: TimeRange

    @property
    def question(self) -> dict[str, str]:
        """The errors behind it, as the list of errors is asked for them."""
        return {"service": self.service} if self.service else {}


@require_GET
@require_role(Role.VIEWER)
def trends(request: HttpRequest) -> HttpResponse:
    """One figure over time with its forecast; all figures beside it."""
    if not request.GET.get("since") and not request.GET.get("until"):
        return redirect(request.path + query_with(request.GET, since=DEFAULT_RANGE))
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    try:
        asked = _asked(request.GET, now)
        if is_partial(request) and request.GET.get("part") == "figures":
            return render(request, "analytics/_trend_figures.html", _figures(request, asked, now))
        trend = _trend(asked, now)
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "asked": asked,
        "trend_unit": _unit(asked, trend),
        "on": config.error_trend_analysis,
        "trend": trend,
        "rows": _rows(trend, asked),
        "chart_src": "/charts/trend.json" + query_with(request.GET),
        "figures_src": request.path + query_with(request.GET, part="figures"),
        "metrics": [(m.name, m.title) for m in TREND_METRICS.values()],
        "services": sorted({*(s.name for s in service_list()), asked.service} - {""}),
        "operations": _operations(asked),
        "marks": _marks(trend),
        "forecasts": _forecasts(asked),
        "exhaustions": [
            (row, f"{round(100 * row.probability)} %")
            for row in exhaustion_list(service=asked.service)[:_LISTED]
        ],
        "anomalies": _anomalies(asked),
    }
    part = "_trends" if is_partial(request) else "trends"
    return render(request, f"analytics/{part}.html", context)


def trend_chart(request: HttpRequest) -> Figure:
    """The figure of the chart; raises `Problem` for what there is not."""
    now = datetime.now(UTC)
    asked = _asked(request.GET, now)
    trend = _trend(asked, now)
    span = _span(asked.within)
    forecast = None
    if asked.within.until >= now - trend.step and asked.metric in FORECAST_METRICS:
        forecast = None if asked.operation else _forecast(asked, span)
    return trend_figure(
        [(point.at, point.value) for point in trend.points],
        title=trend.metric.title,
        unit=trend.metric.unit,
        step=trend.step,
        since=asked.within.since,
        until=asked.within.until,
        question=asked.question,
        forecast=forecast.points if forecast else (),
        anomalies=anomaly_marks(asked.service, asked.metric, asked.within),
        releases=[(r.first_seen, r.version) for r in release_marks(asked.within, asked.service)],
        changes=[change.at for change in trend.changes or ()],
    )


def _asked(query: Mapping[str, str], now: datetime) -> Asked:
    metric = trend_metric(query.get("metric") or DEFAULT_METRIC).name
    operation = query.get("operation", "") if metric in METRICS and metric != "errors" else ""
    service = query.get("service", "")
    within = trend_range(query.get("since"), query.get("until"), now=now)
    return Asked(metric, service, operation if service else "", within)


def _trend(asked: Asked, now: datetime) -> Trend:
    # Only here, as it brings numpy: a process that nobody asks for trends does without.
    from analytics.selectors.trends import trend_read

    return trend_read(
        asked.metric, asked.within, now=now, service=asked.service, operation=asked.operation
    )


def _unit(asked: Asked, trend: Trend) -> str:
    names = {"1": "%", "1/s": "a second"}
    who = asked.service or "all services"
    what = f"{who}, {asked.operation}" if asked.operation else who
    named = window(trend.step.total_seconds()).removeprefix("last ")
    return f"{names.get(trend.metric.unit, trend.metric.unit)}; {what}, steps of {named}"


def _span(within: TimeRange) -> ForecastSpan:
    return ForecastSpan.WEEK if within.length >= 14 * _A_DAY else ForecastSpan.DAY


def _forecast(asked: Asked, span: ForecastSpan) -> ForecastView:
    return forecast_read(asked.metric, service=asked.service, span=span)


def _operations(asked: Asked) -> list[str]:
    if not asked.service or asked.metric not in METRICS or asked.metric == "errors":
        return []
    names = sorted(operation_figures(asked.service, asked.within))
    return names if asked.operation in ("", *names) else [asked.operation, *names]


def _rows(trend: Trend, asked: Asked) -> list[tuple[datetime, str, int, str]]:
    """The chart's table, newest first: when, what, out of how many, and the query of its errors."""
    return [
        (
            point.at,
            said(point.value, trend.metric.unit),
            point.count,
            errors_query(point.at, trend.step, asked.question),
        )
        for point in reversed(trend.points)
        if point.value is not None
    ]


def _marks(trend: Trend) -> dict[str, Any]:
    """What is more than chance in a trend, in words."""
    unit = trend.metric.unit
    words: dict[str, Any] = {"missing": trend.missing}
    if trend.week is not None:
        week = trend.week
        words["week"] = (
            f"{said(week.now, unit)} now, {said(week.before, unit)} a week before "
            f"({signed(week.change, unit)}, mean of {week.pairs} steps)"
        )
        words["week_matters"] = week.significant
    if trend.drift is not None:
        words["drift"] = f"{signed(trend.drift.per_day, unit)} a day"
        words["drift_matters"] = trend.drift.significant
    if trend.rhythm is not None:
        every = "week" if trend.rhythm.seconds > 90_000 else "day"
        strength = round(100 * trend.rhythm.strength)
        words["rhythm"] = f"repeats itself every {every}; that explains {strength} % of it"
    words["changes"] = [
        (change.at, said(change.before, unit), said(change.after, unit))
        for change in trend.changes or ()
    ]
    return words


def _forecasts(asked: Asked) -> list[dict[str, Any]]:
    """What is expected over both spans, in words."""
    if asked.metric not in FORECAST_METRICS or asked.operation:
        return []
    found = []
    for span in ForecastSpan:
        view = _forecast(asked, span)
        low = min((point.lower for point in view.points), default=None)
        high = max((point.upper for point in view.points), default=None)
        found.append(
            {
                "view": view,
                "label": span.label,
                "range": f"{said(low, view.metric.unit)} to {said(high, view.metric.unit)}",
                "coverage": None if view.coverage is None else f"{round(100 * view.coverage)} %",
            }
        )
    return found


def _anomalies(asked: Asked) -> list[tuple[Any, str]]:
    page = anomaly_list(
        within=asked.within, service=asked.service, metric=asked.metric, limit=_LISTED
    )
    return [(row, told(row)) for row in page.items]


def _figures(request: HttpRequest, asked: Asked, now: datetime) -> dict[str, Any]:
    """All figures of the service over the range, small, each leading to its own trend."""
    step = _spark_step(asked.within)
    lines = []
    for metric in TREND_METRICS.values():
        series = trend_series(metric.name, asked.within, now=now, service=asked.service, step=step)
        known = [point for point in series.points if point.value is not None]
        lines.append(
            {
                "metric": metric,
                "values": series.values,
                "value": said(known[-1].value if known else None, metric.unit),
                "at": known[-1].at if known else None,
                "href": request.path + query_with(request.GET, part=None, metric=metric.name),
                "current": metric.name == asked.metric,
            }
        )
    return {"figures": lines, "figures_src": request.get_full_path(), "asked": asked}


def _spark_step(within: TimeRange) -> timedelta:
    """About two dozen steps: of whole hours where those are a day or more in all."""
    if within.length >= _A_DAY:
        return timedelta(hours=max(1, round(within.length / _SPARK_STEPS / timedelta(hours=1))))
    return timedelta(minutes=max(1, round(within.length / _SPARK_STEPS / timedelta(minutes=1))))

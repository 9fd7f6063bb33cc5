"""Figures of charts as plain Plotly documents; colours and layout are the page's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from analytics.selectors.rollups import Point
from resilience_site.core.timerange import TimeRange

Figure = dict[str, Any]


def steps_of(within: TimeRange, step: timedelta) -> list[datetime]:
    """The starts of all steps of a range, also of those without data."""
    first = datetime.fromtimestamp(
        within.since.timestamp() // step.total_seconds() * step.total_seconds(), within.since.tzinfo
    )
    count = int((within.until - first) / step) + 1
    return [first + step * n for n in range(count) if first + step * n < within.until]


def errors_query(at: datetime, step: timedelta, question: Mapping[str, str]) -> str:
    """The query string that lists the errors of one step."""
    return urlencode({"since": _machine(at), "until": _machine(at + step)} | dict(question))


def _link(at: datetime, step: timedelta, question: Mapping[str, str]) -> str:
    return "/errors?" + errors_query(at, step, question)


def _machine(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _of(service: str) -> dict[str, str]:
    return {"service": service} if service else {}


def _line(
    name: str, at: Sequence[datetime], y: Sequence[float | None], links: Sequence[str], color: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [_machine(moment) for moment in at],
        "y": list(y),
        "customdata": list(links),
        "line": {"color": color, "width": 1.75},
        # No data is a gap: neither zero nor a line across.
        "connectgaps": False,
    }


def _layout(within: TimeRange, suffix: str, **more: Any) -> dict[str, Any]:
    return {
        # The chosen range, not that of the data: silence at its ends is something to see.
        "xaxis": {"type": "date", "range": [_machine(within.since), _machine(within.until)]},
        "yaxis": {"ticksuffix": suffix, "rangemode": "tozero", "nticks": 5},
        # A new range shows itself; within one, a zoom outlives the updates.
        "uirevision": str(within.length),
        **more,
    }


def error_ratio_figure(
    points: Sequence[Point], within: TimeRange, step: timedelta, service: str = ""
) -> Figure:
    """Errors in per cent of entry calls over time; the hover text states both."""
    known = {point.at: point.figures for point in points}
    at = steps_of(within, step)
    shares = [
        None
        if (f := known.get(t)) is None or f.error_ratio is None
        else round(f.error_ratio * 100, 3)
        for t in at
    ]
    line = _line(
        "errors", at, shares, [_link(t, step, _of(service)) for t in at], "var(--series-bad)"
    )
    line |= {
        "text": [f"{f.errors}/{f.calls}" if (f := known.get(t)) else "" for t in at],
        "hovertemplate": "%{y:.3~g} % (%{text})<extra></extra>",
        "mode": "lines+markers",
        "marker": {"size": 4},
    }
    return {"data": [line], "layout": _layout(within, " %", showlegend=False)}


def latency_figure(
    points: Sequence[Point], within: TimeRange, step: timedelta, service: str = ""
) -> Figure:
    """Median and 95th percentile of entry calls over time, in milliseconds."""
    known = {point.at: point.figures for point in points}
    at = steps_of(within, step)
    links = [_link(t, step, _of(service)) for t in at]
    data = [
        _line(name, at, [getattr(known.get(t), field, None) for t in at], links, color)
        | {"hovertemplate": f"{name} %{{y:.3~s}} ms<extra></extra>"}
        for name, field, color in (
            ("p95", "p95_ms", "var(--series-1)"),
            ("p50", "p50_ms", "var(--series-3)"),
        )
    ]
    return {"data": data, "layout": _layout(within, " ms")}


def error_count_figure(
    counts: Sequence[tuple[datetime, int]],
    within: TimeRange,
    step: timedelta,
    question: Mapping[str, str],
) -> Figure:
    """Stored errors in each step, as bars that lead to them. None at all leaves the chart empty."""
    known = dict(counts)
    at = steps_of(within, step)
    bars = {
        "type": "bar",
        "name": "errors",
        "x": [_machine(moment) for moment in at],
        "y": [known.get(moment, 0) for moment in at] if known else [None for _ in at],
        "customdata": [_link(moment, step, question) for moment in at],
        "width": step.total_seconds() * 1000 * 0.8,
        "offset": step.total_seconds() * 1000 * 0.1,
        "marker": {"color": "var(--series-bad)"},
        "hovertemplate": "%{y} errors<extra></extra>",
    }
    return {"data": [bars], "layout": _layout(within, "", showlegend=False)}


def pattern_week_figure(
    hours: Sequence[tuple[datetime, int]], limit: float | None, pattern: str
) -> Figure:
    """Errors of a pattern in each hour, and the most that its own history explains."""
    hour = timedelta(hours=1)
    within = TimeRange(hours[0][0], hours[-1][0] + hour)
    figure = error_count_figure(hours, within, hour, {"pattern": pattern})
    if limit is not None:
        figure["data"].append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "limit",
                "x": [_machine(within.since), _machine(within.until)],
                "y": [round(limit, 1)] * 2,
                "line": {"color": "var(--series-4)", "width": 1.5, "dash": "dash"},
                "hovertemplate": "escalates above %{y} an hour<extra></extra>",
            }
        )
        figure["layout"] |= {"showlegend": True}
    return figure

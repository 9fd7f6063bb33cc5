"""Figures of charts as plain Plotly documents; colours and layout are the page's."""

from __future__ import annotations

from collections.abc import Sequence
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


def _link(at: datetime, step: timedelta, service: str) -> str:
    window = {"since": at.isoformat(), "until": (at + step).isoformat()}
    return "/errors?" + urlencode(window | ({"service": service} if service else {}))


def _line(
    name: str, at: Sequence[datetime], y: Sequence[float | None], links: Sequence[str], color: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [moment.isoformat() for moment in at],
        "y": list(y),
        "customdata": list(links),
        "line": {"color": color} if color else {},
        # No data is a gap: neither zero nor a line across.
        "connectgaps": False,
    }


def error_ratio_figure(
    points: Sequence[Point], within: TimeRange, step: timedelta, service: str = ""
) -> Figure:
    """Errors in per cent of entry calls over time."""
    known = {point.at: point.figures for point in points}
    at = steps_of(within, step)
    shares = [
        None
        if (f := known.get(t)) is None or f.error_ratio is None
        else round(f.error_ratio * 100, 3)
        for t in at
    ]
    links = [_link(t, step, service) for t in at]
    line = _line("errors", at, shares, links, "var(--series-bad)")
    return {"data": [line], "layout": {"yaxis": {"ticksuffix": " %", "rangemode": "tozero"}}}


def latency_figure(
    points: Sequence[Point], within: TimeRange, step: timedelta, service: str = ""
) -> Figure:
    """Median and 95th percentile of entry calls over time, in milliseconds."""
    known = {point.at: point.figures for point in points}
    at = steps_of(within, step)
    links = [_link(t, step, service) for t in at]
    data = [
        _line(name, at, [getattr(known.get(t), field, None) for t in at], links, "")
        for name, field in (("p50", "p50_ms"), ("p95", "p95_ms"))
    ]
    return {"data": data, "layout": {"yaxis": {"ticksuffix": " ms", "rangemode": "tozero"}}}

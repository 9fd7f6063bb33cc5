"""The figure of a trend: its points, what is expected of it, and what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final

from analytics.figures import Figure, errors_query
from analytics.selectors.anomalies import AnomalyMark
from analytics.selectors.forecasts import ForecastPoint

# What a chart multiplies values by, and writes behind them, by the unit of the metric.
SCALES: Final = {
    "1": (100.0, " %"),
    "ms": (1.0, " ms"),
    "1/s": (1.0, "/s"),
    "s": (1.0, " s"),
    "×": (1.0, " ×"),
}
_LONGEST_VERSION = 40
_SHOWN_RELEASES = 20
# Shares of the time that is shown: what is written in less lies on one another, and what begins
# later goes over the edge.
_APART = 0.12
_AT_THE_EDGE = 0.8


def trend_figure(
    points: Sequence[tuple[datetime, float | None]],
    *,
    title: str,
    unit: str,
    step: timedelta,
    since: datetime,
    until: datetime,
    question: dict[str, str],
    forecast: Sequence[ForecastPoint] = (),
    anomalies: Sequence[AnomalyMark] = (),
    releases: Sequence[tuple[datetime, str]] = (),
    changes: Sequence[datetime] = (),
) -> Figure:
    """Points as a line with gaps; the forecast as a dashed line in its band of 95 %; anomalies as
    marks; releases and changes of level as upright lines. Points lead to the errors behind them."""
    scale, suffix = SCALES.get(unit, (1.0, ""))
    hover = f"%{{y:.4~g}}{suffix}"
    data: list[dict[str, Any]] = []
    if forecast:
        data += _band(forecast, scale, hover)
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers" if len(points) <= 60 else "lines",
            "name": title,
            "x": [_machine(at) for at, _ in points],
            "y": [None if value is None else value * scale for _, value in points],
            "customdata": [f"/errors?{errors_query(at, step, question)}" for at, _ in points],
            "line": {"color": "var(--series-1)", "width": 1.75},
            "marker": {"size": 4},
            "connectgaps": False,
            "hovertemplate": f"{hover}<extra></extra>",
        }
    )
    if anomalies:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "anomaly",
                "x": [_machine(mark.at) for mark in anomalies],
                "y": [mark.value * scale for mark in anomalies],
                "text": [_plain(mark.text) for mark in anomalies],
                "customdata": [
                    f"/root-cause?{errors_query(mark.at - step, 3 * step, {})}"
                    for mark in anomalies
                ],
                "marker": {"color": "var(--fill-bad)", "size": 10, "symbol": "diamond-open",
                           "line": {"width": 2}},
                "hovertemplate": "%{text}<extra>anomaly</extra>",
            }
        )  # fmt: skip
    end = max([until, *(point.at for point in forecast)])
    uprights = [_upright(at, "var(--fill-info)", "dash") for at, _ in releases[:_SHOWN_RELEASES]]
    uprights += [_upright(at, "var(--fill-warn)", "dot") for at in changes]
    return {
        "data": data,
        "layout": {
            "xaxis": {"type": "date", "range": [_machine(since), _machine(end)]},
            "yaxis": {"ticksuffix": suffix, "rangemode": "tozero", "nticks": 6},
            "shapes": uprights,
            "annotations": _named(releases[:_SHOWN_RELEASES], since, end),
            "uirevision": f"{since.isoformat()}{title}",
        },
    }  # fmt: skip


def _band(forecast: Sequence[ForecastPoint], scale: float, hover: str) -> list[dict[str, Any]]:
    at = [_machine(point.at) for point in forecast]
    edge = {"type": "scatter", "mode": "lines", "x": at, "line": {"width": 0}, "hoverinfo": "skip"}
    return [
        edge | {"name": "lower", "y": [p.lower * scale for p in forecast], "showlegend": False},
        edge
        | {
            "name": "95 % band",
            "y": [p.upper * scale for p in forecast],
            "fill": "tonexty",
            "fillcolor": "rgba(123, 132, 148, 0.22)",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "forecast",
            "x": at,
            "y": [p.value * scale for p in forecast],
            "text": [f"{p.lower * scale:.4g} to {p.upper * scale:.4g}" for p in forecast],
            "line": {"color": "var(--series-6)", "width": 1.75, "dash": "dash"},
            "hovertemplate": f"{hover} (%{{text}})<extra>forecast</extra>",
        },
    ]


def _upright(at: datetime, color: str, dash: str) -> dict[str, Any]:
    return {
        "type": "line", "x0": _machine(at), "x1": _machine(at), "y0": 0, "y1": 1, "yref": "paper",
        "line": {"color": color, "width": 1.5, "dash": dash},
    }  # fmt: skip


def _named(
    releases: Sequence[tuple[datetime, str]], since: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Versions written at their lines; of those that come too close for that, the first and the
    last one. At the right edge they stand left of the line."""
    together: list[list[tuple[datetime, str]]] = []
    for at, version in sorted(releases):
        if together and at - together[-1][0][0] < (end - since) * _APART:
            together[-1].append((at, version))
        else:
            together.append([(at, version)])
    found = []
    for group in together:
        at, versions = group[0][0], [version[:_LONGEST_VERSION] for _, version in group]
        right = at - since > (end - since) * _AT_THE_EDGE
        found.append(
            {
                "x": _machine(at), "y": 1, "yref": "paper", "showarrow": False,
                "text": _plain(_range(versions)), "xanchor": "right" if right else "left",
                "yanchor": "top", "font": {"size": 10},
            }
        )  # fmt: skip
    return found


def _range(versions: Sequence[str]) -> str:
    first, last = versions[0], versions[-1]
    if len(versions) < 3:
        return ", ".join(dict.fromkeys(versions))
    return f"{first} … {last} ({len(versions)})"


def _plain(text: str) -> str:
    """What senders wrote, as text: the charts' own markup would make links and styles of it."""
    return escape(text, quote=False)


def _machine(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")

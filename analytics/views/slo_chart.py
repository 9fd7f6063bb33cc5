"""The figure of an error budget as a plain Plotly document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from analytics.figures import Figure
from analytics.views.slo_words import Day


def budget_figure(days: Sequence[Day]) -> Figure:
    """What each day spent of the budget, as bars, and what was left of it afterwards, as a line."""
    bars = {
        "type": "bar",
        "name": "spent",
        "x": [_machine(day.since) for day in days],
        "y": [_percent(day.spent) for day in days],
        "customdata": [day.href for day in days],
        "text": [day.basis for day in days],
        "textposition": "none",
        "marker": {"color": "var(--series-bad)"},
        "hovertemplate": "spent %{y:.3~g} % (%{text})<extra></extra>",
        "width": 86_400_000 * 0.8,
        "offset": 86_400_000 * 0.1,
    }
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "left",
        "x": [_machine(day.until) for day in days],
        "y": [_percent(day.left) for day in days],
        "customdata": [day.href for day in days],
        "line": {"color": "var(--series-1)", "width": 1.75},
        "marker": {"size": 4},
        "connectgaps": False,
        "hovertemplate": "%{y:.3~g} % left<extra></extra>",
    }
    axis = {"type": "date", "range": [_machine(days[0].since), _machine(days[-1].until)]}
    layout = {
        "xaxis": axis,
        "yaxis": {"ticksuffix": " %", "nticks": 6},
        "uirevision": str(len(days)),
    }
    return {"data": [bars, line], "layout": layout}


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 3)


def _machine(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")

"""The chart of one check, latency and failed runs over time, and the table that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from health.selectors.series import RunStep, run_series, step_for, steps_of
from health.views.common import check_or_404, chosen_range
from resilience_site.core.choices import Role
from resilience_site.core.formatting import machine
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import TimeRange

_LINES: Final = (
    ("p95", "p95_ms", "var(--series-1)", "solid"),
    ("p50", "p50_ms", "var(--series-3)", "dash"),
)


@dataclass(frozen=True)
class RunRow:
    """A step in which something ran; `link` leads to the results of it."""

    step: RunStep
    link: str


@require_GET
@require_role(Role.VIEWER)
def latency(request: HttpRequest, check_id: UUID) -> JsonResponse:
    """The figure of one check over the range of its page."""
    check = check_or_404(check_id)
    try:
        within = chosen_range(request, datetime.now(UTC))
    except Problem as problem:
        return JsonResponse({"detail": problem.detail}, status=400)
    step = step_for(within, check.interval_seconds)
    return JsonResponse(figure(check_id, run_series(check_id, within, step), within, step))


def figure(
    check_id: UUID, series: Sequence[RunStep], within: TimeRange, step: timedelta
) -> dict[str, Any]:
    """Median and 95th percentile of runs that succeeded as lines with gaps, failed runs as marks
    on top. Every point leads to its results."""
    known = {each.at: each for each in series}
    at = steps_of(within, step)
    links = [results_link(check_id, moment, step) for moment in at]
    lines = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [machine(moment) for moment in at],
            "y": [_rounded(getattr(known.get(moment), field, None)) for moment in at],
            "customdata": links,
            "line": {"color": color, "width": 1.75, "dash": dash},
            "marker": {"size": 4},
            # No run is a gap: neither zero nor a line across.
            "connectgaps": False,
            "hovertemplate": f"{name} %{{y:.4~g}} ms<extra></extra>",
        }
        for name, field, color, dash in _LINES
    ]
    failed = [each for each in series if each.failed]
    marks = {
        "type": "scatter",
        "mode": "markers",
        "name": "failed runs",
        "yaxis": "y2",
        "cliponaxis": False,
        "x": [machine(each.at) for each in failed],
        "y": [0.97 for _ in failed],
        "text": [f"{each.failed} of {each.runs} runs failed" for each in failed],
        "customdata": [results_link(check_id, each.at, step) for each in failed],
        "marker": {"size": 8, "symbol": "x", "color": "var(--fill-bad)"},
        "hovertemplate": "%{text}<extra></extra>",
    }
    layout = {
        # The chosen range, not that of the data: silence at its ends is something to see.
        "xaxis": {"type": "date", "range": [machine(within.since), machine(within.until)]},
        "yaxis": {"ticksuffix": " ms", "rangemode": "tozero", "nticks": 5},
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        "uirevision": str(within.length),
    }
    return {"data": [*lines, *([marks] if failed else [])], "layout": layout}


def run_rows(check_id: UUID, series: Sequence[RunStep], step: timedelta) -> list[RunRow]:
    """The steps of the chart as rows, newest first; those without runs are left out."""
    return [RunRow(each, results_link(check_id, each.at, step)) for each in reversed(series)]


def results_link(check_id: UUID, at: datetime, step: timedelta) -> str:
    """Where the results of one step stand."""
    question = urlencode({"since": machine(at), "until": machine(at + step)})
    return f"{reverse('health:check', args=[check_id])}?{question}#results"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)

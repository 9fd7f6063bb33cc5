"""The chart of a breaker: its calls a step, the errors of its service, its transitions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from analytics.figures import errors_query, steps_of
from breakers.models import BreakerTransition
from breakers.selectors.breaker_view import Counts
from resilience_site.core.badges import badge_for
from resilience_site.core.breaker_reasons import reason_words
from resilience_site.core.formatting import machine, percent
from resilience_site.core.timerange import TimeRange

CHART_STEPS: Final = 180
# More lines than this would hide the calls: the marks on top then stand alone.
_MOST_LINES: Final = 60
_COLORS: Final = {"bad": "var(--fill-bad)", "warn": "var(--fill-warn)", "ok": "var(--fill-ok)",
                  "note": "var(--series-5)", "info": "var(--fill-info)"}  # fmt: skip


@dataclass(frozen=True)
class Course:
    """What happened to a breaker over a range: `calls` and the `errors` of its service by step,
    and its transitions, newest first; `cut` says that there are older ones in the range."""

    service: str
    key: str
    within: TimeRange
    step: timedelta
    calls: Mapping[datetime, Counts]
    errors: Mapping[datetime, int]
    transitions: Sequence[BreakerTransition]
    cut: bool = False


@dataclass(frozen=True)
class Row:
    """One step of the chart; `counts` is None where nothing came in."""

    at: datetime
    counts: Counts | None
    share: str
    errors: int
    transitions: list[BreakerTransition]
    link: str


def figure(course: Course) -> dict[str, Any]:
    """Failed, passed and rejected calls as stacked bars, errors of the service as a line, each
    transition as a mark on top, and as a line across where they are few."""
    at = steps_of(course.within, course.step)
    counts = [course.calls.get(moment) for moment in at]
    links = ["/errors?" + _errors_of(course, moment) for moment in at]
    parts = (
        ("failed", "var(--fill-bad)", [None if c is None else c.failures for c in counts]),
        (
            "passed",
            "var(--series-2)",
            [None if c is None else c.calls - c.failures for c in counts],
        ),
        ("rejected", "var(--series-6)", [None if c is None else c.rejected for c in counts]),
    )
    width = course.step.total_seconds() * 1000
    lined = course.transitions if len(course.transitions) <= _MOST_LINES else ()
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": [machine(moment) for moment in at],
            "y": values,
            "customdata": links,
            "width": width * 0.86,
            "offset": width * 0.07,
            "marker": {"color": color},
            "opacity": 1 if name == "failed" else 0.55,
            "hovertemplate": "%{y} " + name + "<extra></extra>",
        }
        for name, color, values in parts
    ]
    known = any(course.errors.values())
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "errors of the service",
        "x": [machine(moment + course.step / 2) for moment in at],
        "y": [course.errors.get(moment, 0) if known else None for moment in at],
        "customdata": links,
        "line": {"color": "var(--ink)", "width": 1.25, "dash": "dot"},
        "hovertemplate": "%{y} errors of the service<extra></extra>",
    }
    layout = {
        "barmode": "stack",
        "xaxis": {
            "type": "date",
            "range": [machine(course.within.since), machine(course.within.until)],
        },
        "yaxis": {"rangemode": "tozero", "nticks": 5},
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        "uirevision": str(course.within.length),
        "shapes": [_across(each) for each in lined],
    }
    return {"data": [*bars, *([line] if known else []), _marks(course)], "layout": layout}


def table(course: Course) -> list[Row]:
    """The same as rows, newest first; steps in which nothing came in and nothing changed are left
    out."""
    rows = []
    for at in reversed(steps_of(course.within, course.step)):
        counts, errors = course.calls.get(at), course.errors.get(at, 0)
        moved = [each for each in course.transitions if at <= each.at < at + course.step]
        if counts is None and not errors and not moved:
            continue
        share = percent(counts.failures, counts.calls) if counts else ""
        rows.append(Row(at, counts, share, errors, moved, _errors_of(course, at)))
    return rows


def _errors_of(course: Course, at: datetime) -> str:
    return errors_query(at, course.step, {"service": course.service})


def _color(transition: BreakerTransition) -> str:
    return _COLORS.get(badge_for("breaker", transition.to_state).tone, "var(--ink-muted)")


def _across(transition: BreakerTransition) -> dict[str, Any]:
    at = machine(transition.at)
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "line": {"color": _color(transition), "width": 1, "dash": "dot"},
    }


def _marks(course: Course) -> dict[str, Any]:
    symbols = {"open": "x", "half_open": "diamond", "closed": "circle"}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"newest {len(course.transitions):,} transitions" if course.cut else "transitions",
        "yaxis": "y2",
        "cliponaxis": False,
        "x": [machine(each.at) for each in course.transitions],
        "y": [0.97 for _ in course.transitions],
        "text": [
            f"{badge_for('breaker', each.from_state).word} to "
            f"{badge_for('breaker', each.to_state).word.lower()}: {reason_words(each.reason, each.from_state)}"
            for each in course.transitions
        ],
        "customdata": [
            f"/breakers/{course.key}?{urlencode(_around(each))}#t-{each.id}"
            for each in course.transitions
        ],
        "marker": {
            "size": 9,
            "symbol": [symbols.get(each.to_state, "square") for each in course.transitions],
            "color": [_color(each) for each in course.transitions],
        },
        "hovertemplate": "%{text}<extra></extra>",
    }


def _around(transition: BreakerTransition) -> dict[str, str]:
    reach = timedelta(minutes=15)
    return {
        "since": machine(transition.at - reach),
        "until": machine(transition.at + reach),
    }

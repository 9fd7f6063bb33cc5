"""The tables that say what the charts draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.figures import errors_query
from analytics.selectors.rollups import Figures, Point
from resilience_site.core.formatting import percent


@dataclass(frozen=True)
class TablePoint:
    """A step of a chart; `link` is the query of the errors in it."""

    at: datetime
    figures: Figures
    share: str
    link: str


def table_points(points: Sequence[Point], step: timedelta, service: str = "") -> list[TablePoint]:
    """The steps of a chart, newest first."""
    question = {"service": service} if service else {}
    return [
        TablePoint(
            point.at,
            point.figures,
            percent(point.figures.errors, point.figures.calls),
            errors_query(point.at, step, question),
        )
        for point in reversed(points)
    ]

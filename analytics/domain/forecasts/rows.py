"""Rows of `timestamp,value` on a grid, and of their forecast in the form in which times came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from analytics.domain import series_rows
from analytics.domain.forecasts.forecasting import Forecasted
from analytics.domain.forecasts.grid import Grid, grid_of
from analytics.domain.times import unit_of

HEADER: Final = ("timestamp", "value", "lower", "upper")
_DATE: Final = len("2026-01-31")


@dataclass(frozen=True)
class Rows:
    """The rows of a file on their grid, and one of its times as it was written."""

    grid: Grid
    sample: str


def rows_read(lines: Iterable[str]) -> Rows:
    """Rows in any order; raises `series_rows.RowError`."""
    rows = list(series_rows.rows_read(lines))
    grid = grid_of([row.at for row in rows], [row.value for row in rows])
    return Rows(grid, rows[0].timestamp if rows else "")


def rows_of(found: Forecasted, rows: Rows) -> Iterator[tuple[str, str, str, str]]:
    """The rows of a forecast, each a step after the one before; times in the form that came."""
    figures = zip(found.value, found.lower, found.upper, strict=True)
    for ahead, (value, lower, upper) in enumerate(figures, start=1):
        at = rows.grid.last + ahead * rows.grid.step
        yield _written(at, rows.sample), f"{value:.10g}", f"{lower:.10g}", f"{upper:.10g}"


def _written(at: float, sample: str) -> str:
    try:
        unit = unit_of(float(sample))
    except ValueError:
        return _as_iso(at, sample)
    if unit > 1:
        return f"{at * unit:.0f}"
    return f"{at:.10g}" if at < 1e9 else f"{at:.3f}".rstrip("0").rstrip(".")


def _as_iso(at: float, sample: str) -> str:
    like = datetime.fromisoformat(sample)
    moment = datetime.fromtimestamp(0, like.tzinfo or UTC) + timedelta(seconds=at)
    moment = moment if moment.microsecond else moment.replace(microsecond=0)
    if len(sample) <= _DATE and moment.time() == like.time():
        return moment.date().isoformat()
    text = moment.replace(tzinfo=like.tzinfo).isoformat(sep="T" if "T" in sample else " ")
    return text.replace("+00:00", "Z") if sample.endswith("Z") else text

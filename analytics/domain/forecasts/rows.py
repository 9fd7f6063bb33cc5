"""Rows of `timestamp,value`, read strictly and written in the form in which times came."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from analytics.domain.forecasts.forecasting import Forecasted
from analytics.domain.forecasts.grid import Grid, grid_of

HEADER: Final = ("timestamp", "value", "lower", "upper")
_MISSING: Final = frozenset({"", "nan", "null", "none", "na", "n/a"})


class RowError(ValueError):
    """A row that cannot be read; says which line, and what to do."""


@dataclass(frozen=True)
class Rows:
    """The rows of a file on their grid, and one of its times as it was written."""

    grid: Grid
    sample: str


def rows_read(lines: Iterable[str]) -> Rows:
    """Rows in any order under a header with `timestamp` and `value`; raises `RowError`."""
    reader = csv.reader(lines)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if "timestamp" not in header or "value" not in header:
            raise RowError("line 1 is not a header with the columns timestamp and value; add one.")
        at, value = header.index("timestamp"), header.index("value")
        times: list[float] = []
        values: list[float | None] = []
        sample = ""
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(at, value):
                raise RowError(
                    f"line {reader.line_num} has {len(row)} of {len(header)} columns; complete it."
                )
            times.append(_seconds(row[at].strip(), reader.line_num))
            values.append(_number(row[value].strip(), reader.line_num))
            sample = sample or row[at].strip()
    except csv.Error as problem:
        raise RowError(f"line {reader.line_num} is not CSV ({problem}); mend it.") from problem
    return Rows(grid_of(times, values), sample)


def rows_of(found: Forecasted, rows: Rows) -> Iterator[tuple[str, str, str, str]]:
    """The rows of a forecast, each a step after the one before; times in the form that came."""
    figures = zip(found.value, found.lower, found.upper, strict=True)
    for ahead, (value, lower, upper) in enumerate(figures, start=1):
        at = rows.grid.last + ahead * rows.grid.step
        yield _written(at, rows.sample), f"{value:.10g}", f"{lower:.10g}", f"{upper:.10g}"


def _seconds(text: str, line: int) -> float:
    try:
        number = float(text)
        if math.isfinite(number) and abs(number) < 1e11:
            return number
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowError(
            f"line {line}: {text[:40]!r} is not a time; write 2026-01-31 23:59:59, RFC 3339 or "
            "Unix seconds."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str, line: int) -> float | None:
    if text.lower() in _MISSING:
        return None
    try:
        return float(text)
    except ValueError:
        raise RowError(
            f"line {line}: {text[:40]!r} is not a number; leave a missing value empty."
        ) from None


def _written(at: float, sample: str) -> str:
    try:
        like = datetime.fromisoformat(sample)
    except ValueError:
        return f"{at:.10g}" if at < 1e9 else f"{at:.3f}".rstrip("0").rstrip(".")
    try:
        float(sample)
    except ValueError:
        moment = datetime.fromtimestamp(0, like.tzinfo or UTC) + timedelta(seconds=at)
        moment = moment if moment.microsecond else moment.replace(microsecond=0)
        text = moment.replace(tzinfo=like.tzinfo).isoformat(sep="T" if "T" in sample else " ")
        return text.replace("+00:00", "Z") if sample.endswith("Z") else text
    return f"{at:.0f}"

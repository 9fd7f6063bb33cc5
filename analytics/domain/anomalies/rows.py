"""Rows of a series in a CSV file, `timestamp,value`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from csv import Error, reader
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_MISSING: Final = frozenset({"", "nan", "null", "none", "na", "n/a", "-nan", "+nan"})
# Seconds since the epoch have at most 11 digits for the next 3,000 years; more are milliseconds.
_MOST_SECONDS: Final = 1e11


class RowError(ValueError):
    """A row that cannot be read; says which line, and what it should hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was written, with its time in seconds and its value (None where missing)."""

    timestamp: str
    text: str
    at: float
    value: float | None


def rows_read(lines: Iterable[str]) -> Iterator[Row]:
    """The rows, one by one; a header and empty lines are no rows. Raises `RowError`."""
    table = reader(lines)
    first = True
    try:
        for cells in table:
            if not cells:
                continue
            if not (first and _is_header(cells)):
                yield _row(cells, table.line_num)
            first = False
    except Error as problem:
        raise RowError(f"line {table.line_num} is no CSV: {problem}.") from problem


def _is_header(cells: list[str]) -> bool:
    try:
        _seconds(cells[0])
    except ValueError:
        return True
    return False


def _row(cells: list[str], line: int) -> Row:
    if len(cells) < 2:
        raise RowError(f"line {line} has one column; write timestamp,value.")
    timestamp, text = cells[0].strip(), cells[1].strip()
    try:
        at = _seconds(timestamp)
    except ValueError:
        raise RowError(
            f"line {line}: {timestamp[:40]!r} is no time; write 2026-01-31 12:00:00, RFC 3339 or "
            "seconds since 1970."
        ) from None
    try:
        value = None if text.casefold() in _MISSING else float(text)
    except ValueError:
        raise RowError(
            f"line {line}: {text[:40]!r} is no number; leave a missing value empty."
        ) from None
    return Row(timestamp, text, at, value)


def _seconds(text: str) -> float:
    """A time as seconds since the epoch; without a zone it is UTC. Raises ValueError."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise ValueError(text)
    while abs(number) > _MOST_SECONDS:
        number /= 1000
    return number

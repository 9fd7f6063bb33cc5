"""Rows of a series in a CSV file, `timestamp,value`, as they are read one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from csv import Error, reader
from dataclasses import dataclass
from typing import Final

from analytics.domain.times import seconds_read

_MISSING: Final = frozenset({"", "nan", "null", "none", "na", "n/a", "-nan", "+nan"})
_COLUMNS: Final = ("timestamp", "value")


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
    """The rows in the order of the file; a header and empty lines are no rows.

    A header may name the columns in any order and case, and others beside them; without one, and
    where it names two others, the first column is the time and the second the value. Raises
    `RowError`.
    """
    # Zero bytes come with cut-off files; a value never holds one.
    table = reader(line.replace("\0", "") for line in lines)
    places: tuple[int, int] | None = None
    try:
        for cells in table:
            if not any(cell.strip() for cell in cells):
                continue
            if places is None:
                header = _is_header(cells)
                places = _places(cells) if header else (0, 1)
                if header:
                    continue
            yield _row(cells, places, table.line_num)
    except Error as problem:
        raise RowError(f"line {table.line_num} is no CSV: {problem}.") from problem


def _is_header(cells: list[str]) -> bool:
    names = {cell.strip().lower() for cell in cells}
    return not names.isdisjoint(_COLUMNS) or not _is_time(cells[0])


def _is_time(text: str) -> bool:
    try:
        seconds_read(text)
    except ValueError:
        return False
    return True


def _places(header: list[str]) -> tuple[int, int]:
    names = [name.strip().lower() for name in header]
    if all(column in names for column in _COLUMNS):
        return names.index(_COLUMNS[0]), names.index(_COLUMNS[1])
    if len(names) > len(_COLUMNS):
        raise RowError("line 1 does not name the columns timestamp and value; name them.")
    return 0, 1


def _row(cells: list[str], places: tuple[int, int], line: int) -> Row:
    if len(cells) <= max(places):
        count = "one column" if len(cells) == 1 else f"{len(cells)} columns"
        raise RowError(f"line {line} has {count}; write timestamp,value.")
    timestamp, text = (cells[place].strip() for place in places)
    try:
        at = seconds_read(timestamp)
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

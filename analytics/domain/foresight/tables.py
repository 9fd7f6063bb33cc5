"""Rows of CSV files with entities and times, read strictly: what is wrong is named by its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Final

from analytics.domain.times import seconds_read

_UNITS: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(s|m|min|h|d)", re.ASCII)


class BadRow(ValueError):
    """A row that cannot be read; the message names the line and what is wrong with it."""


def rows_read(lines: Iterable[str], columns: Sequence[str]) -> list[tuple[float, list[str]]]:
    """(seconds, the named columns as text) of each row, in the order of the file. `columns` hold
    "timestamp". The first line names the columns, in any order and case; others are ignored, and
    so are empty lines."""
    reader = csv.reader(lines)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            raise BadRow(
                f"line 1: the first line must name the columns {','.join(columns)}; "
                f"{', '.join(missing)} is missing"
            )
        places = [header.index(name) for name in columns]
        time = columns.index("timestamp")
        found: list[tuple[float, list[str]]] = []
        for row in reader:
            if not any(field.strip() for field in row):
                continue
            values = _values(row, places, columns, reader.line_num)
            found.append((_seconds(values[time], reader.line_num), values))
    except csv.Error as error:
        raise BadRow(f"line {reader.line_num}: {error}") from None
    return found


def _values(row: list[str], places: list[int], columns: Sequence[str], line: int) -> list[str]:
    if len(row) <= max(places):
        raise BadRow(f"line {line}: has {len(row)} columns, needs {','.join(columns)}")
    values = [row[place].strip() for place in places]
    for name, value in zip(columns, values, strict=True):
        if not value:
            raise BadRow(f"line {line}: {name} is empty")
    return values


def _seconds(text: str, line: int) -> float:
    """Seconds since the epoch; a time without a zone is taken as UTC."""
    try:
        return seconds_read(text)
    except ValueError:
        raise BadRow(
            f"line {line}: {text[:40]!r} is no time; write it like 2026-01-31 06:00:00"
        ) from None


def seconds_of(text: str) -> float:
    """Seconds of a duration like 48h, 30m or 2d; raises ValueError where it is none."""
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not seconds:
        raise ValueError(f"{text[:40]!r} is no duration; write it like 48h, 30m or 2d")
    return seconds

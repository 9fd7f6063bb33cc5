"""Counts per minute over a time range: summed in all, and in each of some equal parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from resilience_site.core.timerange import TimeRange

BINS = 24


def minutes(within: TimeRange) -> tuple[datetime, datetime]:
    """The bounds for a column of minutes: one belongs to a range when it begins in it, and the
    running one always does."""
    return within.since.replace(second=0, microsecond=0), within.until


def binned(
    table: str,
    names: Sequence[str],
    sums: Sequence[str],
    within: TimeRange,
    exact: Mapping[str, str],
    bins: int = BINS,
) -> list[tuple[Any, ...]]:
    """Rows of (the columns `names`, the part of the range counted from 0, the terms `sums`) of a
    table with a column `minute`; `exact` narrows by columns, empty values do not."""
    since, until = minutes(within)
    narrowed = [(column, value) for column, value in exact.items() if value]
    where = "".join(f" AND {column} = %s" for column, _ in narrowed)
    columns = ", ".join(names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns}, least(%s, floor(extract(epoch FROM minute - %s) / %s))::int AS part,"
            f" {', '.join(sums)} FROM {table} WHERE minute >= %s AND minute < %s{where}"
            f" GROUP BY {columns}, part",
            [
                bins - 1,
                since,
                (until - since).total_seconds() / bins,
                *(since, until),
                *(value for _, value in narrowed),
            ],
        )
        return cursor.fetchall()


def trend(parts: Iterable[tuple[int, int]], bins: int = BINS) -> list[float | None]:
    """Counts of the parts of a range, oldest first; where nothing was counted it is 0."""
    values: list[float | None] = [0.0] * bins
    for part, count in parts:
        values[part] = (values[part] or 0.0) + count
    return values


def total(numbers: Iterable[int | None]) -> int | None:
    """The sum of the numbers that are known; None where none is."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def summed(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Counts by name, the largest first."""
    sums: dict[str, int] = {}
    for name, count in pairs:
        sums[name] = sums.get(name, 0) + count
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))

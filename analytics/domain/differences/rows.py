"""Rows of counts by the minute, read as text: those of one moment and those before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from analytics.domain.differences.table import Row
from analytics.domain.times import seconds_read

TIME, FAILED, ALL = "min", "value", "cnt"
# More than anything was ever counted, and thousands of such rows still add up exactly.
_MOST = 1e12


@dataclass(frozen=True, slots=True)
class Moments:
    """Rows of a moment and of all earlier ones, and what had to be said about them."""

    rows: tuple[Row, ...]
    earlier: int
    notes: tuple[str, ...]


def moments_of(
    columns: Sequence[str], lines: Iterable[Mapping[str, str | None]], at: str
) -> Moments:
    """The rows at a moment and the earlier ones.

    The moment is as it stands in the time column, or any way of writing a time within the same
    step. Raises ValueError with a sentence where columns or the moment are missing.
    """
    at_column, failed_column, all_column = needed = [
        _column(columns, name) for name in (TIME, FAILED, ALL)
    ]
    attributes = [name for name in columns if name and name not in needed]
    given = list(lines)
    wanted, order = _place(sorted({_text(line, at_column) for line in given}), at)
    rows: list[Row] = []
    unread = 0
    earlier: set[str] = set()
    for line in given:
        time = _text(line, at_column)
        when = order.get(time)
        if when is None or when > order[wanted]:
            continue
        failed, total = _count(_text(line, failed_column)), _count(_text(line, all_column))
        unread += failed is None or total is None
        values = {name.strip(): _text(line, name) for name in attributes}
        if time == wanted:
            rows.append(Row(values, failed or 0.0, total or 0.0))
        else:
            earlier.add(time)
            rows.append(Row(values, 0.0, 0.0, failed or 0.0, total or 0.0))
    notes = []
    if unread:
        notes.append(
            f"{unread} of {len(rows)} rows have counts that are no numbers of 0 or more: "
            "taken as 0."
        )
    if not earlier:
        notes.append(
            "There are no earlier rows to compare with: shares of failures are compared instead."
        )
    return Moments(tuple(rows), len(earlier), tuple(notes))


def _column(columns: Sequence[str], wanted: str) -> str:
    """The column of a name, in any case where it is not there as it is."""
    if wanted in columns:
        return wanted
    for name in columns:
        if name.strip().lower() == wanted:
            return name
    raise ValueError(
        f"there is no column {wanted!r}; needed are {TIME!r} (time), {FAILED!r} (failures) "
        f"and {ALL!r} (all); all other columns are attributes"
    )


def seconds_of(text: str) -> float | None:
    """Seconds since the epoch of a time: a number of seconds (milli-, micro-, nanoseconds), or
    ISO 8601 (UTC where it names no zone). None if it is neither."""
    try:
        return seconds_read(text)
    except ValueError:
        return None


def _place(times: list[str], at: str) -> tuple[str, dict[str, float]]:
    """The time of the column that is meant, and the order of all."""
    if not times:
        raise ValueError("there are no rows")
    seconds = {time: seconds_of(time) for time in times}
    order = {time: second for time, second in seconds.items() if second is not None}
    wanted = at.strip()
    if wanted in times and wanted not in order:
        # Times of a form of their own are compared as text.
        return wanted, {time: float(place) for place, time in enumerate(times)}
    if wanted in order:
        return wanted, order
    moment = seconds_of(wanted)
    if moment is None:
        raise ValueError(
            f"--at {at!r} is neither a value of the column {TIME!r} nor a time; write it as there "
            f"({times[0]!r} to {times[-1]!r}), in RFC 3339, or in seconds since the epoch"
        )
    before = [time for time in order if order[time] <= moment]
    found = max(before, key=order.__getitem__, default=None)
    if found is None or moment - order[found] >= _step(sorted(order.values())):
        raise ValueError(
            f"no row has the time {at!r}; the column {TIME!r} goes from {times[0]!r} to "
            f"{times[-1]!r}"
        )
    return found, order


def _step(seconds: list[float]) -> float:
    """The usual distance of two times; a minute where there is one."""
    gaps = sorted(b - a for a, b in pairwise(seconds) if b > a)
    return gaps[len(gaps) // 2] if gaps else 60.0


def _text(line: Mapping[str, str | None], name: str) -> str:
    return (line.get(name) or "").strip()


def _count(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= _MOST else None

"""Figures of windows as they were known when they were judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerting.domain.rules.windows import MINUTE, Minutes, Sums, Windows
from analytics.domain.known import Late, minute_number, missing

_ONE: Final = np.ones(1, dtype=np.int64)


class LatePart(NamedTuple):
    """A part of a minute that came late: whose it is and from which end of a minute on it counts."""

    service: str
    minute: datetime
    known_from: datetime
    sums: Sums


class Longest(NamedTuple):
    """The longest call of a service's minute, and of those of its calls that came in time."""

    service: str
    all_ns: int
    prompt_ns: int


@dataclass
class LateParts:
    """The late parts in the order of their minutes, and of those minutes the longest calls."""

    parts: list[LatePart] = field(default_factory=list)
    longest: Mapping[datetime, Sequence[Longest]] = field(default_factory=dict)


class KnownWindows(Windows):
    """Windows whose late parts count only where they are judged after they came.

    `ends` are those that are judged as of themselves, each a minute after the one before.
    """

    def __init__(
        self, minutes: Minutes, width: timedelta, late: LateParts, ends: Sequence[datetime]
    ) -> None:
        super().__init__(minutes, width)
        self._late = late
        self._columns = _columns([part.sums for part in late.parts])
        self._starts = _numbers([part.minute for part in late.parts])
        self._known = _numbers([part.known_from for part in late.parts])
        self._affected = self._ends_affected(ends)

    def counts_known(self, end: datetime, judged: datetime) -> tuple[int, int]:
        """Calls and errors, as they were known at an end of a minute."""
        calls, errors = self.counts(end)
        unknown = self._unknown(end, judged)
        if unknown is None:
            return calls, errors
        less = self._columns[unknown, :2].sum(axis=0)
        return calls - int(less[0]), errors - int(less[1])

    def sums_known(self, end: datetime, judged: datetime) -> Sums:
        """Everything, as it was known at an end of a minute."""
        found = self.sums(end)
        unknown = self._unknown(end, judged)
        if unknown is None:
            return found
        less = self._columns[unknown].sum(axis=0).tolist()
        buckets = tuple(a - b for a, b in zip(found.buckets, less[2:], strict=True))
        by_service = Counter(found.by_service)
        for place in unknown:
            part = self._late.parts[place]
            by_service[part.service] -= part.sums.calls or part.sums.errors
        return Sums(
            found.calls - less[0],
            found.errors - less[1],
            self._longest(end, judged, unknown) if found.buckets else 0,
            buckets,
            {name: count for name, count in by_service.items() if count > 0},
        )

    def _unknown(self, end: datetime, judged: datetime) -> NDArray[np.intp] | None:
        """The places of the parts of a window that were not known; None where all were."""
        if not self._late.parts or (end == judged and end not in self._affected):
            return None
        first, last = self._places(end)
        found = first + np.flatnonzero(self._known[first:last] > minute_number(judged))
        return found if len(found) else None

    def _ends_affected(self, ends: Sequence[datetime]) -> frozenset[datetime]:
        if not self._late.parts or not ends:
            return frozenset()
        late = Late(self._starts, self._known, np.broadcast_to(_ONE, len(self._starts)))
        counts = missing(late, minute_number(ends[0]), len(ends), self.width // MINUTE)
        return frozenset(end for end, count in zip(ends, counts.tolist(), strict=True) if count)

    def _longest(self, end: datetime, judged: datetime, unknown: NDArray[np.intp]) -> int:
        """Late calls may have been the longest of their minutes."""
        told = {(self._late.parts[n].service, self._late.parts[n].minute) for n in unknown}
        minutes = {minute for _, minute in told}
        longest = max(
            (sums.longest_ns for at, sums in self.within(end) if at not in minutes), default=0
        )
        for minute in minutes:
            for each in self._late.longest.get(minute, ()):
                whole = (each.service, minute) not in told
                longest = max(longest, each.all_ns if whole else each.prompt_ns)
        first, last = self._places(end)
        for part in self._late.parts[first:last]:
            if part.known_from <= judged:
                longest = max(longest, part.sums.longest_ns)
        return longest

    def _places(self, end: datetime) -> tuple[int, int]:
        """From where on and up to where the parts of a window stand."""
        number = minute_number(end)
        found = np.searchsorted(self._starts, [number - self.width // MINUTE, number])
        return int(found[0]), int(found[1])


def _numbers(moments: list[datetime]) -> NDArray[np.int64]:
    return np.array([minute_number(each) for each in moments], dtype=np.int64)


def _columns(parts: list[Sums]) -> NDArray[np.int64]:
    """A row of calls, errors and buckets for each."""
    rows: list[Any] = [(each.calls, each.errors, *each.buckets) for each in parts]
    return np.array(rows or np.empty((0, 2)), dtype=np.int64)

"""Spans of time: when something held, and for how long of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Span = tuple[float, float]


class Spans:
    """Spans that do not overlap, in their order; each holds from its begin until before its end."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = [span for span in spans if span[1] > span[0]]
        self._begins = [begin for begin, _ in self._spans]

    def seconds(self, begin: float, end: float) -> float:
        """How much of the time from `begin` to `end` they cover."""
        covered = 0.0
        for place in range(max(0, bisect_right(self._begins, begin) - 1), len(self._spans)):
            since, until = self._spans[place]
            if since >= end:
                break
            covered += max(0.0, min(end, until) - max(begin, since))
        return covered

    def hold(self, moment: float) -> bool:
        """Whether one of them covers this moment."""
        place = bisect_right(self._begins, moment) - 1
        return place >= 0 and moment < self._spans[place][1]

    def both(self, other: Spans) -> Spans:
        """When these and the others hold."""
        found: list[Span] = []
        mine, theirs = 0, 0
        while mine < len(self._spans) and theirs < len(other._spans):
            a, b = self._spans[mine], other._spans[theirs]
            found.append((max(a[0], b[0]), min(a[1], b[1])))
            if a[1] < b[1]:
                mine += 1
            else:
                theirs += 1
        return Spans(found)


def rejecting(course: Sequence[tuple[float, float]], end: float) -> Spans:
    """When a breaker rejected calls: `course` tells from when on it did so until when."""
    begins = [*(begin for begin, _ in course[1:]), end]
    return Spans(
        (begin, min(until, following))
        for (begin, until), following in zip(course, begins, strict=True)
    )

"""The geometry of sparklines: numbers in, SVG paths out. A missing value is a gap, never a zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

WIDTH: Final = 100.0
HEIGHT: Final = 24.0
_PAD: Final = 1.5


@dataclass(frozen=True)
class Sparkline:
    """Paths in a box of `WIDTH` × `HEIGHT`; both empty when there is nothing to draw."""

    line: str
    area: str


def sparkline(values: Sequence[float | None]) -> Sparkline:
    """The line through `values`, which are evenly spaced, over a floor of zero."""
    known = [value for value in values if value is not None]
    if not known:
        return Sparkline("", "")
    low, high = min(0.0, *known), max(0.0, *known)
    span = (high - low) or 1.0
    step = WIDTH / max(1, len(values) - 1)
    floor = _place(0.0, low, span)
    line, area = [], []
    for run in _runs(values):
        points = [(index * step, _place(value, low, span)) for index, value in run]
        if len(points) == 1:
            # A lone sample between gaps must be seen: a short dash.
            x, y = points[0]
            points = [(max(0.0, x - 1), y), (min(WIDTH, x + 1), y)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        line.append(f"M{path}")
        area.append(f"M{points[0][0]:.1f} {floor:.1f}L{path}L{points[-1][0]:.1f} {floor:.1f}Z")
    return Sparkline("".join(line), "".join(area))


def _place(value: float, low: float, span: float) -> float:
    return HEIGHT - _PAD - (value - low) / span * (HEIGHT - 2 * _PAD)


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Stretches without a gap, each as (position, value)."""
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    run = known[:1]
    for before, after in pairwise(known):
        if after[0] != before[0] + 1:
            yield run
            run = []
        run.append(after)
    if run:
        yield run

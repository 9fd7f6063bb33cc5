"""How unlike anything before the last values are: the distance to the nearest past shape."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# The values that make a shape: long enough for a spike with its surroundings, short enough to
# tell of it soon.
SHAPE: Final = 20
# Shapes that are remembered: 3 days of steps of five minutes, 16 hours of minutes.
MEMORY: Final = 1000
# How many of a shape's values are compared before others are left out.
_FIRST: Final = 8
_LENGTH: Final = MEMORY + 2 * SHAPE


class Novelty:
    """A series' past shapes, and the distance of its present one from the nearest of them."""

    def __init__(self) -> None:
        self._values: NDArray[np.float64] = np.zeros(2 * _LENGTH)
        # All shapes in them, as a view.
        self._shapes = sliding_window_view(self._values, SHAPE)
        self._end = 0

    def distance(self, value: float) -> float | None:
        """Take the next value; the distance of the shape that it ends, None while none is past."""
        if self._end == len(self._values):
            self._values[:_LENGTH] = self._values[-_LENGTH:]
            self._end = _LENGTH
        self._values[self._end] = value
        self._end += 1
        if self._end < 2 * SHAPE:
            return None
        start = max(0, self._end - _LENGTH)
        last = self._end - SHAPE
        past, shapes = self._values[start:last], self._shapes[start : last - SHAPE + 1]
        return math.sqrt(_nearest(past, shapes, self._values[last : self._end]))

    def dump(self) -> NDArray[np.float64]:
        """The values that are remembered."""
        return self._values[max(0, self._end - _LENGTH) : self._end].copy()

    @classmethod
    def load(cls, values: NDArray[np.float64]) -> Novelty:
        """What `dump` wrote."""
        novelty = cls()
        novelty._values[: len(values)] = values
        novelty._end = len(values)
        return novelty


def _nearest(
    past: NDArray[np.float64], shapes: NDArray[np.float64], shape: NDArray[np.float64]
) -> float:
    """The smallest squared distance of a shape from the past ones, `shapes` of `past`.

    The newest values of each are compared first. Mostly few shapes can still be nearer than the
    one that is nearest in those, and only they are compared in full.
    """
    # Differences and not products: what has been there before is at 0 exactly.
    count = len(shapes)
    squares = np.zeros(count)
    for offset in range(SHAPE - _FIRST, SHAPE):
        difference = past[offset : offset + count] - shape[offset]
        difference *= difference
        squares += difference
    likely = shapes[squares.argmin()] - shape
    nearest = float(likely @ likely)
    within = (squares < nearest).nonzero()[0]
    if len(within):
        differences = shapes[within] - shape
        differences *= differences
        nearest = min(nearest, float(differences.sum(axis=1).min()))
    return nearest

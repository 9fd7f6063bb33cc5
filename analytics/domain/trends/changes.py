"""Change points: where a series went over to another level and stayed there.

The split into levels that costs least, each further level at a price (optimal partitioning with
squared errors). Values are clipped, so that a spike is no level, and the price goes by how far a
series wanders by itself, so that one that drifts back and forth has no changes but noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from analytics.domain.forecasts.grid import Floats

LEAST: Final = 12
SHORTEST: Final = 4
# Longer series are averaged down to this many parts: the work grows with their square.
_MOST: Final = 400
# Changes are not told finer than this part of the spread of the series, however smooth it is.
_FLOOR: Final = 0.05
_CLIP: Final = 4.0
_PRICE: Final = 4.0
_WANDERS: Final = 0.9


@dataclass(frozen=True)
class Change:
    """From step `index` on the level is `after`; it was `before`."""

    index: int
    before: float
    after: float


def changes_of(values: Floats, season: int = 1) -> list[Change] | None:
    """The changes of a series, oldest first; None where it has too few values to tell.

    Gaps (NaN) are left out; the daily or weekly rhythm of `season` steps is no change, nor is what
    lasts less than it.
    """
    places = np.flatnonzero(np.isfinite(values))
    if len(places) < LEAST:
        return None
    known = values[places]
    # Of what is positive the rhythm grows with the level, and a change is one of proportion.
    scaled = np.log(known) if season > 1 and known.min() > 0 else known
    even = _without_season(scaled, places, season)
    width = -(-len(even) // _MOST)
    starts = np.arange(0, len(even), width)
    parts = np.add.reduceat(even, starts) / np.diff(np.append(starts, len(even)))
    # What lasts no whole season may be its rhythm, which grows and shrinks with the level.
    shortest = max(SHORTEST, -(-season // width) if season > 1 else 0)
    low, high = np.quantile(scaled, (0.25, 0.75))
    borders = [int(starts[border]) for border in _borders(parts, shortest, _FLOOR * (high - low))]
    edges = [0, *borders, len(known)]
    levels = [float(np.median(known[a:b])) for a, b in pairwise(edges)]
    return [
        Change(int(places[border]), before, after)
        for border, (before, after) in zip(borders, pairwise(levels), strict=True)
    ]


def _without_season(known: Floats, places: np.typing.NDArray[np.intp], season: int) -> Floats:
    if season < 2 or len(known) < 2 * season:
        return known
    phase = places % season
    moved = known - np.median(known)
    usual = np.array(
        [
            np.median(moved[phase == part]) if (phase == part).any() else 0.0
            for part in range(season)
        ]
    )
    rest: Floats = known - usual[phase]
    return rest


def _borders(values: Floats, shortest: int, floor: float) -> list[int]:
    count = len(values)
    apart = np.diff(values)
    noise = float(np.median(np.abs(apart - np.median(apart)))) * 1.4826 / math.sqrt(2)
    if noise == 0:
        # More than half of it is constant: what differs at all is told by the rest.
        noise = float(np.abs(apart).mean()) / 2
    noise = max(noise, floor)
    if noise == 0 or count < 2 * shortest:
        return []
    middle = float(np.median(values))
    scaled = (values - middle) / noise
    # Spikes are clipped against their own neighbourhood: a level far away is no spike.
    around = np.array(
        [np.median(scaled[max(0, i - 3) : i + 4]) for i in range(count)], dtype=np.float64
    )
    scaled = around + np.clip(scaled - around, -_CLIP, _CLIP)
    price = _PRICE * math.log(count) * _wandering(apart)
    sums = np.concatenate(([0.0], np.cumsum(scaled)))
    squares = np.concatenate(([0.0], np.cumsum(scaled**2)))
    best = np.full(count + 1, np.inf)
    best[0] = -price
    origin = np.zeros(count + 1, dtype=np.int64)
    for end in range(shortest, count + 1):
        begin = np.arange(0, end - shortest + 1)
        length = end - begin
        cost = squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / length
        total = best[begin] + cost + price
        chosen = int(total.argmin())
        best[end], origin[end] = total[chosen], begin[chosen]
    found: list[int] = []
    end = count
    while origin[end] > 0:
        end = int(origin[end])
        found.append(end)
    return found[::-1]


def _wandering(apart: Floats) -> float:
    """How many times more a mean of such values varies than one of independent values: by the
    correlation of neighbours, told from their differences, which levels hardly touch."""
    limit = float(np.quantile(np.abs(apart), 0.95))
    steps = np.clip(apart, -limit, limit)
    spread = float(steps @ steps)
    if spread == 0:
        return 1.0
    together = float(steps[:-1] @ steps[1:]) / spread
    like = min(_WANDERS, max(0.0, 1 + 2 * together))
    # The noise is told from the same differences, which are smaller where neighbours are alike.
    return (1 + like) / (1 - like) ** 2

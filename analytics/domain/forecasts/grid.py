"""Values at any times, put on a grid of equal steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Older steps than these are left out, so that one gap of years or one odd step costs no memory.
LONGEST: Final = 60_000


@dataclass(frozen=True)
class Grid:
    """Values of steps of `step` seconds, oldest first; NaN where nothing was seen.

    `last` is the time of the newest step, in seconds since the epoch.
    """

    step: float
    last: float
    values: Floats

    @property
    def observed(self) -> int:
        """How many steps have a value."""
        return int(np.isfinite(self.values).sum())


def grid_of(times: Sequence[float], values: Sequence[float | None]) -> Grid:
    """The grid of rows in any order: its step is the median distance between their times.

    Several values within one step are averaged; what is missing, NaN or infinite is a gap. The
    grid ends with the newest row, whose own value may be missing; a single row gives a step of 0.
    """
    at = np.asarray(times, dtype=np.float64)
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    found[~np.isfinite(found)] = np.nan
    order = np.argsort(at, kind="stable")
    at, found = at[order], found[order]
    apart = np.diff(at)
    apart = apart[apart > 0]
    if not len(at):
        return Grid(0.0, 0.0, np.empty(0))
    if not len(apart):
        seen = found[np.isfinite(found)]
        return Grid(0.0, float(at[-1]), np.array([seen.mean() if len(seen) else np.nan]))
    step = float(np.median(apart))
    back = np.rint((at[-1] - at) / step)
    kept = back < LONGEST
    place = back[kept].astype(np.int64)
    size = int(place.max()) + 1
    place = size - 1 - place
    seen = np.isfinite(found[kept])
    place, given = place[seen], found[kept][seen]
    count = np.bincount(place, minlength=size)
    # Shares are added up, not values: the sum of the largest floats is no number.
    mean = np.full(size, np.nan)
    share = np.bincount(place, given / count[place], minlength=size)
    mean[count > 0] = share[count > 0]
    return Grid(step, float(at[-1]), mean)


def bridged(values: Floats, season: int) -> Floats:
    """The values with gaps filled: short ones by a line, long ones by the season before.

    What lies before the first value is cut off.
    """
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return np.empty(0)
    filled = values[known[0] :].copy()
    known = known - known[0]
    places = np.arange(len(filled))
    line = np.interp(places, known, filled[known])
    missing = ~np.isfinite(filled)
    if not missing.any():
        return filled
    edges = np.flatnonzero(np.diff(np.concatenate(([0], missing.astype(np.int8), [0]))))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if season > 1 and end - begin > season // 4 and begin >= season:
            for place in range(begin, end):
                filled[place] = filled[place - season]
        else:
            filled[begin:end] = line[begin:end]
    return filled

"""Drift that is more than chance: Theil and Sen's slope, Mann and Kendall's test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.domain.forecasts.grid import Floats

# Blocks of a series whose medians are compared: enough to test, few enough to be independent.
BLOCKS: Final = 12
LEAST: Final = 8
_SURPRISE: Final = 1.96


@dataclass(frozen=True)
class Slope:
    """The change per step; `significant` where chance gives as much less than once in twenty
    series; `error` is the standard error of `per_step`."""

    per_step: float
    significant: bool
    error: float


def slope_of(values: Floats) -> Slope | None:
    """The slope of a series, gaps (NaN) left out; None with fewer than eight values."""
    places = np.flatnonzero(np.isfinite(values))
    if len(places) < LEAST:
        return None
    parts = np.array_split(places, min(BLOCKS, len(places)))
    at = np.array([float(part.mean()) for part in parts])
    level = np.array([float(np.median(values[part])) for part in parts])
    before, after = np.triu_indices(len(parts), 1)
    slopes = (level[after] - level[before]) / (at[after] - at[before])
    count = len(parts)
    balance = abs(float(np.sign(level[after] - level[before]).sum()))
    chance = float(np.sqrt(count * (count - 1) * (2 * count + 5) / 18))
    per_step = float(np.median(slopes))
    rest = level - per_step * at
    spread = float((rest - rest.mean()).std(ddof=2))
    error = spread / float(np.sqrt(((at - at.mean()) ** 2).sum()))
    return Slope(per_step, max(0.0, balance - 1) / chance > _SURPRISE, error)

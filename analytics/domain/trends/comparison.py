"""A series beside itself a week before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.domain.forecasts.grid import Floats

LEAST: Final = 8
# As many pairs as are taken to be independent of one another.
_PARTS: Final = 24
_SURPRISE: Final = 1.96


@dataclass(frozen=True)
class Comparison:
    """Means of the steps that both times have; `ratio` is None where the one before was 0.

    `significant` where more steps moved to one side than chance explains (sign test).
    """

    now: float
    before: float
    pairs: int
    significant: bool

    @property
    def change(self) -> float:
        return self.now - self.before

    @property
    def ratio(self) -> float | None:
        return self.change / abs(self.before) if self.before else None


def compared(now: Floats, before: Floats) -> Comparison | None:
    """Compares steps by their place; None with fewer than eight that both have."""
    both = np.isfinite(now) & np.isfinite(before)
    pairs = int(both.sum())
    if pairs < LEAST:
        return None
    apart = now[both] - before[both]
    parts = np.array([float(part.mean()) for part in np.array_split(apart, min(_PARTS, pairs))])
    rose, fell = int((parts > 0).sum()), int((parts < 0).sum())
    moved = rose + fell
    surprise = (abs(rose - fell) - 1) / math.sqrt(moved) if moved else 0.0
    return Comparison(
        float(now[both].mean()), float(before[both].mean()), pairs, surprise > _SURPRISE
    )

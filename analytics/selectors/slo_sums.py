"""Sums up to bounds: what objectives are counted by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.domain.slos.objectives import Count


@dataclass(frozen=True)
class Sums:
    """What was bad, and all, from the first bound up to each bound, in whole parts."""

    bad: NDArray[np.int64]
    total: NDArray[np.int64]

    def between(self, first: int, last: int) -> Count:
        """From one bound to a later one, each by its number."""
        return Count(
            int(self.bad[last] - self.bad[first]), int(self.total[last] - self.total[first])
        )

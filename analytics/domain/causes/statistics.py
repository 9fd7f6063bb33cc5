"""The few figures that evidence is weighed by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# A normal distribution's interquartile range in standard deviations.
_IQR = 1.349


def likelihood(now: int, of: int, then: int, of_then: int) -> float:
    """How unlikely it is that two shares are the same: the G statistic, 0 without data."""
    if of <= 0 or of_then <= 0:
        return 0.0
    together = _log_likelihood(now + then, of + of_then)
    apart = _log_likelihood(now, of) + _log_likelihood(then, of_then)
    return max(0.0, 2 * (apart - together))


def _log_likelihood(hits: int, of: int) -> float:
    if hits <= 0 or hits >= of:
        return 0.0
    share = hits / of
    return hits * math.log(share) + (of - hits) * math.log(1 - share)


def spread(values: Sequence[float]) -> float:
    """The robust standard deviation of values: of the middle half, so that no outlier counts."""
    low, high = np.percentile(np.asarray(values, dtype=float), [25, 75])
    return float(high - low) / _IQR


def middle(values: Sequence[float]) -> float:
    """The median."""
    return float(np.median(np.asarray(values, dtype=float)))

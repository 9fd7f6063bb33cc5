"""The few figures that evidence is weighed by."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    ordered = sorted(values)
    return (_at(ordered, 0.75) - _at(ordered, 0.25)) / _IQR


def share_below(values: Sequence[float], share: float) -> float:
    """The value below which a share (0..1) of the values lies, read between two of them."""
    return _at(sorted(values), share)


def _at(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def mean(values: Sequence[float]) -> float:
    """The mean."""
    return math.fsum(values) / len(values)


def middle(values: Sequence[float]) -> float:
    """The median."""
    return _at(sorted(values), 0.5)

"""A fixed histogram of durations: 64 buckets whose bounds grow by a quarter.

Bucket 0 holds all up to 0.1 ms, the last all from about 100 s. Adding two histograms is adding
their counts, whatever minute, process or service they come from. A quantile read from it is off
by at most 12 % of its value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BUCKETS = 64
_FIRST_NS = 100_000
_GROWTH = 1.25
_LOG_GROWTH = math.log(_GROWTH)

UPPER_NS: list[float] = [_FIRST_NS * _GROWTH**i for i in range(BUCKETS - 1)] + [math.inf]


def bucket(duration_ns: int) -> int:
    """The index of the bucket that counts a duration."""
    if duration_ns <= _FIRST_NS:
        return 0
    return min(BUCKETS - 1, math.ceil(math.log(duration_ns / _FIRST_NS) / _LOG_GROWTH - 1e-9))


def empty() -> list[int]:
    return [0] * BUCKETS


def quantile_ns(counts: Sequence[int], q: float, maximum_ns: float = math.inf) -> float | None:
    """The duration below which a share `q` (0..1) of the calls stayed, in nanoseconds.

    Interpolates inside the bucket; None without calls; never more than `maximum_ns`.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank = q * total
    seen = 0
    for index, count in enumerate(counts):
        if count and seen + count >= rank:
            lower = UPPER_NS[index - 1] if index else 0.0
            upper = UPPER_NS[index]
            if math.isinf(upper):
                upper = max(lower, maximum_ns if math.isfinite(maximum_ns) else lower * _GROWTH)
            share = max(0.0, rank - seen) / count
            return min(lower + (upper - lower) * share, maximum_ns)
        seen += count
    return min(UPPER_NS[-2], maximum_ns)

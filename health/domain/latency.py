"""Latencies of checks as counts in buckets whose bounds grow by a tenth.

Two histograms are added by adding their counts, whatever hour or check they come from. A
percentile read from one is within 5 % of the latency that has this rank among all that were
counted, from 0.01 ms to 400 s. Only the buckets in use are kept: an hour of a check uses about
twenty.

Not the histogram of calls (`analytics.domain.histogram`): that one is a fixed array of 64 buckets,
which the store adds up, and four times as coarse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

LOWEST_MS: Final = 0.01
GROWTH: Final = 1.1
# The last bucket ends at about 400 s, above the longest timeout.
LAST: Final = 184
RELATIVE_ERROR: Final = 0.05
PERCENTILES: Final = (0.5, 0.95, 0.99)

# Of a bucket's bounds, this multiple of the lower one is off from both by the same share.
_MIDDLE: Final = 2 * GROWTH / (1 + GROWTH)


def bucket(latency_ms: float) -> int:
    """The index of the bucket that counts a latency: 0 up to 0.01 ms, then bounds × 1.1."""
    if latency_ms <= LOWEST_MS:
        return 0
    return min(LAST, math.ceil(math.log(latency_ms / LOWEST_MS) / math.log(GROWTH)))


def upper_ms(index: int) -> float:
    """The longest latency that a bucket counts."""
    return LOWEST_MS * GROWTH**index


def merged(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """All counts added up."""
    result: dict[int, int] = {}
    for histogram in histograms:
        for index, count in histogram.items():
            result[index] = result.get(index, 0) + count
    return result


def percentile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """The latency that a `share` (0..1) of the runs did not exceed, in ms; None without runs."""
    runs = sum(counts.values())
    if runs == 0:
        return None
    rank = max(1, math.ceil(share * runs - 1e-9))
    seen = 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= rank:
            break
    return LOWEST_MS * GROWTH ** (index - 1) * _MIDDLE if index else LOWEST_MS

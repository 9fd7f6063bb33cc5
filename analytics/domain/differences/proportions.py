"""Whether two shares of failures differ by more than chance, in plain arithmetic."""

from __future__ import annotations

import math
from enum import StrEnum

# Failures and calls below which nothing is said.
MIN_CALLS = 30
SIGNIFICANT = 0.01


class Change(StrEnum):
    """What became of a share of failures."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    UNKNOWN = "not_enough_data"


def p_value(failed: int, calls: int, failed_before: int, calls_before: int) -> float:
    """The chance of so large a difference of two shares where both are alike (G-test)."""
    whole, all_failed = calls + calls_before, failed + failed_before
    if not calls or not calls_before:
        return 1.0
    gain = 0.0
    for part, size in ((failed, calls), (failed_before, calls_before)):
        for count, total in ((part, all_failed), (size - part, whole - all_failed)):
            if count > 0:
                gain += count * math.log(count * whole / (size * total))
    return math.erfc(math.sqrt(max(gain, 0.0)))


def change(failed: int, calls: int, failed_before: int, calls_before: int) -> Change:
    """How the share of failures differs from the one before."""
    if min(calls, calls_before) < MIN_CALLS:
        return Change.UNKNOWN
    if p_value(failed, calls, failed_before, calls_before) >= SIGNIFICANT:
        return Change.SAME
    return Change.WORSE if failed * calls_before > failed_before * calls else Change.BETTER

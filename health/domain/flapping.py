"""Flap detection after Nagios: the weighted share of changes among the last 21 results.

The newest change weighs 1.25, the oldest 0.75, evenly between. Flapping begins at the high
threshold and ends at the low one, so that it does not itself flap.
"""

from __future__ import annotations

import itertools
from typing import Final

RESULTS: Final = 21
START_PERCENT: Final = 30.0
STOP_PERCENT: Final = 15.0
_OLDEST, _NEWEST = 0.75, 1.25


def change_percent(history: str) -> float:
    """How much `history` changed between down (`d`) and not down, in percent of the most possible.

    A history that is not full yet counts as if it had not changed before.
    """
    pairs = list(itertools.pairwise(history))
    if not pairs:
        return 0.0
    step = (_NEWEST - _OLDEST) / (RESULTS - 2)
    weighted = 0.0
    for age, (before, after) in enumerate(reversed(pairs[-(RESULTS - 1) :])):
        if (before == "d") != (after == "d"):
            weighted += _NEWEST - age * step
    return 100.0 * weighted / (RESULTS - 1)


def is_flapping(history: str, was_flapping: bool) -> bool:
    """Whether a check flaps after the results of `history`."""
    threshold = STOP_PERCENT if was_flapping else START_PERCENT
    return change_percent(history) >= threshold

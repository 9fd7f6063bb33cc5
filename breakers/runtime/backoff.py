"""How long to wait before another attempt.

The kinds of jitter are those of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Literal

Jitter = Literal["full", "equal", "decorrelated"]
JITTERS = ("full", "equal", "decorrelated")


def exponential(attempt: int, base_delay: float, max_delay: float) -> float:
    """min(max_delay, base_delay · 2^(attempt−1)) in seconds, for attempts counted from 1."""
    try:
        return min(max_delay, math.ldexp(base_delay, attempt - 1))
    except OverflowError:
        return max_delay


def backoff(
    attempt: int,
    base_delay: float,
    max_delay: float,
    jitter: Jitter | None = "full",
    *,
    previous: float = 0.0,
    chance: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait after failed attempt number `attempt`.

    Full jitter is uniform from 0 to the exponential delay, equal jitter from half of it, and
    decorrelated jitter from `base_delay` to three times the `previous` wait. `chance` is uniform
    from 0 to 1.
    """
    if jitter == "decorrelated":
        low, high = base_delay, max(base_delay, 3 * previous)
        return min(max_delay, low + chance() * (high - low))
    delay = exponential(attempt, base_delay, max_delay)
    if jitter == "full":
        return chance() * delay
    if jitter == "equal":
        return delay / 2 + chance() * delay / 2
    return delay

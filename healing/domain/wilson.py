"""Wilson's score interval: what a share that was seen in few trials is at least, and at most."""

from __future__ import annotations

import math
from typing import Final

# Of a normal distribution: 95 % lie within so many standard deviations.
Z95: Final = 1.959963984540054


def wilson_lower(successes: int, trials: int, z: float = Z95) -> float:
    """The share of successes that is not less than this, with 97.5 % confidence; 0 of none."""
    bound = _bound(successes, trials, -z)
    return bound if successes else 0.0


def wilson_upper(successes: int, trials: int, z: float = Z95) -> float:
    """The share of successes that is not more than this, with 97.5 % confidence; 1 of none."""
    bound = _bound(successes, trials, z)
    return bound if successes < trials else 1.0


def _bound(successes: int, trials: int, z: float) -> float:
    if not 0 <= successes <= trials:
        raise ValueError("successes lie between none and all trials")
    if not trials:
        return 0.0
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    bound = (share + z * z / (2 * trials) + spread) / (1 + z * z / trials)
    return min(1.0, max(0.0, bound))

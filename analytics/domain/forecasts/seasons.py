"""Whether a series repeats itself by the minute, hour, day or week."""

from __future__ import annotations

from typing import Final

import numpy as np

from analytics.domain.forecasts.grid import Floats

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
# A season is told from fewer values once it is cut into this many parts.
_PARTS: Final = 24
# A correlation that chance gives once in two hundred such series, and one too weak to be of use.
_SURPRISE: Final = 2.58
_WEAKEST: Final = 0.1


def calendar_season(step: float) -> int:
    """The steps of the season that a series of this step (seconds) most likely has; 1 for none.

    A day, or a week for steps of a day.
    """
    for length in (DAY, WEEK):
        season = _whole(length, step)
        if season >= 4:
            return season
    return 1


def season_of(values: Floats, step: float) -> int:
    """The steps after which the values may repeat themselves; 1 where less than two were seen.

    A day, or a week for steps of a day, is worth trying always: forecasts that use it are weighed
    by how they did. With less history an hour or a minute is taken where it shows.
    """
    season = calendar_season(step)
    if len(values) >= 2 * season:
        return season
    for length in (HOUR, MINUTE):
        shorter = _whole(length, step)
        if shorter >= 4 and len(values) >= 2 * shorter and repetition(values, shorter) > 0:
            return shorter
    return 1


def repetition(values: Floats, season: int) -> float:
    """How strongly the values repeat themselves after `season` steps, 0..1; 0 where by chance.

    The correlation of the changes' ranks, so that neither drift nor single spikes count.
    """
    width = max(1, season // _PARTS)
    whole = len(values) // width * width
    parts = values[len(values) - whole :].reshape(-1, width).mean(axis=1)
    lag = round(season / width)
    changes = np.diff(parts)
    pairs = len(changes) - lag
    if pairs < 4 or np.ptp(changes) == 0:
        return 0.0
    ranks = _ranks(changes)
    ranks -= ranks.mean()
    found = float(ranks[:-lag] @ ranks[lag:] / (ranks @ ranks) * len(ranks) / pairs)
    return min(1.0, found) if found > max(_WEAKEST, _SURPRISE / float(np.sqrt(pairs))) else 0.0


def _ranks(values: Floats) -> Floats:
    """Ranks from 0; equal values share theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    middle: Floats = (ends - (count + 1) / 2)[place]
    return middle


def _whole(length: float, step: float) -> int:
    """How many steps make a length; 0 where they do not fit it."""
    if step <= 0:
        return 0
    steps = length / step
    return round(steps) if abs(steps - round(steps)) < 0.01 * steps / max(1.0, steps / 24) else 0

"""Whether and when a level will pass its limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.domain.forecasts.forecasting import NotEnough, forecast
from analytics.domain.forecasts.grid import Floats, Grid, bridged
from analytics.domain.trends.slopes import slope_of

LEAST: Final = 24
# How much of the past the drift is told from: four times as far as it is drawn out, at most.
_MEMORY: Final = 4
_BAND: Final = 1.96
_MOST: Final = 168


@dataclass(frozen=True)
class Passage:
    """How likely a level passes its limit within the horizon, and when, in steps from now.

    `expected` is when the level itself is expected there, `earliest` when the upper end of its
    95 % band is; None where that is not within the horizon. `level` is the level now.
    """

    level: float
    probability: float
    expected: int | None
    earliest: int | None


def passage_of(grid: Grid, limit: float, horizon: int) -> Passage | NotEnough:
    """When a level on equal steps passes `limit` from below, within `horizon` steps.

    One that drifts by more than chance is drawn out along its slope, with the slope's own error;
    any other is forecast. The probability is that of the step at which it is highest: a level that
    passes and comes back between two others is missed, so it errs on the low side.
    """
    seen = grid.observed
    if seen < LEAST:
        return NotEnough(f"not enough data: needs {LEAST} values, has {seen}")
    values = bridged(grid.values, 1)[-max(LEAST, _MEMORY * horizon) :]
    level = float(np.median(values[-3:]))
    if level >= limit:
        return Passage(level, 1.0, 0, 0)
    drawn = _drawn_out(values, level, horizon)
    if drawn is None:
        found = forecast(grid, min(horizon, _MOST))
        if isinstance(found, NotEnough):
            return found
        drawn = found.value, (found.upper - found.value) / _BAND
    middle, spread = drawn
    return _passed(level, limit, middle, spread)


def _drawn_out(values: Floats, level: float, horizon: int) -> tuple[Floats, Floats] | None:
    """The level drawn out along its slope, and the spread around it; None where it has no drift."""
    slope = slope_of(values)
    if slope is None or not slope.significant:
        return None
    rest = values - slope.per_step * np.arange(len(values))
    noise = float(np.median(np.abs(rest - np.median(rest)))) * 1.4826
    ahead = np.arange(1, horizon + 1, dtype=np.float64)
    # The level is the median of three values: it is one step behind the newest.
    return level + slope.per_step * (ahead + 1), np.sqrt(noise**2 + (slope.error * ahead) ** 2)


def _passed(level: float, limit: float, middle: Floats, spread: Floats) -> Passage:
    over = np.flatnonzero(middle >= limit)
    might = np.flatnonzero(middle + _BAND * spread >= limit)
    chances = [
        _above((each - limit) / width) if width > 0 else float(each >= limit)
        for each, width in zip(middle.tolist(), spread.tolist(), strict=True)
    ]
    return Passage(
        level,
        max(chances),
        int(over[0]) + 1 if len(over) else None,
        int(might[0]) + 1 if len(might) else None,
    )


def _above(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))

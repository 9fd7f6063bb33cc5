"""The forecast of a series: a combination that its own past chose, with a band of its own errors.

Rolling origins within the history show how well each expert would have done. Their weighted median
is the forecast; what it was off by there is the band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from analytics.domain.forecasts.experts import Shape, expert_forecasts, shape_of
from analytics.domain.forecasts.grid import Floats, Grid, bridged
from analytics.domain.forecasts.seasons import (
    HOUR,
    WEEK,
    calendar_season,
    repetition,
    season_of,
)

# As much history as can still be like the future, in seasons.
_MEMORY: Final = 42
_SEASONLESS_MEMORY: Final = 1000
_ORIGINS: Final = 24
# Experts are weighed by their mean error to this power: good ones lead, close ones share.
_POWER: Final = 4
_OUTSIDE: Final = 0.05
# Errors on the history that chose the weights are smaller than those to come.
_OPTIMISM: Final = 1.2
_LEAST: Final = 24
_LARGEST: Final = 1e150


@dataclass(frozen=True)
class Forecasted:
    """The next steps, the band that holds 95 % of what will be, and how the past was foretold.

    `mase` is the mean error at rolling origins by that of the seasonal naive forecast, `coverage`
    the share of what came after an origin that lay in the band of the others; None where the
    history is too short or too constant to say. `season` is the one tried, in steps; 1 for none.
    """

    value: Floats
    lower: Floats
    upper: Floats
    season: int
    mase: float | None
    coverage: float | None


@dataclass(frozen=True)
class NotEnough:
    """Why there is no forecast."""

    reason: str


def needed(step: float, horizon: int) -> int:
    """How many values a forecast of so many steps needs.

    Two seasons; of short steps thrice the horizon is enough, so that the next minutes can be told
    from the last hours.
    """
    season = calendar_season(step)
    unseasonal = max(_LEAST, 3 * horizon)
    if season == 1:
        return unseasonal
    return 2 * season if step >= HOUR else min(unseasonal, 2 * season)


def forecast(grid: Grid, horizon: int, *, ceiling: float = math.inf) -> Forecasted | NotEnough:
    """The next `horizon` steps of a series; none of its values is above `ceiling`."""
    wanted = needed(grid.step, horizon)
    if grid.step <= 0 or grid.observed < wanted:
        return NotEnough(f"not enough data: needs {wanted:,} values, has {grid.observed:,}")
    peak = float(np.nanmax(np.abs(grid.values)))
    if peak > _LARGEST:
        # Differences and sums of such values would not be finite.
        small = Grid(grid.step, grid.last, grid.values / peak)
        found = forecast(small, horizon, ceiling=ceiling / peak)
        return found if isinstance(found, NotEnough) else _times(found, peak)
    history, season, week = _prepared(grid)
    if np.isfinite(history[-wanted:]).sum() == 0 or len(history) < wanted:
        return NotEnough(f"not enough data: needs {wanted:,} values, has {len(history):,} of late")
    scale = float(np.abs(history).max()) or 1.0
    history = history / scale
    shape = shape_of(history, season, week)
    past = _rolled(history, shape, horizon)
    now = expert_forecasts(history, shape, horizon)
    value = weighted_median(now, past.weights)
    low, high = _band(past.errors, horizon)
    lower, upper = value + low, value + high
    if shape.positive:
        value, lower, upper = (np.maximum(each, 0.0) for each in (value, lower, upper))
    top = ceiling / scale
    value, upper = np.minimum(value, top), np.minimum(upper, top)
    lower = np.minimum(lower, value)
    return Forecasted(
        value * scale, lower * scale, np.maximum(upper, value) * scale, season,
        _mase(history, season, past.errors), _coverage(past.errors),
    )  # fmt: skip


def _times(found: Forecasted, peak: float) -> Forecasted:
    """A forecast of values that were divided by `peak`, none of them too large for a number."""
    most = np.finfo(np.float64).max / peak
    value, lower, upper = (
        np.clip(each, -most, most) * peak for each in (found.value, found.lower, found.upper)
    )
    return replace(found, value=value, lower=lower, upper=upper)


def _prepared(grid: Grid) -> tuple[Floats, int, int]:
    """The bridged history that counts, its season and its week (0 where it shows none)."""
    guess = calendar_season(grid.step)
    season = season_of(bridged(grid.values, guess), grid.step)
    memory = _MEMORY * season if season > 1 else _SEASONLESS_MEMORY
    history = bridged(grid.values, season)[-memory:]
    week = round(WEEK / grid.step) if season > 1 else 0
    # Three weeks to learn from at the first origin, one more to be tried on.
    if week <= season or len(history) < 4 * week or repetition(history, week) == 0:
        week = 0
    return history, season, week


# --- Rolling origins -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rolled:
    """How the experts did at rolling origins: their weights, and the combination's errors there
    (a row per origin, a column per step ahead)."""

    weights: Floats
    errors: Floats


def _rolled(history: Floats, shape: Shape, horizon: int) -> _Rolled:
    length = len(history)
    first = max(3 * shape.week, min(3 * shape.block, length // 2), length // 3)
    ahead = max(1, min(horizon, (length - first) // 2))
    origins = np.unique(np.linspace(first, length - ahead, _ORIGINS).astype(int))
    said = np.array([expert_forecasts(history[:origin], shape, ahead) for origin in origins])
    came = np.array([history[origin : origin + ahead] for origin in origins])
    said = said.transpose(1, 0, 2)
    error = np.abs(said - came).mean(axis=(1, 2))
    # What was foretold to the last digit needs no weighing against what nearly was.
    error = np.maximum(error, 1e-9)
    weights = (error / error.min()) ** -_POWER
    together = weighted_median(said, weights)
    if shape.positive:
        together = np.maximum(together, 0.0)
    return _Rolled(weights, came - together)


def weighted_median(rows: Floats, weights: Floats) -> Floats:
    """The median over the first axis, each row with its weight."""
    order = np.argsort(rows, axis=0, kind="stable")
    share = np.cumsum(weights[order], axis=0)
    middle = (share >= share[-1] / 2).argmax(axis=0)
    found: Floats = np.take_along_axis(
        np.take_along_axis(rows, order, axis=0), middle[None], axis=0
    )[0]
    return found


# --- Bands ---------------------------------------------------------------------------------------


def _band(errors: Floats, horizon: int) -> tuple[Floats, Floats]:
    """How far below and above the forecast 95 % of what comes will lie, per step ahead.

    The mean of the errors' quantiles near that step and over all steps, as origins are few.
    """
    ahead = errors.shape[1]
    quantiles = (_OUTSIDE / 2, 1 - _OUTSIDE / 2)
    whole = np.quantile(errors, quantiles)
    reach = max(2, ahead // 12)
    near = np.array(
        [
            np.quantile(errors[:, max(0, step - reach) : step + reach + 1], quantiles)
            for step in range(ahead)
        ]
    )
    sides = (near + whole) / 2 * _OPTIMISM
    # Beyond what could be tried, errors grow as those of a random walk.
    beyond = np.sqrt(np.maximum(1.0, np.arange(1, horizon + 1) / ahead))
    sides = sides[np.minimum(np.arange(horizon), ahead - 1)] * beyond[:, None]
    return np.minimum(sides[:, 0], 0.0), np.maximum(sides[:, 1], 0.0)


def _coverage(errors: Floats) -> float | None:
    """The share of each origin's errors that lies in the band of the other origins."""
    if len(errors) < 4:
        return None
    inside = []
    for origin, own in enumerate(errors):
        low, high = _band(np.delete(errors, origin, axis=0), errors.shape[1])
        inside.append(np.mean((own >= low - 1e-12) & (own <= high + 1e-12)))
    return float(np.mean(inside))


def _mase(history: Floats, season: int, errors: Floats) -> float | None:
    naive = float(np.abs(history[season:] - history[:-season]).mean())
    return float(np.abs(errors).mean()) / naive if naive > 0 else None


def forecast_values(
    values: Sequence[float | None], *, step: float, horizon: int, ceiling: float = math.inf
) -> Forecasted | NotEnough:
    """The forecast of values at equal steps (seconds), None for gaps."""
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    found[~np.isfinite(found)] = np.nan
    return forecast(Grid(step, 0.0, found), horizon, ceiling=ceiling)

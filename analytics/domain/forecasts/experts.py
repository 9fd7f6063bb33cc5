"""Simple forecasts that are good at different series; a combination of them is good at most.

Each takes the bridged history of a series, and gives the next steps. All go by medians: single
spikes, of which figures of services are full, move none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.domain.forecasts.grid import Floats

# Seasons that the profiles are medians of: the last week (of days), and all of four weeks.
_SHORT: Final = 7
_LONG: Final = 28
# A level's weight halves within this part of a season, and fades out after that many seasons.
_FAST: Final = (0.125, 0.5)
_SLOW: Final = (0.5, 2.0)
# Without a season, levels and slopes are of this many steps.
_BLOCK: Final = 24
_WEEKS: Final = 4
# Medians rise or fall by chance once in a hundred series of them.
_SURPRISE: Final = 2.58
_TREND_BLOCKS: Final = 14


@dataclass(frozen=True)
class Shape:
    """What is known of a series before it is forecast; the same for all of its parts.

    `season` and `week` are steps, 1 and 0 for none.
    """

    season: int
    week: int
    positive: bool
    trending: bool

    @property
    def block(self) -> int:
        return self.season if self.season > 1 else _BLOCK


def shape_of(history: Floats, season: int, week: int) -> Shape:
    """The shape of a bridged history."""
    block = season if season > 1 else _BLOCK
    return Shape(season, week, bool(history.min() >= 0), _trending(history, block))


def expert_forecasts(history: Floats, shape: Shape, horizon: int) -> Floats:
    """The forecasts of all experts, one row each; which there are goes by the shape alone."""
    ahead = np.arange(1, horizon + 1)
    season = shape.season
    rows = [
        np.full(horizon, _mean_level(history, 1.0)),
        np.full(horizon, _level(history, 2.0)),
        np.full(horizon, _level(history, float(shape.block))),
    ]
    steady = rows[-1]
    if season > 1:
        rows.append(np.resize(history[-season:], horizon))
        for seasons in (_SHORT, _LONG):
            profile = _profile(history, season, seasons)
            rest = history - _over(profile, len(history))
            for half, fade in (_FAST, _SLOW):
                level = _level(rest, half * season)
                rows.append(np.resize(profile, horizon) + level * np.exp(-ahead / (fade * season)))
        # The same without levels of whole seasons: a step to a new level stays.
        profile = _shape_profile(history, season, 2 * _SHORT)
        rest = history - _over(profile, len(history))
        rows.extend(
            np.resize(profile, horizon) + _level(rest, half * season) for half in (0.125, 0.5)
        )
        steady = rows[-1]
    if season > 1 and shape.positive:
        rows.append(_scaled(history, season, horizon))
    if shape.week:
        profile = _profile(history, shape.week, _WEEKS)
        rest = history - _over(profile, len(history))
        rows.append(
            np.resize(profile, horizon) + _level(rest, season / 2) * np.exp(-ahead / season)
        )
    if shape.trending:
        rows.append(steady + _slope(history, shape.block) / 2 * (shape.block / 2 + ahead))
    return np.array(rows)


def _scaled(history: Floats, season: int, horizon: int) -> Floats:
    """The profile times the root of how the last half season compares with it."""
    profile = _profile(history, season, 2 * _SHORT)
    recent = max(1, season // 2)
    usual = float(_over(profile, len(history))[-recent:].sum())
    ratio = float(history[-recent:].sum()) / usual if usual > 0 else 1.0
    return np.resize(profile, horizon) * float(np.sqrt(np.clip(ratio, 0.2, 5.0)))


def _profile(history: Floats, season: int, seasons: int) -> Floats:
    """The median season of the last ones; it begins where the history ends."""
    last = _seasons(history, season, seasons)
    found: Floats = np.median(last, axis=0)
    return found


def _shape_profile(history: Floats, season: int, seasons: int) -> Floats:
    last = _seasons(history, season, seasons)
    found: Floats = np.median(last - np.median(last, axis=1, keepdims=True), axis=0)
    return found


def _seasons(history: Floats, season: int, most: int) -> Floats:
    count = max(1, min(len(history) // season, most))
    return history[len(history) - count * season :].reshape(count, season)


def _over(profile: Floats, length: int) -> Floats:
    """A profile repeated so that it ends with a history of that length."""
    season = len(profile)
    begin = -length % season
    return np.resize(profile, length + season)[begin : begin + length]


def _level(values: Floats, half: float) -> float:
    """The median of the last values, weights halving every `half` steps."""
    weights = _fading(len(values), half)
    recent = values[-len(weights) :]
    order = np.argsort(recent, kind="stable")
    share = np.cumsum(weights[order])
    return float(recent[order][np.searchsorted(share, share[-1] / 2)])


def _mean_level(values: Floats, half: float) -> float:
    weights = _fading(len(values), half)
    return float(values[-len(weights) :] @ weights / weights.sum())


def _fading(length: int, half: float) -> Floats:
    count = min(length, int(half * 6) + 1)
    weights: Floats = 0.5 ** (np.arange(count)[::-1] / half)
    return weights


def _block_medians(history: Floats, block: int) -> Floats:
    found: Floats = np.median(_seasons(history, block, _TREND_BLOCKS), axis=1)
    return found


def _slope(history: Floats, block: int) -> float:
    """Theil and Sen's slope per step, of the medians of blocks."""
    if len(history) < 3 * block:
        return 0.0
    medians = _block_medians(history, block)
    before, after = np.triu_indices(len(medians), 1)
    return float(np.median((medians[after] - medians[before]) / (after - before))) / block


def _trending(history: Floats, block: int) -> bool:
    """Whether the blocks' medians rise or fall by more than chance (Mann and Kendall's test)."""
    if len(history) < _SHORT * block:
        return False
    medians = _block_medians(history, block)
    count = len(medians)
    before, after = np.triu_indices(count, 1)
    balance = float(np.sign(medians[after] - medians[before]).sum())
    spread = float(np.sqrt(count * (count - 1) * (2 * count + 5) / 18))
    return abs(balance) / spread > _SURPRISE

"""Drift, changes, comparisons and passages: what shows, and what is only noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.domain.forecasts.forecasting import NotEnough
from analytics.domain.forecasts.grid import Grid
from analytics.domain.trends.changes import changes_of
from analytics.domain.trends.comparison import compared
from analytics.domain.trends.passage import Passage, passage_of
from analytics.domain.trends.slopes import slope_of

HOUR = 3600.0


def noise(count: int, seed: int = 0, like: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    series = rng.normal(size=count)
    for place in range(1, count):
        series[place] += like * series[place - 1]
    return series


def test_a_step_is_a_change_where_it_happened() -> None:
    series = noise(200) + np.where(np.arange(200) >= 120, 6.0, 0.0)
    found = changes_of(series)
    assert found is not None
    assert [abs(change.index - 120) <= 1 for change in found] == [True]
    assert found[0].after - found[0].before == pytest.approx(6, abs=0.6)


def test_two_steps_are_two_changes_in_a_long_series() -> None:
    at = np.arange(2160)
    series = noise(2160, 2) + np.where((at >= 700) & (at < 1500), 4.0, 0.0)
    found = changes_of(series)
    assert found is not None
    assert len(found) == 2
    assert abs(found[0].index - 700) < 15
    assert abs(found[1].index - 1500) < 15


@pytest.mark.parametrize("like", [0.0, 0.5, 0.8])
def test_noise_spikes_and_rhythm_are_no_changes(like: float) -> None:
    told = 0
    for seed in range(12):
        series = noise(336, seed, like)
        series[[50, 200]] += 40
        series += 8 * np.sin(2 * np.pi * np.arange(336) / 24)
        found = changes_of(series, 24)
        assert found is not None
        told += len(found)
    assert told <= 2


def test_a_step_is_seen_through_gaps_and_a_rhythm() -> None:
    at = np.arange(336)
    series = noise(336, 5) + 8 * np.sin(2 * np.pi * at / 24) + np.where(at >= 200, 9.0, 0.0)
    series[30:60] = np.nan
    found = changes_of(series, 24)
    assert found is not None
    assert [abs(change.index - 200) <= 3 for change in found] == [True]


def test_drift_is_told_from_chance() -> None:
    rising = slope_of(0.05 * np.arange(200) + noise(200))
    assert rising is not None
    assert rising.significant
    assert rising.per_step == pytest.approx(0.05, abs=0.01)
    false = [slope_of(noise(200, seed)) for seed in range(100)]
    assert sum(each is not None and each.significant for each in false) <= 12


def test_a_week_is_compared_step_by_step() -> None:
    found = compared(np.full(168, 12.0) + noise(168) * 0.1, np.full(168, 10.0))
    assert found is not None
    assert found.significant
    assert found.ratio == pytest.approx(0.2, abs=0.01)
    same = compared(noise(168, 1), noise(168, 2))
    assert same is not None
    assert not same.significant
    assert compared(np.array([1.0, np.nan] * 4), np.ones(8)) is None


def test_a_filling_disk_has_a_date() -> None:
    used = 0.5 + 0.002 * np.arange(168) + 0.001 * noise(168)
    found = passage_of(Grid(HOUR, 0.0, used), 1.0, 168)
    assert isinstance(found, Passage)
    assert found.probability > 0.9
    assert found.expected == pytest.approx((1 - used[-1]) / 0.002, abs=8)
    assert found.earliest is not None
    assert found.earliest <= found.expected


def test_a_level_that_stays_low_hardly_passes() -> None:
    found = passage_of(Grid(HOUR, 0.0, 0.3 + 0.02 * noise(300)), 1.0, 24)
    assert isinstance(found, Passage)
    assert found.probability < 0.01
    assert found.expected is None


def test_a_level_over_its_limit_has_passed() -> None:
    found = passage_of(Grid(HOUR, 0.0, np.linspace(0.5, 1.1, 100)), 1.0, 24)
    assert found == Passage(pytest.approx(1.094, abs=0.01), 1.0, 0, 0)


def test_too_little_is_said_to_be_so() -> None:
    assert slope_of(np.arange(7.0)) is None
    assert changes_of(np.arange(11.0)) is None
    told = passage_of(Grid(HOUR, 0.0, np.arange(5.0)), 9.0, 24)
    assert told == NotEnough("not enough data: needs 24 values, has 5")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(-1e6, 1e6)), max_size=80),
    st.sampled_from([1, 7, 24]),
)
def test_any_series_gets_figures_or_none(values: list[float], season: int) -> None:
    series = np.array(values, dtype=float)
    changes = changes_of(series, season)
    assert changes is None or all(0 < each.index < len(series) for each in changes)
    slope = slope_of(series)
    assert slope is None or math.isfinite(slope.per_step)
    found = passage_of(Grid(HOUR, 0.0, series), 10.0, 24)
    assert isinstance(found, NotEnough) or 0 <= found.probability <= 1

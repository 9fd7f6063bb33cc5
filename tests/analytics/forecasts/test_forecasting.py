"""Forecasts with bands: what series of all kinds get, and what too short ones are told."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.domain.forecasts.forecasting import (
    Forecasted,
    NotEnough,
    forecast,
    forecast_values,
    weighted_median,
)
from analytics.domain.forecasts.grid import Grid, bridged, grid_of
from analytics.domain.forecasts.seasons import calendar_season, repetition, season_of

HOUR = 3600.0


def made(values: object, horizon: int = 24, step: float = HOUR) -> Forecasted:
    found = forecast(Grid(step, 0.0, np.asarray(values, dtype=float)), horizon)
    assert isinstance(found, Forecasted)
    return found


def daily(days: int, seed: int = 1, noise: float = 1.0) -> np.ndarray:
    hours = np.arange(days * 24)
    rng = np.random.default_rng(seed)
    return 50 + 20 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, noise, len(hours))


def test_a_daily_rhythm_is_continued_and_its_band_holds_what_comes() -> None:
    series = daily(29)
    found = made(series[:-24])
    assert np.abs(found.value - series[-24:]).mean() < 1.3
    inside = (series[-24:] >= found.lower) & (series[-24:] <= found.upper)
    assert inside.mean() >= 0.9
    assert found.season == 24
    assert found.mase is not None
    assert found.mase < 0.9
    assert found.coverage is not None
    assert 0.9 <= found.coverage <= 1


def test_spikes_of_the_past_are_not_expected_again() -> None:
    series = daily(21)
    series[[100, 222, 300, -5]] += 5_000
    assert made(series).value.max() < 90


def test_a_new_level_is_followed() -> None:
    series = daily(21)
    series[-48:] += 200
    assert abs(made(series).value.mean() - 250) < 15


def test_weekends_are_told_from_weekdays() -> None:
    days = np.arange(42 * 24) // 24 % 7
    series = np.where(days >= 5, 0.3, 1.0) * daily(42)
    found = made(series[: -48 - 24 * 0], 48)
    assert np.abs(found.value - series[-48:]).mean() < 4


def test_what_grows_goes_on_growing_in_the_daily_forecast() -> None:
    series = 100 + 2.0 * np.arange(90)
    found = made(series, 7, 86_400)
    assert found.value[-1] > series[-1]
    assert found.season in (1, 7)


def test_what_was_never_negative_is_not_forecast_to_be() -> None:
    rng = np.random.default_rng(3)
    found = made(np.where(rng.random(400) < 0.1, rng.exponential(10, 400), 0.0))
    assert found.lower.min() >= 0
    assert found.value.min() >= 0


def test_a_constant_is_forecast_as_itself() -> None:
    found = made(np.full(200, 45.0))
    assert found.value.tolist() == found.lower.tolist() == found.upper.tolist() == [45.0] * 24
    assert found.mase is None


def test_the_band_grows_beyond_what_the_history_could_try() -> None:
    found = made(daily(4), 200)
    width = found.upper - found.lower
    assert width[-1] > 1.5 * width[0]


def test_too_little_is_said_to_be_so() -> None:
    short = forecast_values([1.0, 2.0] * 11, step=HOUR, horizon=24)
    assert short == NotEnough("not enough data: needs 48 values, has 22")
    assert isinstance(forecast(grid_of([5.0], [1.0]), 3), NotEnough)
    assert isinstance(forecast(grid_of([], []), 3), NotEnough)
    assert isinstance(forecast(grid_of([0, 60, 120], [None, None, None]), 3), NotEnough)
    assert isinstance(forecast_values([1.0] + [None] * 500, step=HOUR, horizon=24), NotEnough)


def test_values_stay_under_their_ceiling() -> None:
    found = forecast_values(list(np.linspace(0, 1, 400)), step=HOUR, horizon=48, ceiling=1.0)
    assert isinstance(found, Forecasted)
    assert found.upper.max() <= 1.0


def test_rows_fall_on_a_grid_whatever_their_order_gaps_and_doubles() -> None:
    grid = grid_of([300, 0, 60, 60, 240, 301], [5.0, 1.0, 2.0, 4.0, math.inf, 7.0])
    assert grid.step == 60
    assert grid.last == 301
    assert grid.values[0] == 1.0
    assert grid.values[1] == 3.0
    assert grid.values[-1] == 6.0
    assert np.isnan(grid.values[2:5]).all()
    assert grid.observed == 3


def test_long_gaps_are_bridged_by_the_season_before_and_short_ones_by_a_line() -> None:
    values = np.tile(np.arange(24.0), 4)
    values[50] = np.nan
    values[60:75] = np.nan
    filled = bridged(np.concatenate(([np.nan] * 3, values)), 24)
    assert filled.tolist() == np.tile(np.arange(24.0), 4).tolist()


def test_seasons_go_by_the_step_and_by_what_shows() -> None:
    assert [calendar_season(s) for s in (86_400, 3600, 300, 60)] == [7, 24, 288, 1440]
    assert season_of(daily(10), HOUR) == 24
    assert repetition(daily(10), 24) > 0.7
    assert repetition(np.random.default_rng(0).normal(size=240), 24) == 0
    minutes = np.tile([9.0] * 5 + [1.0] * 55, 12) + np.random.default_rng(0).normal(0, 0.1, 720)
    assert season_of(minutes, 60) == 60


def test_a_weighted_median_is_led_by_the_heavy() -> None:
    rows = np.array([[1.0, 5.0], [2.0, 6.0], [9.0, 9.0]])
    assert weighted_median(rows, np.array([1.0, 1.0, 1.0])).tolist() == [2.0, 6.0]
    assert weighted_median(rows, np.array([1.0, 1.0, 5.0])).tolist() == [9.0, 9.0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from([0.0, 1.0, math.nan, math.inf, 1e308, -1e308, 5e-324]),
            st.floats(-1e6, 1e6),
        ),
        max_size=120,
    ),
    st.integers(1, 60),
    st.sampled_from([1.0, 60.0, 420.0, HOUR, 86_400.0]),
)
def test_any_series_gets_an_ordered_finite_band_or_a_reason(
    values: list[float | None], horizon: int, step: float
) -> None:
    found = forecast_values(values, step=step, horizon=horizon)
    if isinstance(found, NotEnough):
        assert found.reason.startswith("not enough data")
        return
    assert len(found.value) == horizon
    assert np.isfinite(found.lower).all()
    assert np.isfinite(found.upper).all()
    assert (found.lower <= found.value).all()
    assert (found.value <= found.upper).all()

"""The score of forecasts gives its known values, and ours do better on public series."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.forecasts import DATA, hourly, ours, score, seasonal_naive


def test_the_seasonal_naive_forecast_scores_one_where_each_day_differs_alike() -> None:
    days = np.where(np.arange(20) % 2, 3.0, 1.0)
    assert score(np.repeat(days, 24), seasonal_naive).mase == pytest.approx(1.0)


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="the public series are not there")
def test_public_series_are_forecast_better_than_by_the_day_before() -> None:
    files = [DATA / "realTweets" / f"Twitter_volume_{name}.csv" for name in ("FB", "UPS")]
    series = [hourly(path) for path in files]
    naive = np.mean([score(each, seasonal_naive, 3).mase for each in series])
    found = [score(each, ours, 3) for each in series]
    assert np.mean([each.mase for each in found]) < 0.9 * naive
    assert 0.85 <= np.mean([each.coverage for each in found]) <= 1

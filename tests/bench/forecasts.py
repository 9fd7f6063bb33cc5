"""Forecasts of hourly series, 24 hours ahead, beside statsforecast's in the same run.

The public series of NAB that have a calendar, by the hour: ten volumes of tweets and six figures of
an ad exchange; five rolling origins at the end of each. MASE is the mean error by that of the
seasonal naive forecast within the history. The field's figures on sixteen series of which these
ten are a part: SeasonalNaive 1.482 (median 0.796), AutoTheta 1.192 (0.689), bands 0.95 and 0.97.
"""

from __future__ import annotations

import csv
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytics.domain.forecasts.forecasting import Forecasted, forecast
from analytics.domain.forecasts.grid import Grid, bridged, grid_of
from tests.bench.running import ROOT

DATA = ROOT.parent / "shared" / "data" / "nab" / "data"
FOLDERS = ("realTweets", "realAdExchange")
MOST_MASE, COVERAGE = 1.19, (0.90, 0.98)
HORIZON = SEASON = 24
ORIGINS = 5
HOUR = 3600.0

Floats = NDArray[np.float64]
# The next day of a history: value, lower, upper.
Forecaster = Callable[[Floats], tuple[Floats, Floats, Floats]]


class Score(NamedTuple):
    mase: float
    coverage: float


def hourly(path: Path) -> Floats:
    """A file's values, averaged by the hour, gaps bridged."""
    hours: dict[float, list[float]] = defaultdict(list)
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp()
            hours[at // HOUR * HOUR].append(float(row["value"]))
    grid = grid_of(list(hours), [statistics.fmean(values) for values in hours.values()])
    return bridged(grid.values, SEASON)


def ours(history: Floats) -> tuple[Floats, Floats, Floats]:
    found = forecast(Grid(HOUR, 0.0, history), HORIZON)
    if not isinstance(found, Forecasted):
        raise TypeError(found.reason)
    return found.value, found.lower, found.upper


def seasonal_naive(history: Floats) -> tuple[Floats, Floats, Floats]:
    """What the score is anchored in, written out: the last day again, with no band."""
    last = history[-SEASON:]
    return last, last, last


def score(series: Floats, forecaster: Forecaster, origins: int = ORIGINS) -> Score:
    """MASE and coverage, each the mean of the rolling origins at the end of a series."""
    errors, inside = [], []
    for back in range(origins, 0, -1):
        border = len(series) - back * HORIZON
        history, came = series[:border], series[border : border + HORIZON]
        scale = float(np.abs(history[SEASON:] - history[:-SEASON]).mean())
        value, lower, upper = forecaster(history)
        errors.append(float(np.abs(came - value).mean()) / scale)
        inside.append(float(np.mean((came >= lower) & (came <= upper))))
    return Score(statistics.fmean(errors), statistics.fmean(inside))


def _peers() -> dict[str, Forecaster]:
    from statsforecast.models import AutoTheta, SeasonalNaive

    def through(model: Any) -> Forecaster:
        def forecaster(history: Floats) -> tuple[Floats, Floats, Floats]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = model.forecast(y=history, h=HORIZON, level=[95])
            return found["mean"], found["lo-95"], found["hi-95"]

        return forecaster

    return {
        "SeasonalNaive": through(SeasonalNaive(season_length=SEASON)),
        "AutoTheta": through(AutoTheta(season_length=SEASON)),
    }


def measure() -> dict[str, Any]:
    """All figures; without the public data only that it is missing."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    if not DATA.is_dir():
        return {"at": at, "skipped": f"{DATA} is not there"}
    series = {
        path.stem: hourly(path)
        for folder in FOLDERS
        for path in sorted(DATA.glob(f"{folder}/*.csv"))
    }
    by_method: dict[str, Any] = {}
    for name, forecaster in {"ours": ours, **_peers()}.items():
        begun = time.perf_counter()
        scores = {each: score(values, forecaster) for each, values in series.items()}
        spent = time.perf_counter() - begun
        worst = max(scores, key=lambda each, scores=scores: scores[each].mase)
        by_method[name] = {
            "mase_mean": statistics.fmean(each.mase for each in scores.values()),
            "mase_median": statistics.median(each.mase for each in scores.values()),
            "coverage": statistics.fmean(each.coverage for each in scores.values()),
            "least_coverage": min(each.coverage for each in scores.values()),
            "worst": worst,
            "worst_mase": scores[worst].mase,
            "ms_per_forecast": spent / len(series) / ORIGINS * 1000,
            "series": {each: figures._asdict() for each, figures in scores.items()},
        }
    return {"at": at, "series": len(series), "methods": by_method}


def table(figures: dict[str, Any]) -> str:
    if "skipped" in figures:
        return f"  forecasts skipped: {figures['skipped']}"
    lines = [
        (
            f"{figures['series']} hourly series, 24 h ahead",
            f"MASE mean / median (aim mean <= {MOST_MASE}), band holds (aim "
            f"{COVERAGE[0]:.2f}-{COVERAGE[1]:.2f}), worst series, ms",
        )
    ]
    for name, method in figures["methods"].items():
        lines.append(
            (
                name,
                f"{method['mase_mean']:.3f} / {method['mase_median']:.3f}  "
                f"{method['coverage']:.3f} (least {method['least_coverage']:.2f})  "
                f"{method['worst']} {method['worst_mase']:.2f}  {method['ms_per_forecast']:,.0f}",
            )
        )
    return "\n".join(f"  {name:<34} {value}" for name, value in lines)

"""NAB's scoring gives its known values, and the detector is worth its place on public series."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench import anomalies, nab

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not nab.FOLDER.exists(), reason=f"{nab.FOLDER} is absent"),
]
# Raw scores in the benchmark's published results of its windowed Gaussian, at its threshold 1.0.
PUBLISHED = {
    "exchange-2_cpm_results": -2.0,
    "exchange-3_cpc_results": 2.5026632611866138,
    "exchange-3_cpm_results": 0.862098587352162,
    "exchange-4_cpc_results": 0.2922884634276035,
    "exchange-4_cpm_results": 1.274710362684976,
}


@pytest.fixture(scope="module")
def files() -> list[nab.File]:
    """A part of the set that is quick to read."""
    return [file for file in nab.files() if file.group in ("realAdExchange", "realTraffic")]


@pytest.mark.parametrize("profile", nab.PROFILES)
def test_nothing_marked_scores_0_and_each_window_at_its_start_100(
    files: list[nab.File], profile: str
) -> None:
    assert nab.scored([np.zeros(len(f.at)) for f in files], 0.5, files, profile) == 0
    perfect = []
    for file in files:
        marks = np.zeros(len(file.at))
        for first, last in file.windows:
            marks[first : last + 1] = 1
        perfect.append(marks)
    # A window that begins in the part that is not scored is found a little late by anyone.
    assert nab.scored(perfect, 0.5, files, profile) == pytest.approx(100, abs=1)


def test_everything_marked_scores_less_than_nothing(files: list[nab.File]) -> None:
    assert nab.scored([np.ones(len(f.at)) for f in files], 0.5, files) < 0


def test_the_windowed_gaussian_scores_as_published(files: list[nab.File]) -> None:
    cost = nab.costs("standard")
    found = {}
    for file in files:
        name = file.name.split("/")[1].removesuffix(".csv")
        if name in PUBLISHED:
            marks = nab.windowed_gaussian(file.values) >= 1
            found[name] = nab.raw(marks, nab.weights(file, cost), cost)
    assert found == pytest.approx(PUBLISHED, abs=1e-9)


def test_the_best_threshold_scores_what_is_said_of_it(files: list[nab.File]) -> None:
    few = [file for file in files if file.group == "realAdExchange"]
    scores = [nab.windowed_gaussian(file.values) for file in few]
    threshold, score = nab.best_threshold(scores, few)
    assert nab.scored(scores, threshold, few) == pytest.approx(score)


def test_the_detector_scores_well_on_a_few_series(files: list[nab.File]) -> None:
    few = [file for file in files if file.group == "realAdExchange"][3:]
    marks = [anomalies.alarms(anomalies.rarities(file), anomalies.RARE) for file in few]
    assert nab.scored(marks, 0.5, few) > 55

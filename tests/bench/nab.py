"""The Numenta Anomaly Benchmark's scoring, and two of its detectors, by their published definitions.

A detection is worth more the earlier it falls in a labelled window, only the best one of a window
counts, each false point costs, and the first part of a file is not scored. The null detector gets 0
and a perfect one 100. Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (2015).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from tests.bench.running import ROOT

FOLDER = ROOT.parent / "shared" / "data" / "nab"
PROFILES = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")
_PROBATION = 0.15
_PROBATION_ROWS = 5000
_CHI2_99_OF_4 = 13.276704


@dataclass(frozen=True)
class Costs:
    """What a profile gives for a window found early, and takes for a false point and a window
    missed."""

    hit: float
    false_alarm: float
    miss: float


@dataclass(frozen=True)
class File:
    """A labelled series: `windows` are first and last rows, inclusive."""

    name: str
    at: list[str]
    values: np.ndarray
    windows: list[tuple[int, int]]

    @property
    def group(self) -> str:
        return self.name.split("/")[0]

    @property
    def probation(self) -> int:
        """How many of the first rows are not scored."""
        return math.ceil(min(int(_PROBATION * len(self.at)), _PROBATION * _PROBATION_ROWS))


def files(folder: Path = FOLDER) -> list[File]:
    """All series of the public set, by name."""
    labels = json.loads((folder / "combined_windows.json").read_text())
    found = []
    for name, windows in sorted(labels.items()):
        with (folder / "data" / name).open(newline="") as lines:
            rows = list(csv.reader(lines))[1:]
        at = [row[0] for row in rows]
        values = np.array([float(row[1]) for row in rows])
        bounds = [(at.index(_short(first)), at.index(_short(last))) for first, last in windows]
        found.append(File(name, at, values, bounds))
    return found


def costs(profile: str, folder: Path = FOLDER) -> Costs:
    """The weights of a profile."""
    matrix = json.loads((folder / "profiles.json").read_text())[profile]["CostMatrix"]
    return Costs(matrix["tpWeight"], matrix["fpWeight"], matrix["fnWeight"])


def _short(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M:%S")


# --- Scoring -------------------------------------------------------------------------------------


def _sigmoid(position: float) -> float:
    """From +1 well before the end of a window, by 0 at its end, to -1 well past it."""
    return -1.0 if position >= 3 else 2 / (1 + math.exp(5 * position)) - 1


@dataclass(frozen=True)
class Weights:
    """What a detection is worth at each row, and in which window the row is (-1 for none)."""

    worth: np.ndarray
    window: np.ndarray
    counted: int


def weights(file: File, cost: Costs) -> Weights:
    """The worth of each row of a file; rows in probation are worth nothing."""
    worth = np.full(len(file.at), -cost.false_alarm)
    window = np.full(len(file.at), -1)
    previous: tuple[int, int] | None = None
    borders = [*file.windows, (len(file.at), len(file.at))]
    row = 0
    for number, (first, last) in enumerate(borders):
        while row < min(first, len(file.at)):
            if previous is not None:
                past = (row - previous[1]) / (previous[1] - previous[0])
                worth[row] = _sigmoid(past) * cost.false_alarm
            row += 1
        while row <= min(last, len(file.at) - 1):
            position = -(last - row + 1) / (last - first + 1)
            worth[row] = _sigmoid(position) * cost.hit / _sigmoid(-1)
            window[row] = number
            row += 1
        previous = (first, last)
    counted = len(set(window[file.probation :].tolist()) - {-1})
    worth[: file.probation] = 0
    window[: file.probation] = -2
    return Weights(worth, window, counted)


def raw(marks: np.ndarray, of: Weights, cost: Costs) -> float:
    """A file's score before it is normalised; `marks` tell which rows are detections."""
    at = np.flatnonzero(marks & (of.window > -2))
    outside = at[of.window[at] == -1]
    score = float(of.worth[outside].sum()) - cost.miss * of.counted
    for number in set(of.window[at].tolist()) - {-1}:
        score += float(of.worth[at[of.window[at] == number]].max()) + cost.miss
    return score


def normalised(scores: Iterable[float], of: Sequence[File], cost: Costs) -> float:
    """0 for the detector that marks nothing, 100 for a perfect one."""
    null = -cost.miss * sum(weights(file, cost).counted for file in of)
    perfect = cost.hit * sum(len(file.windows) for file in of)
    return 100 * (sum(scores) - null) / (perfect - null)


def scored(
    scores: Sequence[np.ndarray], threshold: float, of: Sequence[File], profile: str = "standard"
) -> float:
    """The NAB score of anomaly scores at one threshold for all files."""
    cost = costs(profile)
    parts = [
        raw(score >= threshold, weights(file, cost), cost)
        for score, file in zip(scores, of, strict=True)
    ]
    return normalised(parts, of, cost)


def best_threshold(
    scores: Sequence[np.ndarray], of: Sequence[File], profile: str = "standard"
) -> tuple[float, float]:
    """The threshold that scores best on these files, as NAB chooses it, and the score there."""
    cost = costs(profile)
    known = [weights(file, cost) for file in of]
    rows = np.concatenate(
        [
            np.stack([score, w.worth, np.where(w.window >= 0, w.window + 1000 * n, w.window)], 1)
            for n, (score, w) in enumerate(zip(scores, known, strict=True))
        ]
    )
    rows = rows[rows[:, 2] > -2]
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    total = -cost.miss * sum(w.counted for w in known)
    found: dict[int, float] = {}
    best = (1.1, total)
    for position, (score, worth, window) in enumerate(rows):
        if window == -1:
            total += worth
        else:
            before = found.get(int(window), -cost.miss)
            found[int(window)] = max(before, worth)
            total += found[int(window)] - before
        last = position + 1 == len(rows) or rows[position + 1, 0] != score
        if last and total > best[1]:
            best = (float(score), total)
    return best[0], normalised([best[1]], of, cost)


# --- Anchors -------------------------------------------------------------------------------------


def windowed_gaussian(values: np.ndarray, window: int = 1000) -> np.ndarray:
    """How unlikely large each value is under a normal fit of the `window` values before it."""
    scores = np.zeros(len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    for row in range(1, len(values)):
        past = values[max(0, row - window) : row]
        mean = (sums[row] - sums[row - len(past)]) / len(past)
        deviation = float(past.std()) or 1e-6
        scores[row] = 1 - math.erfc((values[row] - mean) / deviation / math.sqrt(2)) / 2
    return scores


def relative_entropy(values: np.ndarray, window: int = 52, bins: int = 5) -> np.ndarray:
    """1 where the histogram of the last `window` values is unlike all those met before.

    As published it knows the smallest and largest value of the whole series beforehand.
    """
    scores = np.zeros(len(values))
    low, high = float(values.min()), float(values.max())
    if low == high:
        return scores
    # A histogram that leaves out the upper edge, as the published one.
    binned = np.minimum(np.ceil((values - low) / ((high - low) / bins)), bins).astype(int)
    binned = np.minimum(binned, bins - 1)
    met: list[np.ndarray] = []
    for row in range(window - 1, len(values)):
        now = np.bincount(binned[row - window + 1 : row + 1], minlength=bins) / window
        if met:
            known = np.array(met)
            with np.errstate(divide="ignore", invalid="ignore"):
                parts = np.where(now > 0, now * np.log(now / known), 0.0)
            if not (2 * window * parts.sum(axis=1) < _CHI2_99_OF_4).any():
                scores[row] = 1.0
                met.append(now)
        else:
            met.append(now)
    return scores

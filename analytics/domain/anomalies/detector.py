"""Anomalies of one series as its values arrive: what was expected, and how unusual it is.

Two questions are asked of each value. Is the short mean of the errors of the expectation unusual
for this series? Is the shape of the last values unlike all past ones? Each answer is a rarity among
the series' own past answers, so that nothing is to be set for a series; the rarer one counts.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analytics.domain.anomalies.expectation import Expectation
from analytics.domain.anomalies.novelty import Novelty
from analytics.domain.anomalies.tail import Tail

# Another number begins all series anew.
VERSION: Final = 1
# From which score on a value is an anomaly. A score is rarity / (rarity + RARE), so this is one
# step in 125 or rarer by either question: chosen on public series, every part of which chooses
# the same.
THRESHOLD: Final = 0.5
RARE: Final = 2.1
# What is rarer than one in 125 cannot be told from fewer values.
NEEDS: Final = 150
# Errors are judged by the mean of so many: one alone is noise.
_MEAN_OF: Final = 10
# After an alarm the same trouble raises no other one for so many values.
REFRACTORY: Final = 100
# Differences this small beside the values are rounding.
_ROUNDING: Final = 1e-9
# Squares of larger ones would not be finite.
_LARGEST: Final = 1e150


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one value.

    `score` is 0..1, at least `THRESHOLD` where an anomaly begins, and halved for a time after one.
    `rarity` is the score's source without that: -log10 of how often the series is so unusual.
    `expected`, `lower` and `upper` are None before anything can be expected.
    """

    expected: float | None
    lower: float | None
    upper: float | None
    rarity: float
    score: float

    @property
    def is_anomaly(self) -> bool:
        return self.score >= THRESHOLD

    @property
    def is_unusual(self) -> bool:
        """As rare as an anomaly, though it may belong to one already told."""
        return self.rarity >= RARE


MISSING: Final = Verdict(None, None, None, 0.0, 0.0)


class Detector:
    """All that is known of one series."""

    def __init__(self) -> None:
        self.points = 0
        self._expectation = Expectation()
        self._novelty = Novelty()
        self._errors: deque[float] = deque(maxlen=_MEAN_OF)
        self._error_tail = Tail()
        self._mean_tail = Tail()
        self._novelty_tail = Tail()
        self._quiet = 0

    def expected(self, at: float) -> float | None:
        """The value expected at a time, in seconds; None before the first."""
        return self._expectation.expected(at)

    def update(self, at: float, value: float | None) -> Verdict:
        """Judge the value at a time, in seconds, by what came before it; then learn it.

        None, NaN and infinity are missing values: they score 0 and teach nothing.
        """
        if value is None or not math.isfinite(value):
            return MISSING
        value = min(max(value, -_LARGEST), _LARGEST)
        expected = self._expectation.expected(at)
        rarity = self._novelty_rarity(value)
        lower = upper = None
        if expected is not None:
            margin = self._error_tail.value_at(RARE)
            lower, upper = expected - margin, expected + margin
            rarity = max(rarity, self._error_rarity(value, expected))
        self._expectation.add(at, value)
        self.points += 1
        if self.points <= NEEDS:
            rarity = 0.0
        score = rarity / (rarity + RARE)
        if self._quiet:
            self._quiet -= 1
            score /= 2
        elif score >= THRESHOLD:
            self._quiet = REFRACTORY - 1
        return Verdict(expected, lower, upper, rarity, score)

    def _novelty_rarity(self, value: float) -> float:
        distance = self._novelty.distance(value)
        if distance is None:
            return 0.0
        distance = _unless_rounding(distance, value)
        rarity = self._novelty_tail.rarity(distance)
        self._novelty_tail.add(distance)
        return rarity

    def _error_rarity(self, value: float, expected: float) -> float:
        error = _unless_rounding(abs(value - expected), value)
        self._error_tail.add(error)
        self._errors.append(error)
        mean = sum(self._errors) / len(self._errors)
        rarity = self._mean_tail.rarity(mean)
        self._mean_tail.add(mean)
        return rarity

    def dump(self) -> dict[str, Any]:
        """All that is known, as arrays of numbers by name."""
        recent, slots = self._expectation.dump()
        return {
            "counts": np.array([self.points, self._quiet], np.float64),
            "errors": np.array(self._errors, np.float64),
            "recent": np.array(recent, np.float64),
            "slots": np.array(slots, np.float64),
            "values": self._novelty.dump(),
            "error_tail": np.array(self._error_tail.dump(), np.float64),
            "mean_tail": np.array(self._mean_tail.dump(), np.float64),
            "novelty_tail": np.array(self._novelty_tail.dump(), np.float64),
        }

    @classmethod
    def load(cls, known: dict[str, Any]) -> Detector:
        """What `dump` wrote; raises KeyError, IndexError or ValueError for anything else."""
        found = cls()
        found.points, found._quiet = (int(number) for number in known["counts"])
        found._errors.extend(known["errors"].tolist())
        found._expectation = Expectation.load(known["recent"].tolist(), known["slots"].tolist())
        found._novelty = Novelty.load(known["values"])
        found._error_tail = Tail.load(known["error_tail"].tolist())
        found._mean_tail = Tail.load(known["mean_tail"].tolist())
        found._novelty_tail = Tail.load(known["novelty_tail"].tolist())
        return found


def _unless_rounding(difference: float, value: float) -> float:
    return difference if difference > _ROUNDING * abs(value) else 0.0

"""How much more often failures follow each other at some distance than by chance.

Parts that age, shifts, weekly releases and nightly jobs give failures of one entity a rhythm: the
number of pairs at a distance, against the number that a constant rate would give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# As if this many failures had been seen, and expected, besides: few pairs say little.
_SMOOTHING = 2.0


@dataclass(frozen=True, eq=False)
class Recurrence:
    """Distances between all pairs of failures of the same entity, in order, and for how long each
    failure was followed; `rate` is that of failures per second and entity."""

    distances: Floats
    followed: Floats
    rate: float

    def ratio(self, elapsed: Floats, horizon: float) -> Floats:
        """For times since a failure: how many times more likely than by chance another one is
        within the horizon. 1 where nothing is known."""
        seen = np.searchsorted(self.distances, elapsed + horizon, side="right") - np.searchsorted(
            self.distances, elapsed, side="right"
        )
        followed = len(self.followed) - np.searchsorted(self.followed, elapsed + horizon)
        expected = followed * self.rate * horizon
        return np.asarray((seen + _SMOOTHING) / (expected + _SMOOTHING), dtype=np.float64)

    def as_json(self) -> dict[str, Any]:
        return {
            "distances": self.distances.tolist(),
            "followed": self.followed.tolist(),
            "rate": self.rate,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Recurrence:
        return cls(
            np.asarray(data["distances"], dtype=np.float64),
            np.asarray(data["followed"], dtype=np.float64),
            float(data["rate"]),
        )


def recurrence_of(failures: Iterable[Floats], since: float, until: float) -> Recurrence:
    """Of the failures of each entity, sorted, all watched from since to until."""
    distances: list[Floats] = []
    followed: list[Floats] = []
    entities = 0
    for at in failures:
        entities += 1
        followed.append(until - at)
        for index in range(len(at) - 1):
            distances.append(at[index + 1 :] - at[index])
    count = sum(len(part) for part in followed)
    empty = np.zeros(0)
    return Recurrence(
        np.sort(np.concatenate([empty, *distances])),
        np.sort(np.concatenate([empty, *followed])),
        count / max(entities * (until - since), 1.0),
    )

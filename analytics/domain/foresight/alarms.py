"""Alarms: one in a while for each entity, and how good they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight.histories import Histories

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How alarms did. An alarm hits if its entity fails within the horizon after it; a failure is
    foreseen if an alarm came within the horizon before it. `precision` is None without alarms,
    `recall` without failures, `lead_seconds` (the median, by each failure's first alarm) without a
    failure that was foreseen. False alarms are per entity and day."""

    alarms: int
    hits: int
    failures: int
    foreseen: int
    false_per_day: float
    lead_seconds: float | None

    @property
    def precision(self) -> float | None:
        return self.hits / self.alarms if self.alarms else None

    @property
    def recall(self) -> float | None:
        return self.foreseen / self.failures if self.failures else None

    @property
    def f1(self) -> float:
        precision, recall = self.precision, self.recall
        if not precision or not recall:
            return 0.0
        return 2 * precision * recall / (precision + recall)

    def as_json(self) -> dict[str, float | None]:
        return {
            **asdict(self),
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


def spaced(times: Floats, quiet: float) -> NDArray[np.intp]:
    """Places of the times that are kept, where after each one the next is at least `quiet` seconds
    later. Times are sorted."""
    kept: list[int] = []
    last = -np.inf
    for place, at in enumerate(times.tolist()):
        if at - last >= quiet:
            kept.append(place)
            last = at
    return np.array(kept, dtype=np.intp)


def score(
    alarms: Mapping[str, Floats],
    histories: Histories,
    horizon: float,
) -> Score:
    """Score sorted alarms of entities against the failures in their histories."""
    total = hits = foreseen = 0
    leads: list[float] = []
    for name, history in histories.entities.items():
        at = alarms.get(name, np.zeros(0))
        failures = history.failures
        total += len(at)
        after = np.searchsorted(failures, at, side="right")
        until = np.searchsorted(failures, at + horizon, side="right")
        hits += int((until > after).sum())
        first = np.searchsorted(at, failures - horizon, side="left")
        before = np.searchsorted(at, failures, side="left")
        found = before > first
        foreseen += int(found.sum())
        leads.extend((failures[found] - at[first[found]]).tolist())
    return Score(
        alarms=total,
        hits=hits,
        failures=histories.failures,
        foreseen=foreseen,
        false_per_day=(total - hits) / max(histories.entity_days, 1e-9),
        lead_seconds=float(np.median(leads)) if leads else None,
    )

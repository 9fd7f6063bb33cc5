"""What is known of an entity at a moment, as a row of numbers, from the past alone.

Windows are parts of the horizon. A time since something that never happened is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight.histories import Histories, History, most_frequent
from analytics.domain.foresight.recurrence import Recurrence, recurrence_of

Floats = NDArray[np.float64]
# 1, 3, 6, 12, 24, 48, 72 and 240 hours of a horizon of 48.
WINDOWS: Final = (1 / 48, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 1.5, 5.0)
# Over how many horizons the usual rate of an entity is taken.
_LONG: Final = 20.0
_MOST_TYPES: Final = 24
_DAY: Final = 86_400.0
_NEVER: Final = np.inf


@dataclass(frozen=True, eq=False)
class Plan:
    """Which columns there are: types in their order (others count together as one more), and
    whether past failures are known, with their rhythm."""

    types: tuple[str, ...]
    horizon: float
    failures_known: bool
    recurrence: Recurrence

    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        names = [*self.types, "other", "any"]
        found = [f"{name} in {part:.3g} horizons" for name in names for part in WINDOWS]
        found += [f"{name} now" for name in (*self.types, "other")]
        found += [f"since {name}" for name in names]
        found += [f"usual {name}" for name in names]
        found += ["types now", *(f"types in {part:.3g} horizons" for part in WINDOWS)]
        found += ["time of day", "day of week"]
        if self.failures_known:
            found += ["since failure", "since failure before", "failures", "rhythm of last"]
            found += ["rhythm of all"]
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        return {
            "types": list(self.types),
            "horizon": self.horizon,
            "failures_known": self.failures_known,
            "recurrence": self.recurrence.as_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        return cls(
            tuple(data["types"]),
            float(data["horizon"]),
            bool(data["failures_known"]),
            Recurrence.from_json(data["recurrence"]),
        )


def plan_of(histories: Histories, horizon: float, *, failures_known: bool) -> Plan:
    """The columns for what occurs in some histories, and the rhythm of their failures."""
    return Plan(
        most_frequent(histories, _MOST_TYPES),
        horizon,
        failures_known,
        recurrence_of(
            [history.failures for history in histories.entities.values()],
            histories.since,
            histories.until,
        ),
    )


def renumbered(histories: Histories, types: tuple[str, ...]) -> Histories:
    """The same histories with the numbers of a plan's types; the rest becomes "other"."""
    numbers = {name: number for number, name in enumerate(types)}
    mapped = [numbers.get(name, len(types)) for name in histories.types]
    table = np.array([*mapped, len(types)], dtype=np.intp)
    entities = {
        name: History(history.times, table[history.kinds], history.failures)
        for name, history in histories.entities.items()
    }
    return Histories(types, entities, histories.since, histories.until)


def rows(plan: Plan, history: History, moments: Floats) -> Floats:
    """One row per moment, of a history whose types have the plan's numbers."""
    kinds = len(plan.types) + 1
    by_kind = [history.times[history.kinds == kind] for kind in range(kinds)]
    counts = np.stack(
        [_in_windows(times, moments, plan.horizon) for times in (*by_kind, history.times)]
    )
    now = np.stack([_at(times, moments) for times in by_kind])
    since = np.stack([_since(times, moments) for times in (*by_kind, history.times)])
    usual = np.stack(
        [_count(times, moments, _LONG * plan.horizon) for times in (*by_kind, history.times)]
    )
    distinct = (counts[:kinds] > 0).sum(axis=0)
    parts = [
        # Not -1 columns: an entity without events has no rows to tell their number from.
        counts.transpose(1, 0, 2).reshape(len(moments), len(counts) * len(WINDOWS)),
        now.T,
        since.T,
        usual.T,
        (now > 0).sum(axis=0)[:, None],
        distinct,
        np.mod(moments, _DAY)[:, None],
        # The epoch began on a Thursday.
        np.floor(np.mod(moments / _DAY + 3, 7))[:, None],
    ]
    if plan.failures_known:
        parts.append(_failures(plan, history.failures, moments))
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts], axis=1)


def answers(history: History, moments: Floats, horizon: float) -> NDArray[np.bool_]:
    """Whether a failure came within (0, horizon] after each moment."""
    after = np.searchsorted(history.failures, moments, side="right")
    until = np.searchsorted(history.failures, moments + horizon, side="right")
    return np.asarray(until > after)


def _count(times: Floats, moments: Floats, window: float) -> Floats:
    """How many of the times are in (moment - window, moment]."""
    until = np.searchsorted(times, moments, side="right")
    since = np.searchsorted(times, moments - window, side="right")
    return np.asarray(until - since, dtype=np.float64)


def _in_windows(times: Floats, moments: Floats, horizon: float) -> Floats:
    return np.stack([_count(times, moments, part * horizon) for part in WINDOWS], axis=1)


def _at(times: Floats, moments: Floats) -> Floats:
    left = np.searchsorted(times, moments, side="left")
    right = np.searchsorted(times, moments, side="right")
    return np.asarray(right - left, dtype=np.float64)


def _since(times: Floats, moments: Floats, before: int = 1) -> Floats:
    """Seconds since the last of the times that is strictly before each moment (or one of those
    before the last)."""
    place = np.searchsorted(times, moments, side="left") - before
    found = place >= 0
    since = np.full(len(moments), _NEVER)
    since[found] = moments[found] - times[place[found]]
    return since


def _failures(plan: Plan, failures: Floats, moments: Floats) -> Floats:
    """Columns of past failures, all strictly before each moment."""
    known = np.searchsorted(failures, moments, side="left")
    last = _since(failures, moments)
    rhythm_last = np.zeros(len(moments))
    rhythm_all = np.zeros(len(moments))
    for place in range(int(known.max(initial=0))):
        later = known > place
        ratio = np.log(plan.recurrence.ratio(moments[later] - failures[place], plan.horizon))
        rhythm_all[later] += ratio
        newest = known[later] == place + 1
        rhythm_last[np.flatnonzero(later)[newest]] = ratio[newest]
    mean = rhythm_all / np.maximum(known, 1)
    return np.stack([last, _since(failures, moments, 2), known, rhythm_last, mean], axis=1)

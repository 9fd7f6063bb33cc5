"""How health becomes what the public is told: one of five states, and outages as they felt.

The rule of the whole, the first that holds:

* **major outage**: an open incident says so, or more than half of the critical public services are
  in a major outage. Critical are those of the criticality critical or high; where none is, all.
* **partial outage**: an open incident says so, a notice says essential functions only or nothing
  at all, or any public service is in an outage.
* **degraded**: an open incident, a notice or the health of any public service says so.
* **maintenance**: announced maintenance is under way, or any public service is in it.
* **operational** otherwise. What is not measured counts for nothing, neither good nor bad.

A public service is all services of one public name: in a major outage when each of them that is
measured is down (or out of reach), in a partial one when some are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

OPERATIONAL: Final = "operational"
MAINTENANCE: Final = "maintenance"
DEGRADED: Final = "degraded"
PARTIAL: Final = "partial_outage"
MAJOR: Final = "major_outage"
# The values of `PublicImpact`, the mildest first.
STATES: Final = (OPERATIONAL, MAINTENANCE, DEGRADED, PARTIAL, MAJOR)
# A day with no more trouble than this is told as one without.
FORGIVEN: Final = timedelta(seconds=60).total_seconds()
# A day that was out for a larger share of the measured time was in a major outage.
MAJOR_SHARE: Final = 0.05

_FAILING: Final = frozenset({"down", "unreachable"})


def worst(states: Iterable[str]) -> str:
    """The worst of some public states; operational where there are none."""
    return max(states, key=STATES.index, default=OPERATIONAL)


def state_of_parts(states: Iterable[str]) -> str | None:
    """The public state of a service by the `HealthState` of its parts; None: not measured."""
    known = [state for state in states if state != "unknown"]
    if not known:
        return None
    failing = sum(state in _FAILING for state in known)
    if failing:
        return MAJOR if failing == len(known) else PARTIAL
    if DEGRADED in known:
        return DEGRADED
    return MAINTENANCE if MAINTENANCE in known else OPERATIONAL


def overall(
    services: Sequence[tuple[str | None, bool]], announced: Iterable[str], under_way: bool
) -> str:
    """The state of the whole from public services (state, whether critical), the impacts that
    are `announced`, and whether announced maintenance is under way."""
    critical = [state for state, is_critical in services if is_critical]
    counted = critical or [state for state, _ in services]
    out = sum(state == MAJOR for state in counted)
    found = [*announced, *(_softened(state) for state, _ in services if state is not None)]
    if 2 * out > len(counted):
        found.append(MAJOR)
    if under_way:
        found.append(MAINTENANCE)
    return worst(found)


def _softened(state: str) -> str:
    """What one service among others contributes: its own outage is a part of the whole."""
    return PARTIAL if state == MAJOR else state


# --- Days -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DayTold:
    """One day of a public service, in seconds; `good` and `bad` are measured time, `degraded` is
    the part of `good` that was slow, `excluded` was maintenance."""

    good: float = 0.0
    degraded: float = 0.0
    bad: float = 0.0
    excluded: float = 0.0

    @property
    def measured(self) -> float:
        return self.good + self.bad

    @property
    def share(self) -> float | None:
        """The part of the measured time that was good; None where nothing was measured."""
        return self.good / self.measured if self.measured > 0 else None

    @property
    def level(self) -> str | None:
        """The public state that the day was in; None where there is no data."""
        if self.measured <= 0:
            return MAINTENANCE if self.excluded > 0 else None
        if self.bad > FORGIVEN:
            return MAJOR if self.bad / self.measured > MAJOR_SHARE else PARTIAL
        return DEGRADED if self.degraded + self.bad > FORGIVEN else OPERATIONAL


def worse(one: DayTold, other: DayTold) -> DayTold:
    """Of the same day of two parts, the one that was out for longer, else that with more trouble."""
    return max(one, other, key=lambda day: (day.bad, day.degraded, day.measured))


# --- Outages ----------------------------------------------------------------------------------

# Failures of a service that follow each other this closely felt like one.
CLOSE: Final = timedelta(minutes=1)


@dataclass(frozen=True, order=True)
class Stretch:
    """From a moment to another; None: it goes on."""

    started_at: datetime
    ended_at: datetime | None


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The stretches in order, those that overlap or all but touch made one."""
    told: list[Stretch] = []
    for each in sorted(stretches, key=lambda stretch: stretch.started_at):
        last = told[-1] if told else None
        if last is None or (last.ended_at is not None and each.started_at > last.ended_at + CLOSE):
            told.append(each)
        elif last.ended_at is not None:
            later = None if each.ended_at is None else max(last.ended_at, each.ended_at)
            told[-1] = Stretch(last.started_at, later)
    return told

"""Cumulative metrics: by how much a running total grew between two of its points."""

from __future__ import annotations

from typing import NamedTuple

from analytics.domain.distributions import Distribution, subtract

# A total that began this shortly before its first point was never seen smaller by anybody.
YOUNG_NS = 120_000_000_000


class Total(NamedTuple):
    """A point of a cumulative sum, histogram or summary. Sums have no
    observations."""

    start_ns: int
    time_ns: int
    value: float
    observations: int
    distribution: Distribution | None


class Growth(NamedTuple):
    """What came to a total. `reset` says that it began anew, from nothing."""

    value: float
    observations: int
    distribution: Distribution | None
    reset: bool


def growth(before: Total | None, now: Total, *, first_ever: bool) -> Growth | None:
    """What came to a total since the point before it, or None where nobody can say.

    `first_ever`: this writer reported before, and then had nothing like this total to report. A
    first point otherwise says nothing, unless its total is young: it may have grown for days.
    """
    whole = Growth(now.value, now.observations, now.distribution, before is not None)
    if before is None:
        young = now.start_ns > 0 and 0 <= now.time_ns - now.start_ns <= YOUNG_NS
        return whole if young or first_ever else None
    if now.time_ns <= before.time_ns:
        return None
    # The sum of a histogram may fall without a reset: observations can be negative.
    fell = (
        now.value < before.value if not now.observations else now.observations < before.observations
    )
    if fell or now.start_ns > before.start_ns:
        return whole
    distribution = None
    if now.distribution is not None and before.distribution is not None:
        distribution = subtract(now.distribution, before.distribution)
        if distribution is None:
            return whole
    return Growth(
        now.value - before.value, now.observations - before.observations, distribution, reset=False
    )

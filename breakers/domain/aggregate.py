"""One word for a breaker that runs in several instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# Worst first: what rejects calls, what a person has decided, what works.
TROUBLE: Final = (
    "open",
    "half_open",
    "forced_open",
    "disabled",
    "metrics_only",
    "forced_closed",
    "closed",
)
_RANK: Final = {state: rank for rank, state in enumerate(TROUBLE)}
# Shares of failures that differ in kind, so that small changes do not reorder a page.
_BANDS: Final = (0.5, 0.25, 0.1, 0.05, 0.01)


def rank(state: str) -> int:
    """How bad a state is; 0 is the worst, and one that nobody knows is bad."""
    return _RANK.get(state, 0)


def worst(states: Iterable[str]) -> str:
    """The state of the whole: the one that all have, or else the worst of them."""
    return min(states, key=rank)


def counted(states: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Each state with the number of its instances, worst first."""
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return tuple(sorted(counts.items(), key=lambda each: rank(each[0])))


def band(failure_rate: float | None) -> int:
    """How bad a share of failures is; 0 is the worst."""
    share = failure_rate or 0.0
    return sum(share < bound for bound in _BANDS)

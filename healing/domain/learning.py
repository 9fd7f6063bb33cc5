"""What past runs teach: how often a workflow heals, whether it earns another mode, and which rung
of a ladder is climbed first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from healing.domain.modes import APPROVE, AUTO, MODES, next_above
from healing.domain.wilson import wilson_lower, wilson_upper

# A workflow that heals at least so often may go further by itself.
GOOD: Final = 0.7
LEAST_RUNS: Final = 10
# Fewer tell that it does not: a bad healer is held back sooner than a good one is let go.
LEAST_RUNS_TO_DEMOTE: Final = 5

FIRST: Final = frozenset({"reprobe"})
LAST: Final = frozenset({"degrade", "degraded_mode", "toggle", "breaker_override", "failover"})


@dataclass(frozen=True)
class Tries:
    """How often something was tried, and how often it healed for good."""

    healed: int = 0
    runs: int = 0

    @property
    def rate(self) -> float | None:
        """The share that healed; None of none."""
        return self.healed / self.runs if self.runs else None

    @property
    def lower(self) -> float:
        """What the share is at least, by Wilson's interval."""
        return wilson_lower(self.healed, self.runs)

    @property
    def upper(self) -> float:
        """What it is at most."""
        return wilson_upper(self.healed, self.runs)


NEVER: Final = Tries()


@dataclass(frozen=True)
class Outcome:
    """How a run ended that acted; one that healed, but not for half an hour, did not heal."""

    ended_at: datetime
    healed: bool


@dataclass(frozen=True)
class Suggestion:
    """Another mode for a workflow, since when that is suggested, and why."""

    from_mode: str
    to_mode: str
    at: datetime
    why: str
    tries: Tries

    @property
    def promotion(self) -> bool:
        """Whether it would go further by itself than now."""
        return MODES.index(self.to_mode) > MODES.index(self.from_mode)


def suggestion_of(
    mode: str, outcomes: Sequence[Outcome], failures_to_approve: int
) -> Suggestion | None:
    """What the runs under the present mode, the last first, suggest; None where they suggest
    nothing."""
    if not outcomes:
        return None
    tries = Tries(sum(each.healed for each in outcomes), len(outcomes))
    at = outcomes[0].ended_at
    last = outcomes[:failures_to_approve]
    if mode == AUTO and len(last) == failures_to_approve and not any(e.healed for e in last):
        why = f"The last {failures_to_approve} runs failed."
        return Suggestion(mode, APPROVE, at, why, tries)
    told = f"{tries.healed} of {tries.runs} runs healed"
    if mode in (AUTO, APPROVE) and tries.runs >= LEAST_RUNS_TO_DEMOTE and tries.upper < GOOD:
        why = f"{told}: at most {_percent(tries.upper)} do, and {_percent(GOOD)} should."
        return Suggestion(mode, MODES[MODES.index(mode) - 1], at, why, tries)
    above = next_above(mode)
    if above is not None and tries.runs >= LEAST_RUNS and tries.lower >= GOOD:
        why = f"{told}: at least {_percent(tries.lower)} do, and {_percent(GOOD)} are enough."
        return Suggestion(mode, above, at, why, tries)
    return None


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


@dataclass(frozen=True)
class Rung:
    """A rung of a ladder: its step, what it calls, and the rungs that have to come before it."""

    step: str
    action: str
    after: frozenset[str] = frozenset()


def rungs_ordered(
    rungs: Sequence[Rung], own: Mapping[str, Tries], kind: Mapping[str, Tries]
) -> list[str]:
    """The steps in the order in which they are climbed.

    What healed this target before goes first (`own`, by action), then what healed others of its
    `kind`, then what was never tried, then what never healed; else as written. To probe again
    stays first, to do without something last, and what says what it comes after comes after it.
    """
    ranked = sorted(rungs, key=lambda each: _rank(each.action, own, kind))
    named = {each.step for each in rungs}
    placed: list[str] = []
    while ranked:
        free = (each for each in ranked if not (each.after & named) - set(placed))
        # A cycle is refused before it is stored; should there be one, it is climbed all the same.
        chosen = next(free, ranked[0])
        ranked.remove(chosen)
        placed.append(chosen.step)
    return placed


def _rank(
    action: str, own: Mapping[str, Tries], kind: Mapping[str, Tries]
) -> tuple[int, float, float]:
    if action in FIRST:
        return 0, 0.0, 0.0
    if action in LAST:
        return 4, 0.0, 0.0
    here, elsewhere = own.get(action, NEVER), kind.get(action, NEVER)
    if here.healed or elsewhere.healed:
        return 1, -here.lower, -elsewhere.lower
    return (3 if here.runs or elsewhere.runs else 2), 0.0, 0.0

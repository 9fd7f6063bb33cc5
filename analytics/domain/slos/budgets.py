"""How much of an error budget is spent, and when it will be gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.domain.slos.objectives import HOUR, MILLION, Count, Objective


@dataclass(frozen=True)
class Spending:
    """The budget of an objective over its window: `bad` of `total` calls, runs or seconds.

    `allowed` may be bad. Where the budget is less than one call or run, or time was counted for
    less than an hour, `enough` is false: a single failure would be more than all of it. So many bad
    ones that they would call somebody (`Objective.min_bad`) say enough all the same.
    """

    bad: float
    total: float
    allowed: float
    enough: bool

    @property
    def spent(self) -> float | None:
        """The share of the budget that is gone, above 1 where more went than there was; None
        without enough data."""
        return self.bad / self.allowed if self.enough and self.allowed > 0 else None

    @property
    def left(self) -> float | None:
        """The share that is left, below 0 where the objective is missed."""
        return None if self.spent is None else 1.0 - self.spent

    @property
    def gone(self) -> bool:
        """Whether nothing is left."""
        return self.left is not None and self.left <= 0


def spending(objective: Objective, count: Count) -> Spending:
    """The budget of what was counted over the objective's window."""
    allowed = objective.amount(count.total) * objective.allowed_millionths / MILLION
    bad = objective.amount(count.bad)
    least = count.total >= HOUR * objective.scale if objective.of_time else allowed >= 1
    enough = least or bad >= max(1, objective.min_bad)
    return Spending(bad, objective.amount(count.total), allowed, enough)


def days_until_gone(
    objective: Objective, days: Sequence[Count], bad: float, total: float
) -> float | None:
    """In how many days nothing of the budget will be left; None where that does not come within
    the window.

    `days` are those of the window, the oldest first. Each day from now on brings `bad` and `total`
    (in whole parts), while the oldest days leave the window, evenly over each day.
    """
    share = objective.allowed_millionths / MILLION
    over = sum(day.bad for day in days) - share * sum(day.total for day in days)
    if over >= 0:
        return 0.0 if any(day.total for day in days) else None
    coming = bad - share * total
    for number, leaving in enumerate(days):
        step = coming - (leaving.bad - share * leaving.total)
        if over + step >= 0:
            return number - over / step
        over += step
    return None

"""An error budget in words: the same ones wherever it is told."""

from __future__ import annotations

from typing import Final

from analytics.domain.slos.budgets import Spending
from analytics.domain.slos.burning import amount_words, bad_word, nothing_words
from analytics.domain.slos.objectives import Objective
from resilience_site.core.formatting import duration, percent, three_digits

# Below this, three digits would call it once.
_ONCE: Final = 1.005
# From here on, three digits would need no point.
_WHOLE: Final = 999.5


def spent_words(spent: float) -> str:
    """What of a budget went: `41 % spent`, `all of it spent`, `spent 328 times`."""
    if spent < 1:
        return f"{percent(spent, 1)} spent"
    if spent < _ONCE:
        return "all of it spent"
    return f"spent {f'{spent:,.0f}' if spent >= _WHOLE else three_digits(spent)} times"


def left_words(spent: float | None) -> str:
    """What is left of it: `59 % left`, `gone, spent 328 times`, or that it cannot be told."""
    if spent is None:
        return "not enough data"
    return f"{percent(1 - spent, 1)} left" if spent < 1 else f"gone, {spent_words(spent)}"


def budget_words(spent: float | None) -> str:
    """The same as a sentence about a service goes on: `59 % of its error budget left`."""
    if spent is None:
        return "not enough data to say what is left of its error budget"
    if spent < 1:
        return f"{percent(1 - spent, 1)} of its error budget left"
    return f"error budget {left_words(spent)}"


def basis_words(objective: Objective, budget: Spending) -> str:
    """What that rests on: `288 failed of 696 allowed, 696,000 calls`."""
    if not budget.total:
        return nothing_words(objective)
    counted = " counted" if objective.of_time else ""
    return f"{over_words(objective, budget)}, {amount_words(objective, budget.total)}{counted}"


def over_words(objective: Objective, budget: Spending) -> str:
    """The same without what was counted: `288 failed of 696 allowed`."""
    bad = amount_words(objective, budget.bad, bare=True)
    return f"{bad} {bad_word(objective)} of {allowed_words(objective, budget, bare=True)} allowed"


def allowed_words(objective: Objective, budget: Spending, *, bare: bool = False) -> str:
    """How much may be bad of what was counted: `696 calls`, `86 runs`, `43 min 12 s`."""
    allowed = budget.allowed
    if objective.of_time:
        return duration(allowed)
    number = f"{allowed:,.0f}" if allowed >= 10 else three_digits(allowed)
    return number if bare else f"{number} {objective.unit}"

"""What the overview says of error budgets."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from analytics.domain.slos.words import budget_words
from analytics.selectors.slos import SloFigures, slo_figures, slos_enabled
from analytics.views.slo_words import told

SHOWN: Final = 3
# States in which somebody should look, the most urgent first.
_URGENT: Final = ("burning", "exhausted", "spending")


def with_budgets(now: datetime) -> dict[str, Any]:
    """The objectives that need somebody most, and the one with the least left where none does, each
    with what is left of its budget in words."""
    found = slo_figures(slos_enabled(), now)
    known = [each for each in found if each.budget.left is not None]
    urgent = sorted((each for each in known if each.state in _URGENT), key=_urgency)
    shown = urgent[:SHOWN] or sorted(known, key=_left)[:1]
    return {
        "budgets": [(told(each), budget_words(each.budget.spent)) for each in shown],
        "budgets_known": len(known),
        "budgets_unknown": len(found) - len(known),
        "budgets_urgent": len(urgent),
    }


def _urgency(figures: SloFigures) -> tuple[int, float, str]:
    return _URGENT.index(figures.state), *_left(figures)


def _left(figures: SloFigures) -> tuple[float, str]:
    left = figures.budget.left
    return 1.0 if left is None else left, figures.slo.service

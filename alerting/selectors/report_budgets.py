"""Objectives in the resilience report: over its range, over the one before, and at its end."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from alerting.domain.reports.figures import SloLine
from analytics.choices import SloSource
from analytics.domain.slos.budgets import Spending, spending
from analytics.models import Slo
from analytics.selectors.slo_counts import day_sums
from analytics.selectors.slos import slo_figures, slos_enabled
from health.selectors.availability import Window
from resilience_site.core.timerange import TimeRange

# A budget that just lasts, to sort those by of which nothing is known.
_WHOLE: Final = 1.0


def slo_lines(within: TimeRange) -> list[SloLine]:
    """The objectives that are watched, the least left of the budget of their own window first."""
    slos = slos_enabled()
    now, before = _spent(slos, within), _spent(slos, within.before())
    lines = [
        SloLine(
            id=str(each.slo.id),
            service=each.slo.service,
            kind=each.slo.kind,
            objective=each.slo.objective,
            window_days=each.slo.window_days,
            state=each.state,
            bad=each.budget.bad,
            total=each.budget.total,
            left=each.budget.left,
            unit=each.slo.terms.unit,
            threshold_ms=each.slo.threshold_ms,
            budget=now[each.slo.id],
            budget_before=before[each.slo.id],
        )
        for each in slo_figures(slos, within.until)
    ]
    return sorted(
        lines,
        key=lambda line: (_WHOLE if line.left is None else line.left, line.service, line.kind),
    )


def _spent(slos: list[Slo], within: TimeRange) -> dict[UUID, Spending]:
    """What a range spent of the budget that its own counts allow, for each objective.

    Checks are counted from where their uptime is in the same report, calls from the very minute.
    """
    calls = [each for each in slos if each.source == SloSource.TRACES]
    checks = [each for each in slos if each.source != SloSource.TRACES]
    counted = Window("report", within.length).since(within.until)
    sums = day_sums(calls, [within.since, within.until])
    sums |= day_sums(checks, [counted, within.until])
    return {each.id: spending(each.terms, sums[each.id].between(0, 1)) for each in slos}

"""Objectives: what is promised for each service, what is left of its budget, and how fast it goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.domain.slos.objectives import HOUR, WINDOWS
from analytics.figures import Figure
from analytics.models import Slo
from analytics.selectors.slos import SloFigures, slo_figures, slo_get, slo_list
from analytics.views.common import first_steps, is_partial
from analytics.views.slo_chart import budget_figure
from analytics.views.slo_words import Told, days, measured_text, rate, rule, told
from resilience_site.core import journal
from resilience_site.core.badges import BADGES
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Invalid
from resilience_site.core.querystrings import query_with
from resilience_site.core.screens import may_operate, topic

# Those that need somebody come first.
STATES: Final = ("burning", "exhausted", "spending", "ok", "no_data", "off")
MOST_ROWS: Final = 200
_DECISIONS: Final = 20


@require_GET
@require_role(Role.VIEWER)
def slo_overview(request: HttpRequest) -> HttpResponse:
    """All objectives, those first whose budget burns, then those with the least left."""
    cursor = journal.latest_cursor()
    service, state = request.GET.get("service", ""), request.GET.get("state", "")
    rows = (
        slo_list().filter(service__icontains=service.replace("\0", "")) if service else slo_list()
    )
    found = sorted(slo_figures(rows, datetime.now(UTC)), key=_urgency)
    chosen = [each for each in found if state in ("", each.state)]
    counts = [(name, sum(each.state == name for each in found)) for name in STATES]
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "rows": [told(each) for each in chosen[:MOST_ROWS]],
        "cut": max(0, len(chosen) - MOST_ROWS),
        "known": len(found),
        "filtered": bool(service or state),
        "counts": [(name, count) for name, count in counts if count],
        "states": [(name, BADGES["slo"][name].word) for name in STATES],
        "may_set": may_operate(request),
        # Results of checks come every few seconds: only where some are counted.
        "topics": "slos traffic health"
        + (" probes" if any(each.slo.terms.of_runs for each in found) else ""),
        **first_steps(found),
    }
    part = "_slos" if is_partial(request) else "slos"
    return render(request, f"analytics/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def slo_detail(request: HttpRequest, slo_id: UUID) -> HttpResponse:
    """One objective: its budget day by day, its burn rates, which of them call somebody."""
    cursor = journal.latest_cursor()
    figures = slo_or_404(slo_id)
    slo = figures.slo
    shown: Told = told(figures)
    rates = [rate(slo.terms, each) for each in figures.burns]
    context = {
        "live_cursor": cursor,
        "slo": slo,
        "told": shown,
        "figures": figures,
        "measured": measured_text(slo),
        "rates": rates,
        "hour": rates[WINDOWS.index(HOUR)],
        "rules": [rule(each) for each in figures.rows],
        "days": list(reversed(days(figures))),
        "chart_src": f"/charts/slo-budget.json{query_with(request.GET, slo=str(slo.id))}",
        "topics": f"{topic('slos', str(slo.id))} {topic('traffic', slo.service)} health"
        + (" probes" if slo.terms.of_runs else ""),
        "decisions": AuditEntry.objects.filter(
            object_type="slo", object_id=str(slo.id)
        ).exclude(action__endswith=".refused").order_by("-at", "-id")[:_DECISIONS],
        "may_set": may_operate(request),
    }  # fmt: skip
    part = "_slo" if is_partial(request) else "slo"
    return render(request, f"analytics/{part}.html", context)


def slo_or_404(slo_id: UUID) -> SloFigures:
    """The figures of the objective of a path."""
    try:
        slo = slo_get(slo_id)
    except Slo.DoesNotExist:
        raise Http404("There is no such objective.") from None
    return slo_figures([slo], datetime.now(UTC))[0]


def slo_chart(request: HttpRequest) -> Figure:
    """The budget of the objective of `?slo=`. Raises `Invalid`."""
    try:
        slo = slo_get(UUID(request.GET.get("slo", "")))
    except (ValueError, Slo.DoesNotExist):
        raise Invalid.field("query.slo", "There is no such objective.") from None
    return budget_figure(days(slo_figures([slo], datetime.now(UTC))[0]))


def _urgency(figures: SloFigures) -> tuple[int, float, str]:
    left = figures.budget.left
    return STATES.index(figures.state), 2.0 if left is None else left, figures.slo.service

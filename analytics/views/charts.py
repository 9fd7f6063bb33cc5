"""The figures of the charts, as JSON for the page to draw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from analytics.choices import PatternState
from analytics.figures import (
    Figure,
    error_count_figure,
    error_ratio_figure,
    latency_figure,
    pattern_week_figure,
)
from analytics.models import ErrorPattern
from analytics.selectors import rollups
from analytics.selectors.pattern_families import family_ids
from analytics.selectors.pattern_history import pattern_week
from analytics.selectors.patterns import pattern_get
from analytics.views.common import BARS, chosen_range, counts_question
from analytics.views.slos import slo_chart
from analytics.views.trends import trend_chart
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Invalid, Problem
from resilience_site.core.timerange import TimeRange


def _error_ratio(request: HttpRequest, within: TimeRange) -> Figure:
    step, service = rollups.step_for(within), request.GET.get("service", "")
    return error_ratio_figure(rollups.call_series(within, service, step), within, step, service)


def _latency(request: HttpRequest, within: TimeRange) -> Figure:
    step, service = rollups.step_for(within), request.GET.get("service", "")
    return latency_figure(rollups.call_series(within, service, step), within, step, service)


def _pattern(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Invalid.field("query.pattern", "This is not the id of a pattern.") from None


def _errors(request: HttpRequest, within: TimeRange) -> Figure:
    service, pattern = request.GET.get("service", ""), request.GET.get("pattern", "")
    step = rollups.step_for(within, BARS)
    wanted = _pattern(pattern)
    counts = rollups.error_counts(within, service=service, pattern=wanted, step=step)
    return error_count_figure(counts, within, step, counts_question(service, pattern))


def _pattern_week(request: HttpRequest, within: TimeRange) -> Figure:
    wanted = _pattern(request.GET.get("pattern", ""))
    try:
        pattern = pattern_get(wanted or UUID(int=0))
    except ErrorPattern.DoesNotExist:
        raise Invalid.field("query.pattern", "There is no such pattern.") from None
    week = pattern_week(pattern.id, family_ids(pattern.id), pattern.first_seen, datetime.now(UTC))
    # An escalation ends within the limit that it exceeded, not the one of today.
    held = pattern.escalates_above if pattern.state == PatternState.ESCALATING else None
    return pattern_week_figure(week.hours, held or week.limit.value, str(pattern.id))


def _trend(request: HttpRequest, within: TimeRange) -> Figure:
    # Its range may be longer, and by default is.
    return trend_chart(request)


def _slo_budget(request: HttpRequest, within: TimeRange) -> Figure:
    # Its window is that of the objective.
    return slo_chart(request)


FIGURES: dict[str, Callable[[HttpRequest, TimeRange], Figure]] = {
    "error-ratio": _error_ratio,
    "latency": _latency,
    "errors": _errors,
    "trend": _trend,
    "pattern-week": _pattern_week,
    "slo-budget": _slo_budget,
}


@require_GET
@require_role(Role.VIEWER)
def figure(request: HttpRequest, name: str) -> HttpResponse:
    """The figure of a chart over the range of its page."""
    if name not in FIGURES:
        raise Http404("There is no such chart.")
    try:
        return JsonResponse(FIGURES[name](request, chosen_range(request, datetime.now(UTC))))
    except Problem as problem:
        return JsonResponse({"detail": problem.detail}, status=400)

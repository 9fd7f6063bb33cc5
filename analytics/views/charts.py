"""The figures of the charts, as JSON for the page to draw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from analytics.figures import Figure, error_count_figure, error_ratio_figure, latency_figure
from analytics.selectors import rollups
from analytics.views.common import BARS, chosen_range, counts_question
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


def _errors(request: HttpRequest, within: TimeRange) -> Figure:
    service, pattern = request.GET.get("service", ""), request.GET.get("pattern", "")
    step = rollups.step_for(within, BARS)
    try:
        wanted = UUID(pattern) if pattern else None
    except ValueError:
        raise Invalid.field("query.pattern", "This is not the id of a pattern.") from None
    counts = rollups.error_counts(within, service=service, pattern=wanted, step=step)
    return error_count_figure(counts, within, step, counts_question(service, pattern))


FIGURES: dict[str, Callable[[HttpRequest, TimeRange], Figure]] = {
    "error-ratio": _error_ratio,
    "latency": _latency,
    "errors": _errors,
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

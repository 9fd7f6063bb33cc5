"""What an error or a pattern touched, as a part of their pages that is pulled once they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from analytics.models import ErrorEvent, ErrorPattern
from analytics.selectors import impact as selectors
from analytics.selectors.errors import error_get
from analytics.selectors.patterns import pattern_get
from analytics.views.common import bad_question, is_partial
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import parse_range


@require_GET
@require_role(Role.VIEWER)
def error_impact(request: HttpRequest, error_id: UUID) -> HttpResponse:
    """What the request of one error touched."""
    try:
        error = error_get(error_id)
    except ErrorEvent.DoesNotExist:
        raise Http404("There is no such error; it may be past its retention.") from None
    found = selectors.error_impact(error, datetime.now(UTC))
    return _shown(request, found, error.type, reverse("error", args=[error_id]))


@require_GET
@require_role(Role.VIEWER)
def pattern_impact(request: HttpRequest, pattern_id: UUID) -> HttpResponse:
    """What the errors of a pattern touched in the chosen time; the last 24 hours by default."""
    now = datetime.now(UTC)
    try:
        pattern = pattern_get(pattern_id)
        within = parse_range(
            request.GET.get("since"),
            request.GET.get("until"),
            now=now,
            default=selectors.PATTERN_RANGE,
        )
    except ErrorPattern.DoesNotExist:
        raise Http404("There is no such pattern.") from None
    except Problem as problem:
        return bad_question(request, problem)
    found = selectors.pattern_impact(pattern, within, now)
    return _shown(request, found, pattern.type, reverse("pattern", args=[pattern_id]))


def _shown(request: HttpRequest, found: selectors.Impact, name: str, back: str) -> HttpResponse:
    context = {
        "live_cursor": None,
        "impact": found,
        "name": name or "Error",
        "back": back,
    }
    part = "_impact_figures" if is_partial(request) else "impact"
    return render(request, f"analytics/{part}.html", context)

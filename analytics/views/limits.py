"""The limits of names, and what came beyond them."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.domain.name_limits import NAME_LIMITS
from analytics.selectors.name_limits import folded_list, most_of
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role


@require_GET
@require_role(Role.VIEWER)
def limits(request: HttpRequest) -> HttpResponse:
    """How many names are kept apart, and what came beyond, of one service or of all."""
    service = request.GET.get("service", "")
    context = {
        "live_cursor": None,
        "service": service,
        "folded": folded_list(now=datetime.now(UTC), service=service),
        "limits": [(limit, most_of(limit.kind)) for limit in NAME_LIMITS.values()],
    }
    return render(request, "analytics/limits.html", context)

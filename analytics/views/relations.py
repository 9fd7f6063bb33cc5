"""The relationship map: which pattern of errors precedes which."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.selectors import relations as selectors
from analytics.selectors.relation_onsets import RANGE, WITHIN
from analytics.views.common import first_steps, is_partial
from analytics.views.relation_drawing import draw
from health.selectors import service_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role


@require_GET
@require_role(Role.VIEWER)
def relation_map(request: HttpRequest) -> HttpResponse:
    """Which pattern precedes which over the last day: a drawing, and the table that says the same."""
    cursor = journal.latest_cursor()
    service = request.GET.get("service", "")
    found = selectors.relation_map(service)
    context = {
        "live_cursor": cursor,
        "map": found,
        "drawing": draw(found.relations),
        "hours": int(RANGE.total_seconds() // 3600),
        "minutes": int(WITHIN.total_seconds() // 60),
        **first_steps(found.relations),
    }
    if is_partial(request):
        return render(request, "analytics/_relations.html", context)
    context["services"] = [each.name for each in service_list()]
    return render(request, "analytics/relations.html", context)

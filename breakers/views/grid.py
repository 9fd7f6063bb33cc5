"""All breakers as tiles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from breakers.choices import BreakerState
from breakers.selectors.breakers import SILENT_STATE, breaker_list, service_names
from breakers.selectors.domains import domain_names
from breakers.views.common import bad_question, first_steps, is_partial, may_operate
from breakers.views.tiles import summary, tiles
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem

_FILTERS = ("service", "state", "q", "domain")


@require_GET
@require_role(Role.VIEWER)
def breaker_grid(request: HttpRequest) -> HttpResponse:
    """The worst first, then the busiest; the filters stand in the address."""
    cursor = journal.latest_cursor()
    wanted = {name: request.GET.get(name, "") for name in _FILTERS}
    try:
        views = breaker_list(datetime.now(UTC), **wanted)
    except Problem as problem:
        return bad_question(request, problem)
    acts = may_operate(request)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "tiles": tiles(views, acts=acts),
        "summary": summary(views) if views else None,
        "filtered": any(wanted.values()),
        "may_operate": acts,
        **first_steps(views),
    }
    if is_partial(request):
        return render(request, "breakers/_grid.html", context)
    context["services"] = service_names()
    context["domains"] = domain_names()
    context["states"] = [*BreakerState.choices, (SILENT_STATE, "Silent")]
    return render(request, "breakers/breaker_list.html", context)

"""The service catalogue, one service, and who calls whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.selectors import errors as error_selectors
from analytics.selectors import rollups
from analytics.views import bad_question, page_range, severity_word
from health.models import Service
from health.selectors import service_get
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import parse_range
from resilience_site.pages.overview import service_rows, state_of

DEFAULT_RANGE = timedelta(hours=1)


@require_GET
@require_role(Role.VIEWER)
def services(request: HttpRequest) -> HttpResponse:
    """All services with their calls, and the edges between them."""
    cursor = journal.latest_cursor()
    try:
        within = parse_range(
            request.GET.get("since"), request.GET.get("until"),
            now=datetime.now(UTC), default=DEFAULT_RANGE,
        )  # fmt: skip
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "services": service_rows(within, rollups.service_figures(within)),
        "edges": rollups.edge_list(within),
        "seconds": within.length.total_seconds(),
    }
    name = "pages/_services.html" if getattr(request, "htmx", False) else "pages/services.html"
    return render(request, name, context)


@require_GET
@require_role(Role.VIEWER)
def service(request: HttpRequest, name: str) -> HttpResponse:
    """One service: its operations, its callers and callees, its newest errors."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        found = service_get(name)
        within = parse_range(
            request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
        )
        listed = page_range(request, now)
    except Service.DoesNotExist:
        raise Http404("There is no such service in the catalogue.") from None
    except Problem as problem:
        return bad_question(request, problem)
    figures = rollups.service_figures(within).get(name)
    newest = error_selectors.error_list(
        wanted=error_selectors.ErrorFilter(service=name), within=listed, limit=10
    )
    context = {
        "live_cursor": cursor,
        "service": found,
        "figures": figures,
        "state": state_of(figures),
        "operations": list(rollups.operation_figures(name, within).items()),
        "edges": [e for e in rollups.edge_list(within) if name in (e.caller, e.callee)],
        "rows": [(error, severity_word(error.severity)) for error in newest.items],
        "seconds": within.length.total_seconds(),
        "query": request.GET.urlencode(),
    }
    template = "pages/_service.html" if getattr(request, "htmx", False) else "pages/service.html"
    return render(request, template, context)

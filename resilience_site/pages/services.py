"""The service catalogue, one service, and who calls whom."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.selectors import errors as error_selectors
from analytics.selectors import rollups
from analytics.selectors.name_limits import folded_list
from analytics.views.common import (
    bad_question,
    chosen_range,
    first_steps,
    is_partial,
    list_range,
    with_severity,
)
from health.models import Service
from health.selectors import service_get
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import window
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.pages.chart_tables import table_points
from resilience_site.pages.health import service_checks
from resilience_site.pages.moments import moments_read
from resilience_site.pages.service_map import draw
from resilience_site.pages.service_rows import DEFAULT_SORT, service_rows
from resilience_site.pages.verdict import state_of

_NEWEST = 10


@require_GET
@require_role(Role.VIEWER)
def services(request: HttpRequest) -> HttpResponse:
    """All services with their calls."""
    cursor = journal.latest_cursor()
    try:
        within = chosen_range(request, datetime.now(UTC))
    except Problem as problem:
        return bad_question(request, problem)
    rows = service_rows(within, request.GET.get("sort", DEFAULT_SORT))
    context = {
        "live_cursor": cursor,
        "services": rows,
        **first_steps(rows),
        "seconds": within.length.total_seconds(),
    }
    part = "_services" if is_partial(request) else "services"
    return render(request, f"pages/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def service_map(request: HttpRequest) -> HttpResponse:
    """Who calls whom: a drawing, and the table that says the same, of a time or a part of it."""
    cursor = journal.latest_cursor()
    try:
        moments, within = moments_read(request.GET, chosen_range(request, datetime.now(UTC)))
    except Problem as problem:
        return bad_question(request, problem)
    figures, edges = rollups.service_figures(within), rollups.edge_list(within)
    context = {
        "live_cursor": cursor,
        "drawing": draw(edges, {name: state_of(each) for name, each in figures.items()}),
        "edges": edges,
        "moments": moments,
        "known": set(figures),
        "seconds": within.length.total_seconds(),
        **first_steps(edges or list(figures)),
    }
    part = "_service_map" if is_partial(request) else "service_map"
    return render(request, f"pages/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def service(request: HttpRequest, name: str) -> HttpResponse:
    """One service: its operations, its callers and callees, its newest errors."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    checks_src = request.path + query_with(request.GET, part="checks")
    if is_partial(request) and request.GET.get("part") == "checks":
        context = {"checks_src": checks_src, **service_checks(name, now)}
        return render(request, "pages/_service_checks.html", context)
    try:
        found = service_get(name)
        within, listed = chosen_range(request, now), list_range(request, now)
    except Service.DoesNotExist:
        raise Http404("There is no such service in the catalogue.") from None
    except Problem as problem:
        return bad_question(request, problem)
    all_figures = rollups.service_figures(within)
    figures = all_figures.get(name)
    newest = error_selectors.error_list(
        wanted=error_selectors.ErrorFilter(service=name), within=listed, limit=_NEWEST
    )
    step = rollups.step_for(within)
    context = {
        "live_cursor": cursor,
        "service": found,
        "figures": figures,
        "state": state_of(figures),
        "operations": list(rollups.operation_figures(name, within).items()),
        "edges": [e for e in rollups.edge_list(within) if name in (e.caller, e.callee)],
        "known": set(all_figures),
        "rows": with_severity(newest.items),
        "points": table_points(rollups.call_series(within, name, step), step, name),
        "topics": f"traffic:{name} errors:{name}" if name.split() == [name] else "traffic errors",
        "folded": folded_list(now=now, service=name),
        "named_calls": f"entry calls, {window(within.length.total_seconds())}",
        "seconds": within.length.total_seconds(),
        "question": query_with(request.GET, service=name),
        "checks_src": checks_src,
    }
    if not is_partial(request):
        context |= service_checks(name, now)
    part = "_service" if is_partial(request) else "service"
    return render(request, f"pages/{part}.html", context)

"""The overview: one sentence first, then the figures that it rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from analytics.selectors import errors as error_selectors
from analytics.selectors import rollups
from analytics.selectors.ingest_status import IngestStatus, ingest_status
from analytics.selectors.patterns import PatternFilter, pattern_list
from analytics.views.common import (
    bad_question,
    chosen_range,
    first_steps,
    is_partial,
    list_range,
    with_severity,
    with_trend,
)
from breakers.selectors.summary import protection
from resilience_site.core import journal, wakeup
from resilience_site.core.choices import Role
from resilience_site.core.formatting import window
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.core.timerange import TimeRange
from resilience_site.pages.budgets import with_budgets
from resilience_site.pages.chart_tables import table_points
from resilience_site.pages.health import with_health
from resilience_site.pages.incidents import with_incidents
from resilience_site.pages.service_rows import DEFAULT_SORT, service_rows
from resilience_site.pages.verdict import verdict

# The verdict speaks of the present, whatever range the page shows.
VERDICT_MINUTES = 5
NEWEST = 8
SERVICES_SHOWN = 12


@require_GET
@require_role(Role.VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """The first screen. Its head and its body are pulled apart from each other, so that a row
    under the keyboard holds back the tables alone; budgets, as they sum up weeks, come after it."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        within, listed = chosen_range(request, now), list_range(request, now)
    except Problem as problem:
        return bad_question(request, problem)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "seconds": within.length.total_seconds(),
        "body_src": f"{request.path}{query_with(request.GET, part='body')}",
        "head_src": f"{request.path}{query_with(request.GET, part='head')}",
        "budgets_src": f"{request.path}{query_with(request.GET, part='budgets')}",
    }
    part = request.GET.get("part", "") if is_partial(request) else ""
    if part == "budgets":
        return render(request, "pages/_overview_budgets.html", context | with_budgets(now))
    context |= _ingest(ingest_status(now=now))
    if part != "body":
        context |= _head(request, now, within, context["ingest"])
    if part != "head":
        context |= _body(request, now, within, listed)
    template = {"head": "_overview_head", "body": "_overview_body"}.get(part, "overview")
    return render(request, f"pages/{template}.html", context)


def _head(
    request: HttpRequest, now: datetime, within: TimeRange, ingest: IngestStatus
) -> dict[str, Any]:
    recent = TimeRange(now - timedelta(minutes=VERDICT_MINUTES), now)
    recent_figures = rollups.service_figures(recent)
    figures = rollups.service_figures(within).values()
    health = with_health(
        verdict(
            recent_figures,
            sum(rollups.error_totals(recent).values()),
            sum(counts.accepted for counts in ingest.windows[VERDICT_MINUTES].values()),
            ingest.oldest_age,
            window(recent.length.total_seconds()),
            redis_answers=not wakeup.pulse.silent,
        )
    )
    return {
        **health,
        **with_incidents(health["verdict"]),
        "calls": sum(f.calls for f in figures),
        "failed": sum(f.errors for f in figures),
        "errors": sum(rollups.error_totals(within).values()),
        "errors_href": reverse("errors") + query_with(request.GET, part=None, sort=None),
        "named_window": window(within.length.total_seconds()),
        "protection": protection(now),
    }


def _ingest(ingest: IngestStatus) -> dict[str, Any]:
    counts = ingest.windows[VERDICT_MINUTES].values()
    again, rejected = sum(c.duplicates for c in counts), sum(c.rejected_total for c in counts)
    return {
        "ingest": ingest,
        "signals": counts,
        "accepted": sum(c.accepted for c in counts),
        "stored": sum(c.stored for c in counts),
        "rejected": rejected,
        "ingest_basis": f"items, {again:,} of them again, {rejected:,} rejected, last 5 min",
    }


def _body(
    request: HttpRequest, now: datetime, within: TimeRange, listed: TimeRange
) -> dict[str, Any]:
    services = service_rows(within, request.GET.get("sort", DEFAULT_SORT))
    if not services:
        return {"services": [], **first_steps(services)}
    newest = error_selectors.error_list(
        wanted=error_selectors.ErrorFilter(), within=listed, limit=NEWEST
    )
    patterns = pattern_list(wanted=PatternFilter(within=listed), limit=NEWEST)
    step = rollups.step_for(within)
    return {
        "services": services[:SERVICES_SHOWN],
        "services_known": len(services),
        "rows": with_severity(newest.items),
        "patterns": with_trend(patterns.items, now),
        "points": table_points(rollups.call_series(within, step=step), step),
        "question": query_with(request.GET, part=None, sort=None),
    }


@require_GET
@require_role(Role.VIEWER)
def site_health(request: HttpRequest) -> HttpResponse:
    """The footer's line about the site's own ingest."""
    context = _ingest(ingest_status(now=datetime.now(UTC)))
    return render(request, "pages/_site_health.html", context)

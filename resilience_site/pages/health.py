"""What the screens of health need from analytics as well, and the other way round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.selectors import rollups
from health.models import Check
from health.selectors.checks import (
    check_get,
    checks_of_service,
    culprit_list,
    services_in_radius,
    state_counts,
)
from health.views.board import list_rows
from health.views.verdict import brief
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.timerange import TimeRange
from resilience_site.pages.verdict import Verdict

# Traffic is seen over a while: callers come and go.
TRAFFIC_WINDOW = timedelta(minutes=15)


@require_GET
@require_role(Role.VIEWER)
def check_radius(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """The traffic of the services that fail with a check."""
    try:
        check = check_get(check_id)
    except Check.DoesNotExist:
        raise Http404("There is no such check.") from None
    now = datetime.now(UTC)
    figures = rollups.service_figures(TimeRange(now - TRAFFIC_WINDOW, now))
    names = services_in_radius(check.id)
    carrying = [(name, figures[name]) for name in names if name in figures]
    context = {
        "carrying": sorted(carrying, key=lambda pair: -pair[1].rate),
        "silent": len(names) - len(carrying),
        "seconds": TRAFFIC_WINDOW.total_seconds(),
        "src": request.get_full_path(),
    }
    return render(request, "pages/_check_traffic.html", context)


def service_checks(name: str, now: datetime) -> dict[str, Any]:
    """What the page of a service says of its checks; three queries."""
    return {"check_rows": list_rows(checks_of_service(name), now)}


def with_health(traffic: Verdict) -> dict[str, Any]:
    """The overview's verdict, which begins with the checks that are down; two queries."""
    counts = state_counts()
    checks = brief(counts, culprit_list())
    context = {"checks_up": counts.get("up", 0), "checks_known": sum(counts.values())}
    if checks is None or not checks.culprits:
        return {"verdict": traffic, **context}
    sentence, detail = checks.sentence, checks.detail
    if traffic.tone == "bad":
        sentence = f"{sentence}, and {traffic.sentence[0].lower()}{traffic.sentence[1:]}"
        detail = f"{detail}; {traffic.detail}"
    tone, icon = checks.tone, checks.icon
    if traffic.tone == "bad":
        tone, icon = traffic.tone, traffic.icon
    return {"verdict": Verdict(tone, icon, sentence, detail), **context}

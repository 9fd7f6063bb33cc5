"""What the pages of services, checks, breakers and incidents say of the healing of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from healing.choices import OPEN, OpportunityState
from healing.models import HealingRun, Opportunity
from healing.views.rows import run_rows
from resilience_site.core.choices import Role
from resilience_site.core.formatting import plural
from resilience_site.core.permissions import require_role

LAST: Final = 3
_MOST: Final = 20


@require_GET
@require_role(Role.VIEWER)
def healing_of(request: HttpRequest) -> HttpResponse:
    """Runs that heal some services (`service`, more than once) now, and what could be healed
    there; without one, the runs of all. Pulled into pages, which it does not make slower."""
    now = datetime.now(UTC)
    services = [each for each in request.GET.getlist("service")[:_MOST] if "\0" not in each]
    runs = HealingRun.objects.filter(dry_run=False, refused_by="").prefetch_related("steps")
    if services:
        runs = runs.filter(service__in=services)
    found = list(runs.filter(state__in=sorted(OPEN)).order_by("-created_at", "-id")[:_MOST])
    waiting = Opportunity.objects.filter(service__in=services, state=OpportunityState.OPEN)
    over = runs.filter(ended_at__isnull=False).order_by("-ended_at") if services else runs.none()
    context = {
        "src": request.get_full_path(),
        "rows": run_rows(found, now),
        "sentence": f"{plural(len(found), 'healing run')} active" if found else "",
        "opportunities": waiting.count() if services else 0,
        "last": run_rows(over[:LAST], now),
        "one": services[0] if len(services) == 1 else "",
    }
    return render(request, "pages/_healing_of.html", context)

"""What failures touched: of an error or a pattern as a part of their pages that is pulled once they
stand, of a window on a screen of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from analytics.domain.impact import Budget
from analytics.models import ErrorEvent, ErrorPattern
from analytics.selectors import impact as selectors
from analytics.selectors.errors import error_get
from analytics.selectors.patterns import pattern_get
from analytics.selectors.rollups import error_totals
from analytics.views.common import bad_question, chosen_range, first_steps, is_partial
from health.selectors import service_list
from resilience_site.core.choices import Role
from resilience_site.core.formatting import ABSENT, compact, duration, percent, three_digits
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import parse_range

# Of those with errors, listed to choose from.
MOST_SERVICES = 50
TIMES_OVER = 2


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


@require_GET
@require_role(Role.VIEWER)
def window_impact(request: HttpRequest) -> HttpResponse:
    """What all errors of a service touched in the chosen time; without one, which services have
    any."""
    now = datetime.now(UTC)
    service = request.GET.get("service", "")
    try:
        within = chosen_range(request, now)
    except Problem as problem:
        return bad_question(request, problem)
    found = selectors.window_impact(within, now, service) if service else None
    failing = sorted(error_totals(within).items(), key=lambda each: (-each[1], each[0]))
    errors = sum(count for _, count in failing)
    seconds = within.length.total_seconds()
    context = {
        "live_cursor": None,
        "service": service,
        "services": service_list().values_list("name", flat=True),
        "within": within,
        "impact": found,
        "tiles": _tiles(found, duration(seconds)) if found and found.errors else (),
        "failing": [
            (name, count, percent(count, errors)) for name, count in failing[:MOST_SERVICES]
        ],
        "left_out": len(failing[MOST_SERVICES:]),
        "errors": errors,
        "seconds": seconds,
        **first_steps(failing),
    }
    return render(request, "analytics/window_impact.html", context)


def _tiles(found: selectors.Impact, length: str) -> tuple[tuple[str, str, str], ...]:
    """The figures that are looked at first: name, value and what it is out of."""
    least = "at least " if found.approximate else ""
    budget = found.budget
    calls = f"of {compact(found.calls)} calls in {length}" if found.calls else "calls not known"
    examined = f"{compact(found.examined)} request{'' if found.examined == 1 else 's'}"
    return (
        (
            "Requests that failed",
            f"{'at least ' if found.capped else ''}{compact(found.requests)}",
            f"{compact(found.errors)} errors in {length}",
        ),
        ("Share of traffic", found.share_text, calls),
        (
            "Users",
            ABSENT if found.users is None else f"{least}{compact(found.users)}",
            f"named by {examined}" if found.users else f"none named by {examined}",
        ),
        (
            "Served degraded",
            percent(found.served_degraded, found.examined),
            f"{compact(found.served_degraded)} of {examined}",
        ),
        (
            "Blast radius",
            compact(len(found.blast_radius)),
            f"{'service depends' if len(found.blast_radius) == 1 else 'services depend'} on "
            f"{found.service}, last 24 h",
        ),
        (
            "Error budget spent",
            _spent(budget),
            f"of {found.allowed_text} failures, {budget.days} d at {found.target_text}"
            if budget.spent is not None
            else f"no calls in {budget.days} d",
        ),
    )


def _spent(budget: Budget) -> str:
    if budget.spent is None:
        return ABSENT
    # Hundreds of percent are harder to read than how many times over.
    if budget.spent >= TIMES_OVER:
        return f"{three_digits(budget.spent)} ×"
    return percent(budget.failed, budget.allowed)


def _shown(request: HttpRequest, found: selectors.Impact, name: str, back: str) -> HttpResponse:
    context = {
        "live_cursor": None,
        "impact": found,
        "name": name or "Error",
        "back": back,
    }
    part = "_impact_figures" if is_partial(request) else "impact"
    return render(request, f"analytics/{part}.html", context)

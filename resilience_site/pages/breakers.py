"""What the screens of breakers need from analytics as well: who is affected, and the chart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.selectors import rollups
from breakers.models import Breaker, DomainMember
from breakers.selectors.breaker_view import BreakerView
from breakers.selectors.breakers import breaker_get, breaker_list, breaker_place
from breakers.selectors.domains import domain_get
from breakers.selectors.minutes import call_minutes
from breakers.selectors.transitions import transition_list
from breakers.services.targets import Target
from breakers.views.actions import place_words
from breakers.views.common import breaker_topics
from breakers.views.detail import DEFAULT_RANGE
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import TimeRange, parse_range
from resilience_site.pages.blast_radius import Radius, radius_of
from resilience_site.pages.breaker_chart import CHART_STEPS, Course, figure, table

# Who calls a service is seen over a while: callers come and go.
CALLERS_WINDOW = timedelta(minutes=15)
_MOST_TRANSITIONS = 1_000


@require_GET
@require_role(Role.VIEWER)
def blast_radius(request: HttpRequest, key: str) -> HttpResponse:
    """One line for the dialog of an override: callers and calls that it concerns."""
    now = datetime.now(UTC)
    kind, _, name = request.GET.get("scope", "").partition(":")
    try:
        view = breaker_get(key, now)
        views = list(domain_get(name, now).breakers) if kind == "domain" else [view]
    except Breaker.DoesNotExist:
        raise Http404("There is no such breaker.") from None
    except DomainMember.DoesNotExist:
        raise Http404("There is no such failure domain.") from None
    edges = rollups.edge_list(TimeRange(now - CALLERS_WINDOW, now))
    radius = radius_of(views, edges, instance=name if kind == "instance" else None)
    return render(request, "pages/_blast_radius.html", {"radius": radius})


@require_GET
@require_role(Role.VIEWER)
def domain_blast_radius(request: HttpRequest) -> HttpResponse:
    """The same for a whole failure domain."""
    now = datetime.now(UTC)
    try:
        domain = domain_get(request.GET.get("domain", ""), now)
    except DomainMember.DoesNotExist:
        raise Http404("There is no such failure domain.") from None
    edges = rollups.edge_list(TimeRange(now - CALLERS_WINDOW, now))
    radius = radius_of(domain.breakers, edges)
    return render(request, "pages/_blast_radius.html", {"radius": radius})


def radii(targets: Iterable[Target], now: datetime) -> dict[Target, tuple[str, Radius]]:
    """Places in words, each with who is affected by what is done there."""
    views = breaker_list(now)
    edges = rollups.edge_list(TimeRange(now - CALLERS_WINDOW, now))

    def meant(target: Target) -> list[BreakerView]:
        if target.domain:
            return [view for view in views if target.domain in view.domains]
        place = (target.service, target.name)
        return [view for view in views if (view.service, view.name) == place]

    return {
        target: (
            place_words(target),
            radius_of(meant(target), edges, instance=target.instance or None),
        )
        for target in targets
    }


@require_GET
@require_role(Role.VIEWER)
def breaker_figure(request: HttpRequest) -> HttpResponse:
    """The chart of one breaker: its calls, the errors of its service, its transitions."""
    try:
        return JsonResponse(figure(_course(request)))
    except Problem as problem:
        return JsonResponse({"detail": problem.detail}, status=400)


@require_GET
@require_role(Role.VIEWER)
def breaker_figure_rows(request: HttpRequest) -> HttpResponse:
    """The table that says what the chart draws."""
    try:
        course = _course(request)
    except Problem as problem:
        return HttpResponse(problem.detail, status=400, content_type="text/plain")
    context = {
        "rows": table(course),
        "src": request.get_full_path(),
        "topics": breaker_topics(course.service, course.key),
    }
    return render(request, "pages/_breaker_chart_rows.html", context)


def _course(request: HttpRequest) -> Course:
    """What happened over the range of the page. Raises `Problem`."""
    now, key = datetime.now(UTC), request.GET.get("key", "")
    try:
        service, name = breaker_place(key)
    except Breaker.DoesNotExist:
        raise Http404("There is no such breaker.") from None
    within = parse_range(
        request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
    )
    step = rollups.step_for(within, CHART_STEPS)
    transitions = transition_list(
        service=service, name=name, within=within, limit=_MOST_TRANSITIONS
    )
    return Course(
        service,
        key,
        within,
        step,
        call_minutes(service, name, within, step),
        dict(rollups.error_counts(within, service=service, step=step)),
        transitions.items,
        cut=transitions.next_cursor is not None,
    )

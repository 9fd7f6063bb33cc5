"""Degraded modes: at what level each service runs, what its users read, and changing both."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from breakers.choices import Level
from breakers.selectors.degraded import (
    DegradedView,
    degraded_find,
    degraded_history,
    degraded_list,
)
from breakers.selectors.notices import NAMELESS
from breakers.services.degraded import degraded_set, notice_default
from breakers.views.common import (
    back_to,
    first_steps,
    is_partial,
    may_operate,
    operators_only,
    reason_given,
    topic,
)
from breakers.views.decisions import NO_END, Decided, decided, end_given, rows_of
from breakers.views.forms import METHODS, check_reason, expiries, form_page, version_given
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role, role_of
from resilience_site.core.problems import Conflict, Problem

HISTORY_SHOWN = 20
MAX_NOTICE = 500
# Each with what it does.
LEVELS = [
    (value, str(label).partition(": ")[2])
    for value, label in Level.choices
    if value != Level.NORMAL
]


@require_GET
@require_role(Role.VIEWER)
def degraded(request: HttpRequest) -> HttpResponse:
    """All services, the worst level first."""
    cursor = journal.latest_cursor()
    views = degraded_list(now=datetime.now(UTC), q=request.GET.get("q", ""))
    context = {
        "live_cursor": cursor,
        "views": views,
        "degraded": sum(view.degraded for view in views),
        "filtered": bool(request.GET.get("q")),
        "may_operate": may_operate(request),
        **first_steps(views),
    }
    part = "_degraded" if is_partial(request) else "degraded"
    return render(request, f"breakers/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def degraded_service(request: HttpRequest, service: str) -> HttpResponse:
    """One service: its level, what its users read, who works by it, and what was done."""
    cursor = journal.latest_cursor()
    view = _view_or_404(service)
    entries = degraded_history(service).order_by("-at", "-pk")[:HISTORY_SHOWN]
    context = {
        "live_cursor": cursor,
        "view": view,
        "applied_list": [view.applied],
        "notice": _preview(view, view.level, view.mode.notice) if view.mode else None,
        "topics": f"{topic('degraded', service)} {topic('control', service)}",
        "history": [(entry, *_told(decided(entry))) for entry in entries],
        "may_operate": may_operate(request),
    }
    part = "_degraded_service" if is_partial(request) else "degraded_service"
    return render(request, f"breakers/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def preview(request: HttpRequest, service: str) -> HttpResponse:
    """What users would read of a service at `level` with `notice`."""
    view = _view_or_404(service)
    level = request.GET.get("level", "")
    level = level if level in Level.values else Level.REDUCED
    context = {"notice": _preview(view, level, request.GET.get("notice", "")), "view": view}
    return render(request, "breakers/_notice_preview.html", context)


@never_cache
@require_http_methods(METHODS)
@operators_only("degraded.set", "service")
def set_level(request: HttpRequest, service: str) -> HttpResponse:
    """The form of a level; a POST sets it, unless it only asks for the preview."""
    view = _view_or_404(service)
    problem: Problem | None = None
    if request.method == "POST" and "preview" not in request.POST:
        level = request.POST.get("level", "")
        try:
            check_reason(reason_given(request))
            degraded_set(
                service=service,
                level=level,
                notice=request.POST.get("notice", ""),
                reason=reason_given(request),
                expires_in=end_given(request),
                actor=actor_of(request),
                role=role_of(request.user),
                if_match=version_given(request),
            )
        except Problem as refused:
            problem, view = refused, _view_or_404(service)
        else:
            messages.info(request, f"Requested: {service} runs at the level {level}.")
            return redirect(back_to(request, reverse("degraded-service", args=[service])))
    level, notice = _wanted(request, view)
    return _form(
        request, "degraded", view, problem,
        title=f"Degrade {service}", levels=LEVELS, level=level, text=notice,
        notice=_preview(view, level, notice), max_notice=MAX_NOTICE,
        preview_src=reverse("degraded-preview", args=[service]),
        expiries=[*expiries(request), NO_END],
        expires_in=request.POST.get("expires_in", "3600"),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@operators_only("degraded.set", "service")
def end_level(request: HttpRequest, service: str) -> HttpResponse:
    """The form that brings a service back to normal; a POST does it."""
    view = _view_or_404(service)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            degraded_set(
                service=service,
                level=Level.NORMAL,
                reason=reason_given(request),
                actor=actor_of(request),
                role=role_of(request.user),
                if_match=version_given(request),
            )
        except Problem as refused:
            problem, view = refused, _view_or_404(service)
        else:
            messages.info(request, f"Requested: {service} is back to normal.")
            return redirect(back_to(request, reverse("degraded-service", args=[service])))
    return _form(request, "degraded_end", view, problem, title=f"{service} back to normal")


def _form(
    request: HttpRequest, form: str, view: DegradedView, problem: Problem | None, **more: Any
) -> HttpResponse:
    """A form about a service, with both sides of a conflict."""
    if isinstance(problem, Conflict):
        more |= {"standing": rows_of(problem.current), "asked": rows_of(problem.proposed)}
    home = reverse("degraded-service", args=[view.service])
    return form_page(request, form, problem, home, view=view, version=str(view.version), **more)


def _wanted(request: HttpRequest, view: DegradedView) -> tuple[str, str]:
    """Level and notice of the fields: what was sent, else what stands."""
    level, notice = view.level, view.mode.notice if view.mode and view.degraded else ""
    if request.method == "POST":
        level, notice = request.POST.get("level", ""), request.POST.get("notice", "")
    if level not in Level.values or level == Level.NORMAL:
        level = Level.REDUCED
    return level, notice


def _preview(view: DegradedView, level: str, notice: str) -> dict[str, Any] | None:
    """A notice as the public status page shows it; None at the level normal."""
    if level == Level.NORMAL:
        return None
    text = notice.replace("\0", "").strip() or notice_default(view.service, level)
    return {
        "name": view.public_name or NAMELESS,
        "level": level,
        "text": text[:MAX_NOTICE],
        "started_at": view.mode.created_at if view.mode and view.degraded else None,
    }


def _told(what: Decided) -> tuple[str, str]:
    """Tone and words of an entry of the history."""
    if what.refused:
        return "warn", "Refused to change the level"
    level = str(what.after.get("level", ""))
    if level == Level.NORMAL:
        verb = "Expired: back" if what.action.endswith("expired") else "Back"
        return "ok", f"{verb} to normal"
    notice = what.after.get("notice")
    told = f", users read: {notice}" if notice else ""
    return "warn" if level == Level.REDUCED else "bad", f"Level {level}{told}"


def _view_or_404(service: str) -> DegradedView:
    view = degraded_find(service, now=datetime.now(UTC))
    if view is None:
        raise Http404("There is no such service.")
    return view

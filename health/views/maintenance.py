"""Maintenance windows: what goes on, what comes and what was; planning, ending, taking back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from health.models import Maintenance
from health.selectors.maintenance import Occurrence, windows_between
from health.selectors.planned import maintenance_find, maintenance_open, next_spans, planned
from health.services.maintenance import (
    maintenance_create,
    maintenance_delete,
    maintenance_end,
    maintenance_update,
)
from health.services.maintenance_fields import SCOPE, rule_read, window_read
from health.views.window_form import WindowForm
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Conflict, Problem
from resilience_site.core.screens import (
    acting_only,
    back_to,
    form_answer,
    is_partial,
    may_operate,
    reason_given,
)

METHODS = ["GET", "HEAD", "POST"]
AROUND: Final = timedelta(days=30)
SHOWN: Final = 20
WINDOWS_SHOWN: Final = 200


@require_GET
@require_role(Role.VIEWER)
def maintenance(request: HttpRequest) -> HttpResponse:
    """Occurrences of the last and the next 30 days, and the windows that they come from."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    found = windows_between(now - AROUND, now + AROUND)
    windows = maintenance_open(now)
    context = {
        "live_cursor": cursor,
        "under_way": [each for each in found if each.starts_at <= now < each.ends_at],
        "upcoming": [each for each in found if each.starts_at > now][:SHOWN],
        "past": _past(found, now)[:SHOWN],
        "windows": planned(windows.order_by("-created_at", "-id")[:WINDOWS_SHOWN], now, most=1),
        "left_out": max(0, windows.count() - WINDOWS_SHOWN),
        "may_operate": may_operate(request),
    }
    part = "_maintenance" if is_partial(request) else "maintenance"
    return render(request, f"health/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("maintenance.create", "maintenance")
def maintenance_new(request: HttpRequest) -> HttpResponse:
    """The form of a new window; a POST plans it, or previews when it would be."""
    form = WindowForm(request)

    def save() -> None:
        maintenance_create(**form.given(), actor=actor_of(request), now=datetime.now(UTC))

    return _act(request, form, save, "is planned")


@never_cache
@require_http_methods(METHODS)
@acting_only("maintenance.update", "maintenance")
def maintenance_edit(request: HttpRequest, maintenance_id: UUID) -> HttpResponse:
    """The form of a window; a POST changes it, or previews when it would be."""
    form = WindowForm(request, _or_404(maintenance_id))

    def save() -> None:
        maintenance_update(
            maintenance_id=maintenance_id,
            changes=form.changes(),
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    return _act(request, form, save, "is changed")


@never_cache
@require_http_methods(METHODS)
@acting_only("maintenance.end", "maintenance")
def maintenance_stop(request: HttpRequest, maintenance_id: UUID) -> HttpResponse:
    """The question whether to end a window now; a POST does."""

    def end() -> None:
        maintenance_end(
            maintenance_id=maintenance_id,
            reason=reason_given(request),
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    return _ask(request, maintenance_id, "end", end, "has ended")


@never_cache
@require_http_methods(METHODS)
@acting_only("maintenance.delete", "maintenance")
def maintenance_remove(request: HttpRequest, maintenance_id: UUID) -> HttpResponse:
    """The question whether to take a window back; a POST does."""

    def delete() -> None:
        maintenance_delete(
            maintenance_id=maintenance_id,
            reason=reason_given(request),
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    return _ask(request, maintenance_id, "delete", delete, "is taken back")


def _act(
    request: HttpRequest, form: WindowForm, save: Callable[[], None], done: str
) -> HttpResponse:
    """Preview or save what was sent, or show the form."""
    if request.method != "POST":
        return _form(request, form, None)
    previewing = request.GET.get("act") == "preview"
    preview: dict[str, Any] = {}
    problem: Problem | None = None
    try:
        if previewing:
            preview = _preview(form)
        else:
            save()
            messages.info(request, f"{request.POST.get('name', '').strip()} {done}.")
            return redirect(back_to(request, reverse("health:maintenance")))
    except Problem as refused:
        problem = refused
        form.refuse(refused)
    if previewing and is_partial(request):
        # A part of the page, which htmx takes in on success alone.
        preview |= {"problem": problem, "error_list": form.shown()["error_list"]}
        return render(request, "health/_preview.html", preview)
    return _form(request, form, problem, **preview)


def _preview(form: WindowForm) -> dict[str, Any]:
    """The next occurrences by the clock of the window and in UTC. Raises `Problem`."""
    now = datetime.now(UTC)
    given = {name: value for name, value in form.given(scoped=False).items() if name not in SCOPE}
    # A preview needs no words yet.
    given |= {name: given[name] or "preview" for name in ("name", "reason")}
    fields = window_read(given, now)
    zone = ZoneInfo(fields["timezone"])
    return {
        "zone_name": fields["timezone"],
        "spans": [
            (each, _on_the_wall(each.starts_at, zone), _on_the_wall(each.ends_at, zone))
            for each in next_spans(rule_read(fields), now)
        ],
        "previewed": True,
    }


def _form(
    request: HttpRequest, form: WindowForm, problem: Problem | None, **more: Any
) -> HttpResponse:
    window = form.window
    context: dict[str, Any] = {
        "window": window,
        "next": back_to(request, reverse("health:maintenance")),
        "title": f"Edit {window.name}" if window else "New maintenance",
        "version": window.version if window else "",
        **form.shown(),
        **more,
    }
    if isinstance(problem, Conflict) and window is not None:
        context["version"] = _or_404(window.id).version
    return form_answer(request, context, problem, "health/maintenance_form.html")


def _ask(
    request: HttpRequest, maintenance_id: UUID, act: str, do: Callable[[], None], done: str
) -> HttpResponse:
    window = _or_404(maintenance_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            do()
        except Problem as refused:
            problem, window = refused, _or_404(maintenance_id)
        else:
            messages.info(request, f"{window.name} {done}.")
            return redirect(back_to(request, reverse("health:maintenance")))
    context = {
        "form": "health/_maintenance_ask_form.html",
        "next": back_to(request, reverse("health:maintenance")),
        "act": act,
        "title": f"End {window.name} now" if act == "end" else f"Take {window.name} back",
        "planned": planned([window], datetime.now(UTC), most=1)[0],
        "reason": reason_given(request),
    }
    return form_answer(request, context, problem)


def _on_the_wall(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %d %b %Y, %H:%M}"


def _past(found: list[Occurrence], now: datetime) -> list[Occurrence]:
    over = [each for each in found if each.ends_at <= now]
    return sorted(over, key=lambda each: each.ends_at, reverse=True)


def _version(request: HttpRequest) -> int | None:
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _or_404(maintenance_id: UUID) -> Maintenance:
    window = maintenance_find(maintenance_id)
    if window is None:
        raise Http404("There is no such maintenance window.")
    return window

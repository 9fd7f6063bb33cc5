"""Incidents of the public status page: opening them, telling of them, correcting what was told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from health.choices import IncidentStage, PublicImpact
from health.models import PublicIncident, PublicIncidentUpdate
from health.selectors.incidents import (
    incident_find,
    incident_list,
    incident_update_find,
    incident_version,
    services_to_name,
)
from health.services import incidents as services
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Invalid, Problem
from resilience_site.core.screens import (
    acting_only,
    back_to,
    form_answer,
    is_partial,
    may_operate,
    tried,
)

METHODS = ["GET", "HEAD", "POST"]
RESOLVED_SHOWN = 50


@require_GET
@require_role(Role.VIEWER)
def incidents(request: HttpRequest) -> HttpResponse:
    """Open incidents in full, resolved ones by name."""
    context = {
        "live_cursor": journal.latest_cursor(),
        "open": list(incident_list("open")),
        "resolved": list(incident_list("resolved")[:RESOLVED_SHOWN]),
        "may_operate": may_operate(request),
    }
    part = "_incidents" if is_partial(request) else "incidents"
    return render(request, f"health/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def incident(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """One incident with its account."""
    cursor = journal.latest_cursor()
    found = _or_404(incident_find(incident_id))
    context = {
        "live_cursor": cursor,
        "incident": found,
        "unnamed": [each.name for each in found.services.all() if not each.public_name],
        "may_operate": may_operate(request),
    }
    part = "_incident_body" if is_partial(request) else "incident"
    return render(request, f"health/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.open", "incident")
def incident_new(request: HttpRequest) -> HttpResponse:
    """The form of a new incident; a POST opens it."""
    problem: Problem | None = None
    if request.method == "POST":
        try:
            made = services.incident_open(
                **_given(request),
                stage=request.POST.get("stage", ""),
                text=request.POST.get("text", ""),
                actor=actor_of(request),
                now=datetime.now(UTC),
            )
        except Problem as refused:
            problem = refused
        else:
            messages.info(request, "The incident is on the status page.")
            return redirect("health:incident", made.id)
    return _form(
        request, "incident", problem, reverse("health:incidents"),
        title="New incident", wanted=_wanted(request, None), stages=_stages(IncidentStage.RESOLVED),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.edit", "incident")
def incident_edit(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The form that corrects what an incident says of itself; a POST does it."""
    found = _or_404(incident_find(incident_id))
    done, _, problem = tried(
        request,
        lambda: services.incident_edit(
            incident_id=incident_id,
            changes=_given(request),
            if_match=_version_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        return _back(request, found, "The incident is corrected.")
    return _form(
        request, "incident", problem, _home(found),
        title="Correct the incident", incident=found, wanted=_wanted(request, found),
        version=_version_of(incident_id),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.update", "incident")
def incident_update(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The form of the next update; a POST puts it on the status page."""
    found = _or_404(incident_find(incident_id))
    done, _, problem = tried(
        request,
        lambda: services.incident_update(
            incident_id=incident_id,
            stage=request.POST.get("stage", ""),
            text=request.POST.get("text", ""),
            impact=request.POST.get("impact") or None,
            if_match=_version_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        return _back(request, found, "The update is on the status page.")
    last = found.updates.all()[0].stage if found.updates.all() else IncidentStage.INVESTIGATING
    return _form(
        request, "incident_update", problem, _home(found),
        title="Post an update", incident=found, stages=_stages(),
        stage=request.POST.get("stage", last), text=request.POST.get("text", ""),
        impact=request.POST.get("impact", found.impact), version=_version_of(incident_id),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.resolve", "incident")
def incident_resolve(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The form that ends an incident; a POST does it."""
    found = _or_404(incident_find(incident_id))
    done, _, problem = tried(
        request,
        lambda: services.incident_resolve(
            incident_id=incident_id,
            text=request.POST.get("text", ""),
            if_match=_version_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        return _back(request, found, "The incident is resolved.")
    return _form(
        request, "incident_resolve", problem, _home(found),
        title="Resolve the incident", incident=found,
        text=request.POST.get("text", services.RESOLVED_TEXT), version=_version_of(incident_id),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.update_edit", "incident")
def update_edit(request: HttpRequest, update_id: UUID) -> HttpResponse:
    """The form that corrects the words of an update; a POST does it."""
    found = _update_or_404(update_id)
    done, _, problem = tried(
        request,
        lambda: services.incident_update_edit(
            update_id=update_id,
            text=request.POST.get("text", ""),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        return _back(request, found.incident, "The update is corrected.")
    return _form(
        request, "incident_words", problem, _home(found.incident),
        title="Correct the update", update=found, text=request.POST.get("text", found.text),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.update_delete", "incident")
def update_delete(request: HttpRequest, update_id: UUID) -> HttpResponse:
    """The form that takes an update back; a POST does it."""
    found = _update_or_404(update_id)
    done, _, problem = tried(
        request,
        lambda: services.incident_update_delete(
            update_id=update_id, actor=actor_of(request), now=datetime.now(UTC)
        ),
    )
    if done:
        return _back(request, found.incident, "The update is taken back.")
    return _form(
        request, "incident_delete", problem, _home(found.incident),
        title="Take the update back", update=found,
    )  # fmt: skip


# --- What they share --------------------------------------------------------------------------


def _form(
    request: HttpRequest, form: str, problem: Problem | None, home: str, **more: Any
) -> HttpResponse:
    """A form as the body of a dialog, or as a page of its own: without scripts or after a refusal."""
    context = {
        "form": f"health/_{form}_form.html",
        "next": back_to(request, home),
        "impacts": [(value, PublicImpact(value).label) for value in services.IMPACTS],
        **more,
    }
    return form_answer(request, context, problem)


def _given(request: HttpRequest) -> dict[str, Any]:
    """What a form says of an incident. Raises `Invalid` for what is no time."""
    given: dict[str, Any] = {
        "title": request.POST.get("title", ""),
        "impact": request.POST.get("impact", ""),
        "services": request.POST.getlist("services"),
    }
    began = request.POST.get("started_at", "").strip()
    if began:
        try:
            moment = datetime.fromisoformat(began)
        except ValueError:
            raise Invalid.field(
                "body.started_at", f"{began[:40]!r} is no time: 2026-11-24T03:12 is, in UTC."
            ) from None
        given["started_at"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return given


def _wanted(request: HttpRequest, found: PublicIncident | None) -> dict[str, Any]:
    """What the fields hold: what was sent, else what stands."""
    chosen = request.POST.getlist("services")
    if request.method == "POST":
        wanted: dict[str, Any] = {name: request.POST.get(name, "") for name in request.POST}
    elif found is not None:
        chosen = [each.name for each in found.services.all()]
        wanted = {
            "title": found.title,
            "impact": found.impact,
            "started_at": f"{found.started_at.astimezone(UTC):%Y-%m-%dT%H:%M}",
        }
    else:
        wanted = {"impact": PublicImpact.DEGRADED, "stage": IncidentStage.INVESTIGATING}
    wanted["services"] = [(each, each.name in chosen) for each in services_to_name(chosen)]
    return wanted


def _stages(without: str = "") -> list[str]:
    return [stage for stage in IncidentStage.values if stage != without]


def _version_given(request: HttpRequest) -> int | None:
    """The version of the incident that the form was made from."""
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _version_of(incident_id: UUID) -> str:
    """The present version, for the next try after a refusal."""
    return str(incident_version(_or_404(incident_find(incident_id))))


def _home(found: PublicIncident) -> str:
    return reverse("health:incident", args=[found.id])


def _back(request: HttpRequest, found: PublicIncident, done: str) -> HttpResponse:
    messages.info(request, done)
    return redirect(back_to(request, _home(found)))


def _or_404(found: PublicIncident | None) -> PublicIncident:
    if found is None:
        raise Http404("There is no such incident.")
    return found


def _update_or_404(update_id: UUID) -> PublicIncidentUpdate:
    found = incident_update_find(update_id)
    if found is None:
        raise Http404("There is no such update.")
    return found

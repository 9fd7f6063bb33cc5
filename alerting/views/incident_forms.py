"""The forms in which people act on an incident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from alerting.services import incident_acts, incident_publish
from alerting.views.incidents import view_or_404
from health.selectors.incidents import services_to_name
from health.services.incidents import IMPACTS
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Problem
from resilience_site.core.screens import acting_only, back_to, form_answer, refused_by, tried

METHODS: Final = ["GET", "HEAD", "POST"]


@never_cache
@require_POST
@acting_only("incident.acknowledge", "incident")
def acknowledge(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Say that one looks at it: one tap, no questions."""
    home = back_to(request, reverse("incident", args=[incident_id]))
    view_or_404(incident_id)
    try:
        incident_acts.incident_acknowledge(
            incident_id=incident_id, actor=actor_of(request), now=datetime.now(UTC)
        )
    except Problem as problem:
        messages.error(request, problem.detail)
        return refused_by(redirect(home), problem)
    messages.info(request, "You look at it; everybody sees that.")
    return redirect(home)


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.note", "incident")
def note(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The form of a note; a POST adds it."""
    return _form(
        request, incident_id, "note", "Add a note", "The note stands in the timeline.",
        lambda given: incident_acts.incident_note(
            incident_id=incident_id, note=given.get("note"), **_by(request)
        ),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.assign", "incident")
def assign(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The form that gives an incident to somebody; a POST does."""
    return _form(
        request, incident_id, "assign", "Assign", "It is assigned.",
        lambda given: incident_acts.incident_assign(
            incident_id=incident_id, to=given.get("to"), note=given.get("note"), **_by(request)
        ),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.resolve", "incident")
def resolve(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The form that ends an incident; a POST does."""
    return _form(
        request, incident_id, "resolve", "Resolve the incident", "The incident is resolved.",
        lambda given: incident_acts.incident_resolve(
            incident_id=incident_id, note=given.get("note"), **_by(request)
        ),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("incident.publish", "incident")
def publish(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """The form that tells the public; a POST does."""
    offer = incident_publish.publish_offer(view_or_404(incident_id).incident)
    sent = request.method == "POST"
    chosen = request.POST.getlist("services") if sent else offer["services"]
    given = request.POST.dict() if sent else {**offer, "follow": "on"}
    return _form(
        request, incident_id, "publish", "Publish on the status page", "The public is told.",
        lambda given: incident_publish.incident_publish(
            incident_id=incident_id,
            title=given.get("title"),
            text=given.get("text"),
            impact=given.get("impact"),
            services=chosen,
            follow=given.get("follow") == "on",
            **_by(request),
        ),
        given=given,
        impacts=IMPACTS,
        services=[(each, each.name in chosen) for each in services_to_name(chosen)],
    )  # fmt: skip


def _by(request: HttpRequest) -> dict[str, Any]:
    return {
        "actor": actor_of(request),
        "now": datetime.now(UTC),
        "if_match": version_given(request),
    }


def version_given(request: HttpRequest) -> int | None:
    """The version of the incident that the form was made from."""
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _form(
    request: HttpRequest,
    incident_id: UUID,
    form: str,
    title: str,
    done_text: str,
    act: Callable[[dict[str, Any]], object],
    **more: Any,
) -> HttpResponse:
    view = view_or_404(incident_id)
    home = reverse("incident", args=[view.incident.id])
    done, _, problem = tried(request, lambda: act(request.POST.dict()))
    if done:
        messages.info(request, done_text)
        return redirect(back_to(request, home))
    context: dict[str, Any] = {
        "form": f"alerting/incidents/_{form}_form.html",
        "title": title,
        "incident": view.incident,
        "firing": view.incident.firing_count,  # type: ignore[attr-defined]
        "given": request.POST.dict(),
        "me": request.user.get_username(),
        "next": back_to(request, home),
        "version": view.incident.version,
        **more,
    }
    return form_answer(request, context, problem)

"""The forms of inhibitions; they are listed with the routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from alerting.domain.matchers import matchers_stored
from alerting.models import Inhibition
from alerting.selectors.routing import inhibition_list
from alerting.services.inhibitions import inhibition_create, inhibition_delete, inhibition_update
from alerting.views.numbers import whole_number
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Problem
from resilience_site.core.screens import acting_only, back_to, form_answer, refused_by, tried

METHODS: Final = ["GET", "HEAD", "POST"]
_NEW: Final[Mapping[str, Any]] = {
    "name": "", "source": "", "target": "", "equal": "service", "holds_after_seconds": "0",
    "enabled": True,
}  # fmt: skip
_TEXTS: Final = ("name", "source", "target", "equal", "holds_after_seconds")


@never_cache
@require_http_methods(METHODS)
@acting_only("inhibition.create", "inhibition")
def inhibition_new(request: HttpRequest) -> HttpResponse:
    """The form of a new inhibition; a POST makes it."""

    def make() -> Inhibition:
        name = request.POST.get("name", "").replace("\0", "").strip()
        return inhibition_create(name=name, fields=_given(request), actor=actor_of(request))

    done, _, problem = tried(request, make)
    if done:
        messages.info(request, "The inhibition is made. It holds for what fires within seconds.")
        return redirect(reverse("alert-routes"))
    return _form(request, None, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("inhibition.update", "inhibition")
def inhibition_edit(request: HttpRequest, name: str) -> HttpResponse:
    """The form of an inhibition; a POST changes it."""
    found = _or_404(name)

    def change() -> Inhibition:
        return inhibition_update(
            name=name, fields=_given(request), if_match=_version(request), actor=actor_of(request)
        )

    done, _, problem = tried(request, change)
    if done:
        messages.info(request, f"The inhibition {name} is changed.")
        return redirect(reverse("alert-routes"))
    return _form(request, found, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("inhibition.delete", "inhibition")
def inhibition_remove(request: HttpRequest, name: str) -> HttpResponse:
    """The question whether to delete an inhibition; a POST does."""
    found = _or_404(name)
    done, _, problem = tried(
        request,
        lambda: inhibition_delete(name=name, if_match=_version(request), actor=actor_of(request)),
    )
    if done:
        messages.info(request, f"The inhibition {name} is deleted.")
        return redirect(reverse("alert-routes"))
    context = {
        "form": "alerting/routes/_inhibition_delete_form.html",
        "title": f"Delete the inhibition {name}",
        "next": back_to(request, reverse("alert-routes")),
        "inhibition": found,
    }
    return form_answer(request, context, problem)


@never_cache
@require_POST
@acting_only("inhibition.update", "inhibition")
def inhibition(request: HttpRequest, name: str) -> HttpResponse:
    """Switch an inhibition on or off."""
    try:
        inhibition_update(
            name=name,
            fields={"enabled": request.POST.get("enabled") == "on"},
            actor=actor_of(request),
        )
    except Problem as problem:
        messages.error(request, problem.detail)
        return refused_by(redirect(reverse("alert-routes")), problem)
    return redirect(reverse("alert-routes"))


def _form(
    request: HttpRequest, inhibition: Inhibition | None, problem: Problem | None
) -> HttpResponse:
    context: dict[str, Any] = {
        "inhibition": inhibition,
        "title": f"Edit the inhibition {inhibition.name}" if inhibition else "New inhibition",
        "next": reverse("alert-routes"),
        "values": _values(request, inhibition),
        "version": _or_404(inhibition.name).version if inhibition else "",
        "errors": {each.field: each.message for each in getattr(problem, "errors", ())},
    }
    return form_answer(request, context, problem, "alerting/routes/inhibition_form.html")


def _values(request: HttpRequest, inhibition: Inhibition | None) -> dict[str, Any]:
    if request.method == "POST":
        texts = {name: request.POST.get(name, "") for name in _TEXTS}
        return {**texts, "enabled": "enabled" in request.POST}
    if inhibition is None:
        return dict(_NEW)
    return {
        "name": inhibition.name,
        "source": "\n".join(map(str, matchers_stored(inhibition.source))),
        "target": "\n".join(map(str, matchers_stored(inhibition.target))),
        "equal": ", ".join(inhibition.equal),
        "holds_after_seconds": str(inhibition.holds_after_seconds),
        "enabled": inhibition.enabled,
    }


def _given(request: HttpRequest) -> dict[str, Any]:
    """The fields of an inhibition; what cannot be read is left for the service to refuse."""
    post = request.POST
    return {
        "source": post.get("source", ""),
        "target": post.get("target", ""),
        "equal": [each.strip() for each in post.get("equal", "").split(",") if each.strip()],
        "holds_after_seconds": whole_number(post.get("holds_after_seconds", "0")),
        "enabled": "enabled" in post,
    }


def _version(request: HttpRequest) -> int | None:
    text = request.POST.get("version", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _or_404(name: str) -> Inhibition:
    found = inhibition_list().filter(name=name).first()
    if found is None:
        raise Http404("There is no such inhibition.")
    return found

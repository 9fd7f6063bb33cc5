"""What the screens share: who may act, what an empty one teaches, where an action leads back to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from breakers.models import Breaker
from resilience_site.core.audit import audit_refused
from resilience_site.core.choices import Role, Scope
from resilience_site.core.permissions import (
    actor_of,
    login_required_response,
    role_allows,
    role_of,
)
from resilience_site.core.problems import Problem
from resilience_site.core.selectors import api_keys


def is_partial(request: HttpRequest) -> bool:
    """Whether an open page asks for a part of it alone."""
    return bool(getattr(request, "htmx", False))


def may_operate(request: HttpRequest) -> bool:
    """Whether the person who looks may act as well."""
    return role_allows(role_of(request.user), Role.OPERATOR)


def operators_only(
    action: str, object_type: str = "breaker"
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponseBase]]:
    """Guard a page that acts. Whoever only may look gets 403, and trying stands in the audit
    trail, as does what the form itself refuses; the first argument of the path names the object.
    """

    def refused(request: HttpRequest, given: str, why: str) -> None:
        audit_refused(
            actor=actor_of(request),
            action=action,
            object_type=object_type,
            object_id=_object_id(object_type, given),
            reason=why,
        )

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return login_required_response(request)
            given = next(iter(kwargs.values()), "")
            if not may_operate(request):
                if request.method == "POST":
                    refused(request, given, "This needs the role operator.")
                raise PermissionDenied("This page needs the role operator.")
            response = view(request, *args, **kwargs)
            problem: Problem | None = getattr(response, "refusal", None)
            if problem is not None and not problem.audited:
                refused(request, given, problem.detail)
            return response

        guarded.required_role = Role.OPERATOR  # type: ignore[attr-defined]
        return guarded

    return decorate


def _object_id(object_type: str, given: str) -> str:
    """How the audit trail names it: breakers are named there, not keyed."""
    if object_type != "breaker":
        return given
    place = Breaker.objects.filter(key=given).values_list("service", "name").first()
    return "/".join(place) if place else given


def reason_given(request: HttpRequest) -> str:
    """The reason in a form, without what stands around it."""
    return request.POST.get("reason", "").replace("\0", "").strip()


def back_to(request: HttpRequest, otherwise: str) -> str:
    """Where a form leads afterwards: the page of this site that it was sent from."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(wanted, hosts, require_https=request.is_secure()):
        return wanted
    return otherwise


def bad_question(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A page for an address that asks something impossible."""
    context = {"live_cursor": None, "problem": problem.detail}
    return render(request, "analytics/bad_question.html", context, status=400)


def first_steps(rows: object) -> dict[str, Any]:
    """What an empty screen teaches: whether any breaker ever reported, and the key to connect
    with."""
    if rows or Breaker.objects.exists():
        return {"connected": True}
    usable = api_keys().filter(scope=Scope.INGEST, revoked_at=None).order_by("pk")
    return {"connected": False, "ingest_key": usable.values_list("name", flat=True).first() or ""}


def topic(name: str, key: str) -> str:
    """What a part of a page listens to; a key with blanks could not stand in the list."""
    return f"{name}:{key}" if key.split() == [key] else name


def breaker_topics(service: str, key: str) -> str:
    """What the parts of a breaker's page listen to."""
    wanted = (("breakers", key), ("calls", service), ("control", service))
    return " ".join(topic(name, of) for name, of in wanted)

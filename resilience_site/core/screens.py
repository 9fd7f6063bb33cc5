"""What the screens of all apps share: who may act, how a refusal is told, where a form leads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from resilience_site.core.audit import audit_refused
from resilience_site.core.choices import Role
from resilience_site.core.conflicts import conflict_sides, differing, last_change
from resilience_site.core.permissions import (
    actor_of,
    login_required_response,
    role_allows,
    role_of,
)
from resilience_site.core.problems import Conflict, Problem

T = TypeVar("T")


def is_partial(request: HttpRequest) -> bool:
    """Whether an open page asks for a part of it alone."""
    return bool(getattr(request, "htmx", False))


def may_operate(request: HttpRequest) -> bool:
    """Whether the person who looks may act as well."""
    return role_allows(role_of(request.user), Role.OPERATOR)


def acting_only(
    action: str, object_type: str, name_of: Callable[[Any], str] = str
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponseBase]]:
    """Guard a page that acts. Whoever only may look gets 403, and trying stands in the audit
    trail, as does what the form itself refuses (the `refusal` of its response).

    The first argument of the path names the object; `name_of` gives its name for the trail.
    """

    def refused(request: HttpRequest, given: Any, why: str) -> None:
        audit_refused(
            actor=actor_of(request),
            action=action,
            object_type=object_type,
            object_id=name_of(given),
            reason=why,
        )

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return login_required_response(request)
            given = next(iter(kwargs.values()), "")
            request.acting_on = (action, object_type, given, name_of)  # type: ignore[attr-defined]
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


def form_answer(
    request: HttpRequest,
    context: Mapping[str, Any],
    problem: Problem | None,
    page: str = "form_page.html",
) -> HttpResponse:
    """The form `context["form"]` as the body of a dialog, or the page that holds it (without
    scripts, or one that has no dialog); it explains a refusal, a conflict by both its sides."""
    part = context.get("form")
    given = {"live_cursor": None, **context, "problem": problem}
    if isinstance(problem, Conflict):
        given |= _both_sides(request, context, problem)
    status = problem.status if problem else 200
    template = part if part and is_partial(request) else page
    return refused_by(render(request, template, given, status=status), problem)


def _both_sides(
    request: HttpRequest, context: Mapping[str, Any], problem: Conflict
) -> dict[str, Any]:
    """What `components/conflict.html` shows. A form may say `standing` and `asked` in words of its
    own, and None as `last_change` where its version is that of more than its object."""
    named = any(name.startswith("version") and sent for name, sent in request.POST.items())
    if "standing" in context:
        standing, asked = differing(context["standing"], context.get("asked", {}))
    elif named:
        standing, asked = conflict_sides(problem)
    else:
        # What stands in the way is no other version of the same.
        return {}
    found = {"conflict": True, "standing": standing, "asked": asked, "again": named}
    acting = getattr(request, "acting_on", None)
    if named and "last_change" not in context and acting is not None:
        action, object_type, given, name_of = acting
        found["last_change"] = last_change(action, object_type, str(name_of(given)))
    return found


def refused_by(response: HttpResponse, problem: Problem | None) -> HttpResponse:
    """The response, of which `acting_only` records what refused the act."""
    response.refusal = problem  # type: ignore[attr-defined]
    return response


def tried(request: HttpRequest, act: Callable[[], T]) -> tuple[bool, T | None, Problem | None]:
    """Whether a POST was carried out and what came of it, else why it was refused; opening a form
    asks for nothing."""
    if request.method != "POST":
        return False, None, None
    try:
        return True, act(), None
    except Problem as refused:
        return False, None, refused


def reason_given(request: HttpRequest) -> str:
    """The reason in a form, without what stands around it."""
    return request.POST.get("reason", "").replace("\0", "").strip()


def back_to(request: HttpRequest, otherwise: str) -> str:
    """Where a form leads afterwards: the page of this site that it was sent from."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    hosts = {request.get_host()}
    # Anything else would be taken for the name of a page.
    if not wanted.startswith(("/", "http://", "https://")):
        return otherwise
    if url_has_allowed_host_and_scheme(wanted, hosts, require_https=request.is_secure()):
        return wanted
    return otherwise


def bad_question(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A page for an address that asks something impossible."""
    context = {"live_cursor": None, "problem": problem.detail}
    return render(request, "errors/bad_question.html", context, status=400)


def topic(name: str, key: str) -> str:
    """What a part of a page listens to; a key with blanks could not stand in the list."""
    return f"{name}:{key}" if key.split() == [key] else name

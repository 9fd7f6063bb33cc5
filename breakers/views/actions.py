"""Forcing a breaker into a state, taking that back, and resetting it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from breakers.choices import AUTO, OverrideScope, OverrideState
from breakers.selectors.breaker_view import BreakerView
from breakers.selectors.domains import domain_versions
from breakers.services.commands import breaker_reset
from breakers.services.overrides import override_set
from breakers.services.targets import Target
from breakers.views.common import back_to, operators_only, reason_given
from breakers.views.forms import (
    METHODS,
    breaker_form,
    breaker_or_404,
    check_reason,
    expiries,
    expiry_given,
    state_word,
    version_given,
)
from resilience_site.core.permissions import actor_of, role_of
from resilience_site.core.problems import Invalid, Problem

# Each with what it does.
STATES = [(value, str(label).partition(": ")[2]) for value, label in OverrideState.choices]


def override_posted(request: HttpRequest, target: Target, if_match: int | None) -> None:
    """Set the override that was posted, or take it back, and tell. Raises `Problem`."""
    state = request.POST.get("state", "")
    if state != AUTO:
        check_reason(reason_given(request))
    override_set(
        target=target,
        state=state,
        reason=reason_given(request),
        expires_in=expiry_given(request) if state != AUTO else None,
        actor=actor_of(request),
        role=role_of(request.user),
        if_match=if_match,
    )
    what = "no override" if state == AUTO else state_word(state).lower()
    messages.info(request, f"Requested: {what} for {place_words(target)}.")


@never_cache
@require_http_methods(METHODS)
@operators_only("breaker.override")
def override(request: HttpRequest, key: str) -> HttpResponse:
    """The form of an override; a POST sets it, and with the state `auto` takes it back."""
    view = breaker_or_404(key)
    if request.method != "POST":
        return _override_form(request, view)
    try:
        target = _target(request, view)
        override_posted(request, target, version_given(request, target.domain))
    except Problem as problem:
        return _override_form(request, breaker_or_404(key), problem)
    return redirect(back_to(request, reverse("breaker", args=[key])))


@never_cache
@require_http_methods(METHODS)
@operators_only("breaker.reset")
def reset(request: HttpRequest, key: str) -> HttpResponse:
    """The form of a reset; a POST sends the command."""
    view = breaker_or_404(key)
    if request.method != "POST":
        return _reset_form(request, view)
    try:
        target = _target(request, view)
        check_reason(reason_given(request))
        breaker_reset(
            target=target,
            reason=reason_given(request),
            actor=actor_of(request),
            role=role_of(request.user),
            if_match=version_given(request, target.domain),
        )
    except Problem as problem:
        return _reset_form(request, breaker_or_404(key), problem)
    messages.info(request, f"Requested: a reset of {place_words(target)}.")
    return redirect(back_to(request, reverse("breaker", args=[key])))


def _override_form(
    request: HttpRequest, view: BreakerView, problem: Problem | None = None
) -> HttpResponse:
    return breaker_form(
        request,
        "override",
        view,
        problem,
        title=f"Override {view.name}",
        states=STATES,
        state=request.POST.get("state", OverrideState.FORCED_OPEN),
        expiries=expiries(request),
        expires_in=request.POST.get("expires_in", "3600"),
        **_places(request, view),
    )


def _reset_form(
    request: HttpRequest, view: BreakerView, problem: Problem | None = None
) -> HttpResponse:
    return breaker_form(
        request, "reset", view, problem, title=f"Reset {view.name}", **_places(request, view)
    )


def _places(request: HttpRequest, view: BreakerView) -> dict[str, Any]:
    """What a form offers to act upon, with the versions that it was made from."""
    scopes = [("service", f"All instances of {view.service}", f"{len(view.live)} report now")]
    scopes += [
        (f"instance:{each.instance}", f"Instance {each.instance}", "silent" if each.silent else "")
        for each in view.instances
        if each.instance
    ]
    scopes += [
        (f"domain:{name}", f"Failure domain {name}", "all of its breakers, in every service")
        for name in view.domains
    ]
    instance = request.POST.get("instance", "")
    chosen = f"instance:{instance}" if instance else "service"
    return {
        "scopes": scopes,
        "scope": request.POST.get("scope", chosen),
        "domain_versions": list(domain_versions(view.domains).items()) if view.domains else [],
        "blast_src": reverse("blast-radius", args=[view.key]),
    }


def place_words(target: Target) -> str:
    """What an override covers, in words."""
    if target.scope == OverrideScope.DOMAIN:
        return f"the failure domain {target.domain}"
    where = f"in the instance {target.instance}" if target.instance else "in all instances"
    return f"{target.name} {where} of {target.service}"


def _target(request: HttpRequest, view: BreakerView) -> Target:
    """What the form covers: `scope` of the dialog, or `instance` of a button on a tile."""
    kind, _, name = request.POST.get("scope", "").partition(":")
    makers: dict[str, Callable[[], Target]] = {
        "": lambda: Target.of_breaker(view.service, view.name, request.POST.get("instance", "")),
        "service": lambda: Target.of_breaker(view.service, view.name),
        "instance": lambda: Target(OverrideScope.INSTANCE, view.service, view.name, name),
        "domain": lambda: Target.of_domain(name),
    }
    if kind not in makers:
        raise Invalid.field("body.scope", "The scope is service, instance or domain.")
    if kind == "domain" and name not in view.domains:
        raise Invalid.field("body.scope", f"{view.name} does not belong to the domain {name!r}.")
    return makers[kind]()

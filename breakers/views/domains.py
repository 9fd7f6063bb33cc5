"""Failure domains: breakers that fail, and are cut off, together."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from breakers.choices import OverrideState
from breakers.models import DomainMember
from breakers.selectors import domains as selectors
from breakers.selectors.domains import DomainView
from breakers.services.commands import breaker_reset
from breakers.services.targets import Target
from breakers.views.actions import STATES, override_posted, place_words
from breakers.views.common import back_to, is_partial, may_operate, operators_only, reason_given
from breakers.views.forms import (
    METHODS,
    check_reason,
    domain_form,
    expiries,
    version_given,
)
from breakers.views.tiles import Held, applied_text, held
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role, role_of
from resilience_site.core.problems import Problem


@require_GET
@require_role(Role.VIEWER)
def domain_list(request: HttpRequest) -> HttpResponse:
    """All failure domains with the states of their breakers."""
    cursor = journal.latest_cursor()
    context = {
        "live_cursor": cursor,
        "domains": [_row(each) for each in selectors.domain_list(datetime.now(UTC))],
        "may_operate": may_operate(request),
    }
    part = "_domains" if is_partial(request) else "domain_list"
    return render(request, f"breakers/{part}.html", context)


def _row(domain: DomainView) -> tuple[DomainView, Held | None, str]:
    """A domain, the override that holds for it, and how far that has come."""
    if domain.override is None:
        return domain, None, ""
    done, of = domain.applied
    text = applied_text(done, of)
    return domain, held(domain.override), text if of and done == of else f"requested, {text}"


@never_cache
@require_http_methods(METHODS)
@operators_only("domain.override", "domain")
def override(request: HttpRequest, name: str) -> HttpResponse:
    """The form of an override of a whole domain; a POST sets it or takes it back."""
    domain = _domain_or_404(name)
    if request.method != "POST":
        return _override_form(request, domain)
    try:
        override_posted(request, Target.of_domain(name), version_given(request))
    except Problem as problem:
        return _override_form(request, _domain_or_404(name), problem)
    return redirect(back_to(request, reverse("domains")))


@never_cache
@require_http_methods(METHODS)
@operators_only("domain.reset", "domain")
def reset(request: HttpRequest, name: str) -> HttpResponse:
    """The form of a reset of all breakers of a domain; a POST sends the commands."""
    domain, title = _domain_or_404(name), f"Reset the domain {name}"
    if request.method != "POST":
        return domain_form(request, "domain_reset", domain, None, title=title)
    target = Target.of_domain(name)
    try:
        check_reason(reason_given(request))
        breaker_reset(
            target=target,
            reason=reason_given(request),
            actor=actor_of(request),
            role=role_of(request.user),
            if_match=version_given(request),
        )
    except Problem as problem:
        return domain_form(request, "domain_reset", _domain_or_404(name), problem, title=title)
    messages.info(request, f"Requested: a reset of {place_words(target)}.")
    return redirect(back_to(request, reverse("domains")))


def _override_form(
    request: HttpRequest, domain: DomainView, problem: Problem | None = None
) -> HttpResponse:
    return domain_form(
        request,
        "domain",
        domain,
        problem,
        title=f"Override the domain {domain.name}",
        states=STATES,
        state=request.POST.get("state") or OverrideState.FORCED_OPEN,
        expiries=expiries(request),
        expires_in=request.POST.get("expires_in", "3600"),
    )


def _domain_or_404(name: str) -> DomainView:
    try:
        return selectors.domain_get(name, datetime.now(UTC))
    except DomainMember.DoesNotExist:
        raise Http404("There is no such failure domain.") from None

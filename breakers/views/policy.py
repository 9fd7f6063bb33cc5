"""Tuning a breaker: its settings with a diff, their history, and one click back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from breakers.domain.policy import PolicyError, checked
from breakers.domain.settings import differences
from breakers.models import PolicyChange
from breakers.selectors.breaker_view import BreakerView
from breakers.selectors.policies import policy_get, policy_latest
from breakers.services.policies import policy_roll_back, policy_set
from breakers.views.common import back_to, operators_only, reason_given
from breakers.views.forms import (
    METHODS,
    breaker_form,
    breaker_or_404,
    check_reason,
    version_given,
)
from breakers.views.settings import fields, kept_fields, settings_in
from resilience_site.core.permissions import actor_of, role_of
from resilience_site.core.problems import Problem


@never_cache
@require_http_methods(METHODS)
@operators_only("breaker.policy")
def tune(request: HttpRequest, key: str) -> HttpResponse:
    """The form of the settings; a POST gives them. `?part=diff` tells what would change."""
    view = breaker_or_404(key)
    given = _given(view)
    if request.method != "POST":
        if request.GET.get("part") == "diff":
            return _diff(request, view, given)
        return _form(request, view, given, None)
    try:
        check_reason(reason_given(request))
        change = policy_set(
            service=view.service,
            name=view.name,
            policy=settings_in(request.POST),
            reason=reason_given(request),
            actor=actor_of(request),
            role=role_of(request.user),
            if_match=version_given(request),
        )
    except Problem as problem:
        view = breaker_or_404(key)
        return _form(request, view, _given(view), problem)
    return _requested(request, key, f"Requested: policy {change.number} for {view.name}.")


@never_cache
@require_http_methods(METHODS)
@operators_only("breaker.policy")
def roll_back(request: HttpRequest, key: str) -> HttpResponse:
    """The question before a rollback; a POST gives the settings of that number again."""
    view = breaker_or_404(key)
    problem: Problem | None = None
    number = _number(request)
    if request.method == "POST":
        try:
            check_reason(reason_given(request))
            change = policy_roll_back(
                service=view.service,
                name=view.name,
                number=number,
                reason=reason_given(request),
                actor=actor_of(request),
                role=role_of(request.user),
                if_match=version_given(request),
            )
        except Problem as refused:
            problem, view = refused, breaker_or_404(key)
        else:
            told = f"Requested: back to policy {number} for {view.name}, as policy {change.number}."
            return _requested(request, key, told)
    given = _given(view)
    wanted = _of_number(view, number)
    return breaker_form(
        request,
        "rollback",
        view,
        problem,
        title=f"Back to policy {number}" if number else "Back to the service's own settings",
        number=number,
        changes=differences(given, wanted, view.policy),
    )


def _form(
    request: HttpRequest, view: BreakerView, given: Mapping[str, Any], problem: Problem | None
) -> HttpResponse:
    sent = request.POST if request.method == "POST" else None
    return breaker_form(
        request,
        "policy",
        view,
        problem,
        title=f"Tune {view.name}",
        fields=fields(view, given, sent),
        kept=kept_fields(view, given),
    )


def _diff(request: HttpRequest, view: BreakerView, given: Mapping[str, Any]) -> HttpResponse:
    context: dict[str, Any] = {"problem": None, "changes": []}
    try:
        wanted = checked(settings_in(request.GET), view.policy)
        context["changes"] = differences(given, wanted, view.policy)
    except Problem as problem:
        context["problem"] = problem.detail
    except PolicyError as error:
        context["problem"] = str(error)
    return render(request, "breakers/_policy_diff.html", context)


def _requested(request: HttpRequest, key: str, text: str) -> HttpResponse:
    messages.info(request, text)
    return redirect(back_to(request, reverse("breaker", args=[key])))


def _given(view: BreakerView) -> Mapping[str, Any]:
    latest = policy_latest(view.service, view.name)
    return latest.policy if latest else {}


def _number(request: HttpRequest) -> int:
    text = request.POST.get("number") or request.GET.get("number") or ""
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Http404("Name the policy by its number.")
    return int(text)


def _of_number(view: BreakerView, number: int) -> Mapping[str, Any]:
    if number == 0:
        return {}
    try:
        policy: Mapping[str, Any] = policy_get(view.service, view.name, number).policy
    except PolicyChange.DoesNotExist:
        raise Http404("There is no such policy.") from None
    return policy

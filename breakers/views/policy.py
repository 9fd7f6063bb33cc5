"""Tuning breakers and bulkheads: settings with a diff, their history, and one click back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from breakers.choices import PolicySubject
from breakers.domain.policy import BREAKERS, BULKHEADS, PolicyError, Tunable, checked
from breakers.domain.settings import differences, settings_words
from breakers.models import PolicyChange
from breakers.selectors.policies import policy_get, policy_latest
from breakers.services.policies import policy_roll_back, policy_set
from breakers.views.bulkhead import KEEPS, bulkhead_or_404
from breakers.views.common import back_to, operators_only, reason_given
from breakers.views.forms import (
    METHODS,
    asked,
    breaker_or_404,
    check_reason,
    form_page,
    standing,
    version_given,
)
from breakers.views.settings import Tuned, fields, kept_fields, settings_in
from resilience_site.core.permissions import actor_of, role_of
from resilience_site.core.problems import Conflict, Problem

_BREAKER_KEEPS = "An argument in the service's own code is stronger than the site: "


class _Kind(NamedTuple):
    """What is tuned; `path` is the first part of the names of its pages."""

    subject: PolicySubject
    tunable: Tunable
    path: str
    find: Callable[[str], Any]
    standing: Callable[[Any], Mapping[str, str]]
    keeps: str


def _bulkhead_standing(view: Tuned) -> dict[str, str]:
    """What holds for a bulkhead now, for whoever asked for something else."""
    words = settings_words(_given(_BULKHEAD, view), BULKHEADS)
    return {"Version": str(view.version or 0), "Settings": words or "none of the site's"}


_BREAKER = _Kind(
    PolicySubject.BREAKER, BREAKERS, "breaker", breaker_or_404, standing, _BREAKER_KEEPS
)
_BULKHEAD = _Kind(
    PolicySubject.BULKHEAD, BULKHEADS, "bulkhead", bulkhead_or_404, _bulkhead_standing,
    KEEPS,
)  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@operators_only("breaker.policy")
def tune(request: HttpRequest, key: str) -> HttpResponse:
    """The form of a breaker's settings; a POST gives them. `?part=diff` tells what changes."""
    return _tune(request, _BREAKER, key)


@never_cache
@require_http_methods(METHODS)
@operators_only("breaker.policy")
def roll_back(request: HttpRequest, key: str) -> HttpResponse:
    """The question before a rollback; a POST gives the settings of that number again."""
    return _roll_back(request, _BREAKER, key)


@never_cache
@require_http_methods(METHODS)
@operators_only("bulkhead.policy", "bulkhead")
def bulkhead_tune(request: HttpRequest, place: str) -> HttpResponse:
    """The same as `tune` for a bulkhead."""
    return _tune(request, _BULKHEAD, place)


@never_cache
@require_http_methods(METHODS)
@operators_only("bulkhead.policy", "bulkhead")
def bulkhead_roll_back(request: HttpRequest, place: str) -> HttpResponse:
    """The same as `roll_back` for a bulkhead."""
    return _roll_back(request, _BULKHEAD, place)


def _tune(request: HttpRequest, kind: _Kind, key: str) -> HttpResponse:
    view: Tuned = kind.find(key)
    if request.method != "POST":
        if request.GET.get("part") == "diff":
            return _diff(request, kind, view)
        return _settings_form(request, kind, key, view, None)
    try:
        check_reason(reason_given(request))
        change = policy_set(
            service=view.service,
            name=view.name,
            subject=kind.subject,
            policy=settings_in(request.POST, kind.tunable),
            reason=reason_given(request),
            actor=actor_of(request),
            role=role_of(request.user),
            if_match=version_given(request),
        )
    except Problem as problem:
        return _settings_form(request, kind, key, kind.find(key), problem)
    return _requested(request, kind, key, f"Requested: policy {change.number} for {view.name}.")


def _roll_back(request: HttpRequest, kind: _Kind, key: str) -> HttpResponse:
    view: Tuned = kind.find(key)
    problem: Problem | None = None
    number = _number(request)
    if request.method == "POST":
        try:
            check_reason(reason_given(request))
            change = policy_roll_back(
                service=view.service,
                name=view.name,
                subject=kind.subject,
                number=number,
                reason=reason_given(request),
                actor=actor_of(request),
                role=role_of(request.user),
                if_match=version_given(request),
            )
        except Problem as refused:
            problem, view = refused, kind.find(key)
        else:
            told = f"Requested: back to policy {number} for {view.name}, as policy {change.number}."
            return _requested(request, kind, key, told)
    wanted = _of_number(kind, view, number)
    return _form(
        request,
        "rollback",
        kind,
        key,
        view,
        problem,
        title=f"Back to policy {number}" if number else "Back to the service's own settings",
        action=reverse(f"{kind.path}-policy-rollback", args=[key]),
        number=number,
        changes=differences(_given(kind, view), wanted, view.policy, kind.tunable),
    )


def _settings_form(
    request: HttpRequest, kind: _Kind, key: str, view: Tuned, problem: Problem | None
) -> HttpResponse:
    given = _given(kind, view)
    sent = request.POST if request.method == "POST" else None
    return _form(
        request,
        "policy",
        kind,
        key,
        view,
        problem,
        title=f"Tune {view.name}",
        action=reverse(f"{kind.path}-policy", args=[key]),
        fields=fields(view, given, sent, kind.tunable),
        kept=kept_fields(view, given),
        keeps=kind.keeps,
    )


def _form(
    request: HttpRequest,
    form: str,
    kind: _Kind,
    key: str,
    view: Tuned,
    problem: Problem | None,
    **more: Any,
) -> HttpResponse:
    """A form about the settings; what it makes of a refusal tells both sides of a conflict."""
    # The version is that of everything that the service is told.
    more["last_change"] = None
    if isinstance(problem, Conflict):
        more |= {"standing": kind.standing(view), "asked": asked(problem)}
    return form_page(request, form, problem, reverse(kind.path, args=[key]), of=view, **more)


def _diff(request: HttpRequest, kind: _Kind, view: Tuned) -> HttpResponse:
    context: dict[str, Any] = {"problem": None, "changes": []}
    try:
        wanted = checked(settings_in(request.GET, kind.tunable), view.policy, kind.tunable)
        given = _given(kind, view)
        context["changes"] = differences(given, wanted, view.policy, kind.tunable)
    except Problem as problem:
        context["problem"] = problem.detail
    except PolicyError as error:
        context["problem"] = str(error)
    return render(request, "breakers/_policy_diff.html", context)


def _requested(request: HttpRequest, kind: _Kind, key: str, text: str) -> HttpResponse:
    messages.info(request, text)
    return redirect(back_to(request, reverse(kind.path, args=[key])))


def _given(kind: _Kind, view: Tuned) -> Mapping[str, Any]:
    latest = policy_latest(view.service, view.name, kind.subject)
    return latest.policy if latest else {}


def _number(request: HttpRequest) -> int:
    text = request.POST.get("number") or request.GET.get("number") or ""
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Http404("Name the policy by its number.")
    return int(text)


def _of_number(kind: _Kind, view: Tuned, number: int) -> Mapping[str, Any]:
    if number == 0:
        return {}
    try:
        change = policy_get(view.service, view.name, number, kind.subject)
    except PolicyChange.DoesNotExist:
        raise Http404("There is no such policy.") from None
    policy: Mapping[str, Any] = change.policy
    return policy

"""What needs what: drawn by people, proposed from traces, accepted or rejected."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from health.choices import DependencyStatus
from health.models import Dependency
from health.selectors.edges import COUNTING, edge_find, edge_page, end_names, proposals
from health.services.dependencies import (
    cycle_of,
    dependency_accept,
    dependency_declare,
    dependency_reject,
    dependency_remove,
    edge_words,
)
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Problem
from resilience_site.core.screens import (
    acting_only,
    back_to,
    bad_question,
    form_answer,
    is_partial,
    may_operate,
    reason_given,
    tried,
)

METHODS = ["GET", "HEAD", "POST"]
SHOWN: Final = 50
PROPOSED_SHOWN: Final = 30
SUGGESTED: Final = 1_000
STATUSES: Final = (
    (COUNTING, "Counting"),
    (DependencyStatus.DECLARED.value, "Declared"),
    (DependencyStatus.ACCEPTED.value, "Accepted"),
    (DependencyStatus.REJECTED.value, "Rejected"),
)


@require_GET
@require_role(Role.VIEWER)
def dependencies(request: HttpRequest) -> HttpResponse:
    """What traces propose, then the edges that count; filters by name and status."""
    cursor = journal.latest_cursor()
    wanted = request.GET.get("status") or COUNTING
    try:
        page = edge_page(
            status=wanted,
            q=request.GET.get("q", ""),
            cursor=request.GET.get("cursor"),
            limit=SHOWN,
        )
    except Problem as problem:
        return bad_question(request, problem)
    proposed, count = proposals(PROPOSED_SHOWN)
    context = {
        "live_cursor": cursor,
        "proposed": proposed,
        "proposed_left": count - len(proposed),
        "page": page,
        "statuses": STATUSES,
        "wanted": wanted,
        "filtered": bool(request.GET.get("q")) or wanted != COUNTING,
        "may_operate": may_operate(request),
    }
    part = "_dependencies" if is_partial(request) else "dependencies"
    return render(request, f"health/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("dependency.declare", "dependency")
def dependency_new(request: HttpRequest) -> HttpResponse:
    """The form that draws an edge; a POST does it."""
    sent = {name: request.POST.get(name, "").strip() for name in ("child", "parent")}

    def declare() -> Dependency:
        return dependency_declare(
            **sent,
            hard=_hard(request),
            reason=reason_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    _, made, problem = tried(request, declare)
    if made:
        messages.info(request, f"{_words(made)}.")
        return redirect(back_to(request, reverse("health:dependencies")))
    sent["child"] = sent["child"] or request.GET.get("child", "")
    return _form(
        request, "declare", problem, None,
        title="New dependency", sent=sent, names=list(islice(end_names(), SUGGESTED)),
        hard=request.method != "POST" or _hard(request),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("dependency.accept", "dependency")
def accept(request: HttpRequest, dependency_id: UUID) -> HttpResponse:
    """The form that lets a proposed edge count; a POST does it."""
    edge = _or_404(dependency_id)

    def decide() -> Dependency:
        return dependency_accept(
            dependency_id=dependency_id,
            hard=_hard(request),
            reason=reason_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    _, made, problem = tried(request, decide)
    if made:
        messages.info(request, f"Accepted: {_words(made)}.")
        return redirect(back_to(request, reverse("health:dependencies")))
    return _form(
        request, "accept", problem, edge,
        title="Accept a dependency", cycle="" if problem else cycle_of(edge),
        hard=edge.hard if request.method != "POST" else _hard(request),
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("dependency.reject", "dependency")
def reject(request: HttpRequest, dependency_id: UUID) -> HttpResponse:
    """The form that keeps an edge from counting and from being proposed; a POST does it."""
    edge = _or_404(dependency_id)

    def decide() -> Dependency:
        return dependency_reject(
            dependency_id=dependency_id,
            reason=reason_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    _, made, problem = tried(request, decide)
    if made:
        messages.info(request, f"Rejected: {_words(made)}.")
        return redirect(back_to(request, reverse("health:dependencies")))
    return _form(request, "reject", problem, edge, title="Reject a dependency")


@never_cache
@require_http_methods(METHODS)
@acting_only("dependency.remove", "dependency")
def remove(request: HttpRequest, dependency_id: UUID) -> HttpResponse:
    """The question whether to remove an edge; a POST does."""
    edge = _or_404(dependency_id)

    def take() -> Dependency:
        dependency_remove(
            dependency_id=dependency_id, actor=actor_of(request), now=datetime.now(UTC)
        )
        return edge

    _, made, problem = tried(request, take)
    if made:
        messages.info(request, f"Removed: {_words(made)}.")
        return redirect(back_to(request, reverse("health:dependencies")))
    return _form(request, "remove", problem, edge, title="Remove a dependency")


def _form(
    request: HttpRequest, act: str, problem: Problem | None, edge: Dependency | None, **more: Any
) -> HttpResponse:
    context = {
        "form": "health/_dependency_form.html",
        "act": act,
        "edge": edge,
        "words": _words(edge) if edge else "",
        "next": back_to(request, reverse("health:dependencies")),
        "reason": reason_given(request),
        **more,
    }
    return form_answer(request, context, problem)


def _words(edge: Dependency) -> str:
    words = edge_words(edge)
    return words[0].upper() + words[1:]


def _hard(request: HttpRequest) -> bool:
    return request.POST.get("hard", "hard") == "hard"


def _or_404(dependency_id: UUID) -> Dependency:
    edge = edge_find(dependency_id)
    if edge is None:
        raise Http404("There is no such dependency.")
    return edge

"""Screens that make, change and delete a check, and try one out before it is saved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from health import prober
from health.models import Check
from health.selectors.catalogue import service_list
from health.selectors.edges import needs_of
from health.selectors.graph import check_blast_radius
from health.services.checks import check_create, check_delete, check_options, check_update
from health.services.dependencies import check_dependents
from health.services.targets import kinds_known
from health.views.check_form import CheckForm
from health.views.common import check_or_404
from health.views.option_words import KIND_WORDS
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Conflict, Problem
from resilience_site.core.screens import acting_only, back_to, form_answer, is_partial

METHODS = ["GET", "HEAD", "POST"]


@never_cache
@require_http_methods(METHODS)
@acting_only("check.create", "check")
def check_new(request: HttpRequest) -> HttpResponse:
    """The choice of a kind, then the form of a new check; a POST makes it, or tries it out."""
    kinds = kinds_known()
    name = request.POST.get("kind") or request.GET.get("kind") or ""
    if not name:
        return _kinds(request)
    if name not in kinds:
        raise Http404("There is no such kind of check.")
    form = CheckForm(request, kinds[name])
    made: Check | None = None

    def save() -> None:
        nonlocal made
        fields, whole = form.judged()
        made = check_create(
            **fields,
            kind=name,
            target=whole,
            depends_on=form.needs(),
            hard=bool(request.POST.get("hard")),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    answer = _act(request, form, save)
    if answer is not None:
        return answer
    assert made is not None
    messages.info(request, f"{made.name} is made; its first run comes within its interval.")
    return _done(request, made, made.push_digest is not None)


@never_cache
@require_http_methods(METHODS)
@acting_only("check.update", "check")
def check_edit(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """The form of a check; a POST changes it, or tries it out."""
    check = check_or_404(check_id)
    kind = kinds_known().get(check.kind)
    if kind is None:
        raise Http404("This kind of check is not there any more.")
    form = CheckForm(request, kind, check)
    digest = check.push_digest
    after = check

    def save() -> None:
        nonlocal after
        fields, whole = form.judged()
        after = check_update(
            check_id=check_id,
            changes={**fields, "target": whole},
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    answer = _act(request, form, save)
    if answer is not None:
        return answer
    messages.info(request, f"{after.name} is saved.")
    return _done(request, after, after.push_digest != digest)


@never_cache
@require_http_methods(METHODS)
@acting_only("check.delete", "check")
def check_remove(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """The question whether to delete a check, with who needs it; a POST does."""
    check = check_or_404(check_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            check_delete(
                check_id=check_id,
                force=bool(request.POST.get("force")),
                if_match=_version(request),
                actor=actor_of(request),
                now=datetime.now(UTC),
            )
        except Problem as refused:
            problem, check = refused, check_or_404(check_id)
        else:
            messages.info(request, f"{check.name} is deleted with its history.")
            return redirect("health:board")
    radius = check_blast_radius(check)
    context = {
        "form": "health/_check_delete_form.html",
        "title": f"Delete {check.name}",
        "check": check,
        "needed_by": check_dependents(check),
        "radius": len(radius.checks),
        "next": back_to(request, reverse("health:check", args=[check_id])),
    }
    return form_answer(request, context, problem)


def _act(request: HttpRequest, form: CheckForm, save: Callable[[], None]) -> HttpResponse | None:
    """Try or save what was sent: the page that follows, or None once it is saved."""
    if request.method != "POST":
        return _form(request, form, None)
    trying = request.GET.get("act") == "try"
    tried: dict[str, Any] = {}
    problem: Problem | None = None
    try:
        if trying:
            tried = _tried(request, form)
        else:
            save()
            return None
    except Problem as refused:
        problem = refused
        form.refuse(refused)
    if trying and is_partial(request):
        # A part of the page, which htmx takes in on success alone.
        tried |= {"problem": problem, "error_list": form.shown([])["error_list"]}
        return render(request, "health/_tried.html", tried)
    return _form(request, form, problem, **tried)


def _tried(request: HttpRequest, form: CheckForm) -> dict[str, Any]:
    """What a run of it found. Raises `Problem`."""
    ran = prober.try_once(
        kind=form.kind.name,
        target=form.whole(),
        **form.paces(),
        actor=actor_of(request),
        now=datetime.now(UTC),
    )
    return {"ran": ran}


def _form(
    request: HttpRequest, form: CheckForm, problem: Problem | None, **more: Any
) -> HttpResponse:
    check = form.check
    home = reverse("health:check", args=[check.id]) if check else reverse("health:board")
    services = list(service_list().values_list("name", flat=True)[:500])
    context: dict[str, Any] = {
        "kind": form.kind,
        "kind_words": KIND_WORDS.get(form.kind.name, ""),
        "check": check,
        "title": f"Edit {check.name}" if check else f"New {form.kind.label} check",
        "next": back_to(request, home),
        "version": check.version if check else "",
        "edges": needs_of([check.id]).get(check.id, []) if check else [],
        # First, as it may find more errors.
        **form.shown(services),
        **more,
    }
    if isinstance(problem, Conflict):
        current = Check.objects.get(id=check.id) if check else None
        context["version"] = current.version if current else ""
    return form_answer(request, context, problem, "health/check_form.html")


def _kinds(request: HttpRequest) -> HttpResponse:
    kinds = [
        (kind.name, kind.label, KIND_WORDS.get(kind.name, "")) for kind in kinds_known().values()
    ]
    context = {"kinds": sorted(kinds, key=lambda each: each[1].lower())}
    return form_answer(request, context, None, "health/check_kinds.html")


def _done(request: HttpRequest, check: Check, new_address: bool) -> HttpResponse:
    """To the check, or first to the address of its heartbeats, which is shown once."""
    if not new_address:
        return redirect("health:check", check.id)
    path = reverse("api:health_push", args=[check_options(check).token])
    context = {"check": check, "address": request.build_absolute_uri(path)}
    return form_answer(request, context, None, "health/push_address.html")


def _version(request: HttpRequest) -> int | None:
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

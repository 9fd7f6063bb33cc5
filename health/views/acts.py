"""What people do with a check on its page: run it now, pause it, resume it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from health import prober
from health.domain.graph import Graph
from health.models import Check
from health.selectors.graph import check_edges
from health.services.checks import check_update
from health.views.common import check_or_404
from resilience_site.core.badges import badge_for
from resilience_site.core.formatting import duration
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Problem
from resilience_site.core.screens import acting_only, back_to, form_answer, refused_by


@never_cache
@require_POST
@acting_only("check.run", "check")
def run(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """Run a check at once and say what it found."""
    check = check_or_404(check_id)
    home = back_to(request, reverse("health:check", args=[check_id]))
    try:
        ran = prober.run_now(check_id)
    except Problem as problem:
        messages.error(request, f"{check.name} did not run: {problem.detail}")
        return refused_by(redirect(home), problem)
    took = "" if ran.latency_ms is None else f" in {duration(ran.latency_ms / 1000)}"
    said = f": {ran.output}" if ran.output else ""
    word = badge_for("run", ran.status).word.lower()
    messages.info(request, f"{check.name} ran{took} and found {word}{said}")
    return redirect(home)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@acting_only("check.update", "check")
def pause(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """The question whether to pause a check; a POST does."""
    check = check_or_404(check_id)
    home = reverse("health:check", args=[check_id])
    if request.method != "POST":
        return _pause_form(request, check, home)
    try:
        _switch(request, check_id, enabled=False)
    except Problem as problem:
        return _pause_form(request, check_or_404(check_id), home, problem)
    messages.info(request, f"{check.name} is paused; nobody probes it until it is resumed.")
    return redirect(back_to(request, home))


@never_cache
@require_POST
@acting_only("check.update", "check")
def resume(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """Probe a check again."""
    check = check_or_404(check_id)
    home = back_to(request, reverse("health:check", args=[check_id]))
    try:
        _switch(request, check_id, enabled=True)
    except Problem as problem:
        messages.error(request, f"{check.name} is still paused: {problem.detail}")
        return refused_by(redirect(home), problem)
    messages.info(request, f"{check.name} is probed again.")
    return redirect(home)


def _switch(request: HttpRequest, check_id: UUID, *, enabled: bool) -> None:
    """Raises `Problem`, `Conflict` where somebody changed it since the page was made."""
    text = request.POST.get("version", "")
    check_update(
        check_id=check_id,
        changes={"enabled": enabled},
        if_match=int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None,
        actor=actor_of(request),
        now=datetime.now(UTC),
    )


def _pause_form(
    request: HttpRequest, check: Check, home: str, problem: Problem | None = None
) -> HttpResponse:
    context = {
        "form": "health/_pause_form.html",
        "title": f"Pause {check.name}",
        "check": check,
        "descendants": len(Graph(check_edges()).descendants(check.id)),
        "next": back_to(request, home),
    }
    return form_answer(request, context, problem)

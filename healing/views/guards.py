"""The forms that stop and start healing, and let a target out of quarantine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from breakers.views.forms import MIN_REASON, expiries, expiry_given, version_given
from healing.models import HealingSwitch
from healing.selectors.switches import group_names, quarantine_find, stopped_at, switch_list
from healing.services.quarantine import quarantine_release
from healing.services.switches import switch_set
from resilience_site.core.formatting import exact
from resilience_site.core.permissions import actor_of, role_of
from resilience_site.core.problems import Conflict, Problem
from resilience_site.core.screens import acting_only, back_to, form_answer, reason_given, tried

METHODS: Final = ["GET", "HEAD", "POST"]
# Without an end of its own, a stop lasts until a person ends it.
_NO_END: Final = ("", "Until somebody starts it")


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_switch.set", "healing_switch")
def switch(request: HttpRequest) -> HttpResponse:
    """Whether to stop healing, or to let it go on: all of it, or that of a group; a POST does."""
    now = datetime.now(UTC)
    given = request.POST if request.method == "POST" else request.GET
    group = given.get("group", "").replace("\0", "")
    stopping = given.get("stopped", "true") != "false"
    done, row, problem = tried(
        request,
        lambda: switch_set(
            stopped=stopping,
            reason=reason_given(request),
            group=group,
            expires_in=expiry_given(request) if stopping else None,
            if_match=version_given(request),
            actor=actor_of(request),
            role=role_of(request.user),
            now=now,
        ),
    )
    if done and row is not None:
        messages.info(request, "Healing is stopped." if row.stopped else "Healing goes on.")
        return redirect(back_to(request, reverse("healing")))
    standing = next((each for each in switch_list() if each.group == group), None)
    return form_answer(request, _switch_form(request, group, stopping, standing, problem), problem)


def _switch_form(
    request: HttpRequest,
    group: str,
    stopping: bool,
    standing: HealingSwitch | None,
    problem: Problem | None,
) -> dict[str, Any]:
    what = f"healing of the group {group}" if group else "all healing"
    context: dict[str, Any] = {
        "form": "healing/_switch_form.html",
        "title": f"{'Stop' if stopping else 'Start'} {what}",
        "submit": "Stop healing" if stopping else "Start healing",
        "next": back_to(request, reverse("healing")),
        "group": group,
        "groups": group_names() if stopping else [],
        "stopping": stopping,
        # A switch that nobody has thrown has no row, which comes into being with its first version.
        "version": standing.version if standing else "",
        "expiries": [*expiries(request), _NO_END],
        "expires_in": request.POST.get("expires_in", "3600"),
        "reason": reason_given(request),
        "min_reason": MIN_REASON,
        "reason_help": "Shown on the screens of healing, and kept in the audit trail.",
    }
    if isinstance(problem, Conflict) and standing is not None:
        stopped = stopped_at(standing, datetime.now(UTC))
        context |= {
            "standing": {
                "Healing": "stopped" if stopped else "goes on",
                "By": standing.actor,
                "Since": exact(standing.changed_at),
                "Reason": standing.reason,
            },
            "asked": {"Healing": "stopped" if stopping else "goes on"},
        }
    return context


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_quarantine.release", "healing_quarantine")
def release(request: HttpRequest, quarantine_id: UUID) -> HttpResponse:
    """Whether to let workflows heal a target again; a POST does."""
    found = quarantine_find(quarantine_id)
    if found is None:
        raise Http404("There is no such quarantine.")
    done, _, problem = tried(
        request,
        lambda: quarantine_release(
            quarantine_id=quarantine_id,
            reason=reason_given(request),
            actor=actor_of(request),
            role=role_of(request.user),
        ),
    )
    if done:
        messages.info(request, f"Workflows heal {found.target} again.")
        return redirect(back_to(request, reverse("healing")))
    context = {
        "form": "healing/_act_form.html",
        "title": "Release from quarantine",
        "submit": "Release",
        "lead": "Workflows may heal it again, with a new budget. What made it fail so often "
        "should be mended first.",
        "about": found.target,
        "because": found.reason,
        "needed": True,
        "next": back_to(request, reverse("healing")),
        "reason": reason_given(request),
        "action": request.path,
    }
    return form_answer(request, context, problem)

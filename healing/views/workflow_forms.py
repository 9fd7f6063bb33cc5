"""The forms that write workflows, say how far they may go, and switch them on and off."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from breakers.views.forms import MIN_REASON, version_given
from healing.actions.registry import actions_known
from healing.choices import Mode
from healing.domain.diffs import text_diff
from healing.domain.ways import WAYS
from healing.models import Workflow
from healing.services.workflows.modes import workflow_mode_set
from healing.services.workflows.store import (
    workflow_create,
    workflow_delete,
    workflow_switch,
    workflow_update,
)
from healing.views.workflows import workflow_or_404
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Conflict, Problem
from resilience_site.core.screens import acting_only, form_answer, reason_given, tried

METHODS: Final = ["GET", "HEAD", "POST"]
FORM_PAGE: Final = "healing/form_page.html"
_MOST_GIVEN: Final = 200_000
_NEW: Final = """\
name: restart_planner
title: Restart the planner
description: Restarts one instance where its check gets no answer.
trigger:
  type: check_failed
  services: [planner-*]
steps:
  - id: restart
    action: restart
    precondition: {type: failing}
    timeout_seconds: 60
verification: {passes: 2}
guards: {cooldown_seconds: 300}
"""


@never_cache
@require_http_methods(METHODS)
@acting_only("workflow.create", "workflow")
def workflow_new(request: HttpRequest) -> HttpResponse:
    """The form of a new workflow; a POST makes it, in the mode approve."""
    text = _text(request, _NEW)
    done, made, problem = tried(
        request,
        lambda: workflow_create(
            text=text,
            reason=reason_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done and made is not None:
        messages.info(request, f"{made.name} is there, in the mode approve.")
        return redirect("healing-workflow", made.name)
    return form_answer(request, _form(request, text, None, problem), problem, FORM_PAGE)


@never_cache
@require_http_methods(METHODS)
@acting_only("workflow.update", "workflow")
def workflow_edit(request: HttpRequest, name: str) -> HttpResponse:
    """The form that changes a workflow; a POST keeps it as its next version."""
    found = workflow_or_404(name)
    text = _text(request, found.text)
    done, _, problem = tried(
        request,
        lambda: workflow_update(
            name=name,
            text=text,
            if_match=version_given(request),
            reason=reason_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        messages.info(request, "Kept. Runs that have begun go on with what they began with.")
        return redirect("healing-workflow", name)
    return form_answer(request, _form(request, text, found, problem), problem, FORM_PAGE)


@never_cache
@require_http_methods(METHODS)
@acting_only("workflow.mode", "workflow")
def workflow_mode(request: HttpRequest, name: str) -> HttpResponse:
    """How far a workflow may go without a person; a POST says so."""
    found = workflow_or_404(name)
    wanted = request.POST.get("mode") or request.GET.get("mode") or found.mode
    done, row, problem = tried(
        request,
        lambda: workflow_mode_set(
            name=name,
            mode=request.POST.get("mode", ""),
            reason=reason_given(request),
            if_match=version_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done and row is not None:
        messages.info(request, f"{name} has the mode {row.mode}.")
        return redirect("healing-workflow", name)
    modes = [(value, label.partition(": ")[2]) for value, label in Mode.choices]
    context = _act(request, found, f"Mode of {name}", problem, {"Mode": wanted})
    return form_answer(
        request,
        {**context, "form": "healing/_mode_form.html", "modes": modes, "wanted": wanted},
        problem,
    )


@never_cache
@require_http_methods(METHODS)
@acting_only("workflow.switch", "workflow")
def workflow_enabled(request: HttpRequest, name: str) -> HttpResponse:
    """Whether to switch a workflow off or on; a POST does it."""
    found = workflow_or_404(name)
    sent = request.POST.get("enabled")
    enable = sent == "true" if sent else not found.enabled
    done, row, problem = tried(
        request,
        lambda: workflow_switch(
            name=name,
            enabled=enable,
            if_match=version_given(request),
            reason=reason_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done and row is not None:
        messages.info(request, f"{name} is {'on' if row.enabled else 'off'}.")
        return redirect("healing-workflow", name)
    title = f"Switch {name} {'on' if enable else 'off'}"
    context = _act(request, found, title, problem, {"Switched": "on" if enable else "off"})
    lead = (
        "It answers to failures again, as far as its mode lets it."
        if enable
        else "It answers to nothing any more. Its runs that have begun go on."
    )
    return form_answer(
        request,
        {**context, "form": "healing/_workflow_act_form.html", "lead": lead, "field": "enabled",
         "value": "true" if enable else "false", "submit": f"Switch {'on' if enable else 'off'}",
         "needed": True},
        problem,
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("workflow.delete", "workflow")
def workflow_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Whether to delete a workflow that a person wrote; a POST does it."""
    found = workflow_or_404(name)
    done, _, problem = tried(
        request,
        lambda: workflow_delete(
            name=name,
            if_match=version_given(request),
            reason=reason_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        messages.info(request, f"{name} is deleted.")
        return redirect("healing-workflows")
    context = _act(request, found, f"Delete {name}", problem, {"Deleted": "yes"})
    return form_answer(
        request,
        {**context, "form": "healing/_workflow_act_form.html", "field": "", "submit": "Delete",
         "lead": "Its runs stay, each with the copy that it ran by.", "danger": True},
        problem,
    )  # fmt: skip


def _text(request: HttpRequest, otherwise: str) -> str:
    """What was sent; browsers end lines otherwise."""
    if request.method != "POST":
        return otherwise
    return request.POST.get("text", "").replace("\0", "").replace("\r\n", "\n")[:_MOST_GIVEN]


def _form(
    request: HttpRequest, text: str, found: Workflow | None, problem: Problem | None
) -> dict[str, Any]:
    home = reverse("healing-workflow", args=[found.name]) if found else reverse("healing-workflows")
    known = actions_known()
    stale = isinstance(problem, Conflict)
    return {
        "form": "healing/_workflow_form.html",
        "title": f"Change {found.name}" if found else "New workflow",
        "text": text,
        "workflow": found,
        "version": _version(request, found, problem),
        "reason": reason_given(request),
        "faults": [each.message for each in getattr(problem, "errors", [])],
        "stale": stale,
        "against": text_diff(found.text, text) if found and stale else [],
        "actions": [(name, known[name].label) for name in sorted(known)],
        "ways": sorted(WAYS.items()),
        "next": home,
        "action": request.path,
    }


def _act(
    request: HttpRequest,
    found: Workflow,
    title: str,
    problem: Problem | None,
    asked: dict[str, str],
) -> dict[str, Any]:
    context: dict[str, Any] = {
        "title": title,
        "workflow": found,
        "version": _version(request, found, problem),
        "reason": reason_given(request),
        "min_reason": MIN_REASON,
        "reason_help": "Shown with the workflow, and kept in the audit trail.",
        "next": reverse("healing-workflow", args=[found.name]),
        "action": request.path,
    }
    if isinstance(problem, Conflict):
        context |= {
            "standing": {
                "Version": str(found.version),
                "Changed by": found.changed_by,
                "Mode": found.mode,
            },
            "asked": asked,
        }
    return context


def _version(request: HttpRequest, found: Workflow | None, problem: Problem | None) -> int | str:
    """What the form was made from; after a conflict, sending again takes the place of what was
    changed meanwhile."""
    if found is None:
        return ""
    sent = version_given(request) if request.method == "POST" else None
    return found.version if sent is None or isinstance(problem, Conflict) else sent

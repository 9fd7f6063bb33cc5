"""The forms in which people act on runs and opportunities."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from healing.choices import OpportunityState
from healing.domain.definition import definition_of
from healing.models import HealingRun, Opportunity
from healing.selectors.runs import opportunity_find, steps_of
from healing.services.opportunities import opportunity_dismiss as dismiss
from healing.services.opportunities import opportunity_start as start
from healing.services.recovery_orchestrator import (
    run_approve,
    run_cancel,
    run_refuse,
    run_rollback,
)
from healing.views.runs import run_or_404
from healing.views.words import guardrails
from resilience_site.core.permissions import actor_of, role_of
from resilience_site.core.screens import acting_only, back_to, form_answer, reason_given, tried

METHODS: Final = ["GET", "HEAD", "POST"]


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_run.approve", "healing_run")
def approve(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The question whether a run may begin, with what it would do; a POST says yes."""
    return _run_form(
        request, run_id, run_approve, title="Approve the run", submit="Approve",
        lead="It begins at once. Guardrails are judged again before its first act.",
        done="It begins.", needed=False, showing=True,
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_run.refuse", "healing_run")
def refuse(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The question whether to say no to a run; a POST does."""
    return _run_form(
        request, run_id, run_refuse, title="Refuse the run", submit="Refuse",
        lead="Nothing is done. The failure stays among what could be healed.",
        done="It does not begin.",
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_run.cancel", "healing_run")
def cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The question whether to end a run now; a POST does."""
    return _run_form(
        request, run_id, run_cancel, title="Cancel the run", submit="Cancel the run",
        lead="It ends after the step that runs now. What it did stays as it is.",
        done="It ends after the step that runs now.", danger=True,
    )  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_run.rollback", "healing_run")
def rollback(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The question whether to undo what a run did; a POST does."""
    return _run_form(
        request, run_id, run_rollback, title="Roll the run back", submit="Roll back",
        lead="What its steps did is undone in reverse order, where that can be.",
        done="It is being undone.", danger=True,
    )  # fmt: skip


def _run_form(
    request: HttpRequest, run_id: UUID, act: Callable[..., HealingRun], **words: Any
) -> HttpResponse:
    run = run_or_404(run_id)
    home = reverse("healing-run", args=[run_id])
    done, _, problem = tried(
        request,
        lambda: act(
            run_id=run_id,
            reason=reason_given(request),
            actor=actor_of(request),
            role=role_of(request.user),
        ),
    )
    if done:
        messages.info(request, words["done"])
        return redirect(back_to(request, home))
    context = {
        "needed": True,
        "danger": False,
        **words,
        "form": "healing/_act_form.html",
        "next": back_to(request, home),
        "about": f"{run.workflow} on {run.target}",
        "because": run.trigger.get("text", ""),
        "steps": steps_of(run) if words.get("showing") else [],
        "reason": reason_given(request),
        "action": request.path,
    }
    return form_answer(request, context, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_run.start", "opportunity")
def opportunity_start(request: HttpRequest, opportunity_id: UUID) -> HttpResponse:
    """The question whether to start a workflow on what fails; a POST does."""
    found = _opportunity(opportunity_id)
    done, run, problem = tried(
        request,
        lambda: start(
            opportunity_id=opportunity_id, reason=reason_given(request),
            actor=actor_of(request), role=role_of(request.user), now=datetime.now(UTC),
        ),
    )  # fmt: skip
    if done and run is not None:
        return redirect("healing-run", run.id)
    context = {
        "title": f"Start {found.workflow.name}",
        "submit": "Start",
        "lead": "It begins at once, if no guardrail refuses it. Starting it is your yes.",
        "steps": definition_of(found.workflow.definition).steps,
        "needed": True,
        **_about(request, found),
    }
    return form_answer(request, context, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("opportunity.dismiss", "opportunity")
def opportunity_dismiss(request: HttpRequest, opportunity_id: UUID) -> HttpResponse:
    """The question whether to leave something unhealed; a POST does."""
    found = _opportunity(opportunity_id)
    done, _, problem = tried(
        request,
        lambda: dismiss(
            opportunity_id=opportunity_id, reason=reason_given(request),
            actor=actor_of(request), role=role_of(request.user), now=datetime.now(UTC),
        ),
    )  # fmt: skip
    if done:
        messages.info(request, "Nothing heals it until it fails anew.")
        return redirect(back_to(request, reverse("healing")))
    context = {
        "title": "Dismiss",
        "submit": "Dismiss",
        "lead": "No workflow acts on this failure until it is over and comes back.",
        "needed": True,
        **_about(request, found),
    }
    return form_answer(request, context, problem)


def _about(request: HttpRequest, found: Opportunity) -> dict[str, Any]:
    return {
        "form": "healing/_act_form.html",
        "next": back_to(request, reverse("healing")),
        "about": f"{found.workflow.name} on {found.target}",
        "because": found.trigger.get("text", ""),
        "guardrails": guardrails(found.verdicts),
        "reason": reason_given(request),
        "action": request.path,
    }


def _opportunity(opportunity_id: UUID) -> Opportunity:
    found = opportunity_find(opportunity_id)
    if found is None or found.state != OpportunityState.OPEN:
        raise Http404("There is no such opportunity any more.")
    return found

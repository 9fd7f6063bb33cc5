"""How services are reached for healing: all of them, and the forms that say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import yaml
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from breakers.views.forms import version_given
from healing.actions.registry import actions_known
from healing.domain.diffs import text_diff
from healing.domain.lines import Lines, TooMuch
from healing.domain.ways import WAYS
from healing.models import HealingTarget
from healing.selectors.workflows import target_find, target_list
from healing.services.targets import target_delete, target_save
from health.models import Service
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Conflict, FieldError, Invalid, Problem
from resilience_site.core.screens import acting_only, form_answer, is_partial, may_operate, tried

METHODS: Final = ["GET", "HEAD", "POST"]
FORM_PAGE: Final = "healing/form_page.html"
_MOST_GIVEN: Final = 100_000
_NEW: Final = """\
# What can be done to it, each way with an action and its parameters. *** keeps a secret.
restart:
  action: docker_restart
  with: {container: planner}
recycle_pool:
  action: in_process
  with: {command: recycle_pool, instance: all}
"""


@dataclass(frozen=True)
class WayRow:
    """A way: its name, what it is for, the action it leads to, and its parameters (masked)."""

    name: str
    what: str
    action: str
    parameters: str


@require_GET
@require_role(Role.VIEWER)
def targets(request: HttpRequest) -> HttpResponse:
    """Services that something is known of how to heal them, and those of which nothing is."""
    cursor = journal.latest_cursor()
    rows = [(each, _ways(each)) for each in target_list()]
    known = {each.service for each, _ in rows}
    names = Service.objects.order_by("name").values_list("name", flat=True)
    context = {
        "live_cursor": cursor,
        "rows": rows,
        "unknown": [each for each in names[:500] if each not in known],
        "may_operate": may_operate(request),
    }
    part = "_targets" if is_partial(request) else "targets"
    return render(request, f"healing/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_target.save", "healing_target")
def target_new(request: HttpRequest) -> HttpResponse:
    """The form that says how another service is reached; a POST keeps it."""
    sent = request.POST if request.method == "POST" else request.GET
    service = sent.get("service", "").replace("\0", "").strip()
    if request.method != "POST" and target_find(service) is not None:
        return redirect("healing-target-edit", service)
    return _saved(request, service, None)


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_target.save", "healing_target")
def target_edit(request: HttpRequest, service: str) -> HttpResponse:
    """The form that changes how a service is reached; a POST keeps it."""
    return _saved(request, service, _target_or_404(service))


@never_cache
@require_http_methods(METHODS)
@acting_only("healing_target.delete", "healing_target")
def target_remove(request: HttpRequest, service: str) -> HttpResponse:
    """Whether to forget how a service is reached; a POST does."""
    found = _target_or_404(service)
    done, _, problem = tried(
        request,
        lambda: target_delete(
            service=service,
            if_match=version_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        messages.info(request, f"Nothing says any more how {service} is healed.")
        return redirect("healing-targets")
    context = {
        "form": "healing/_workflow_act_form.html",
        "title": f"Forget how {service} is healed",
        "lead": "Workflows that need one of its ways no longer answer for it. Its secrets are gone "
        "as well.",
        "submit": "Forget it",
        "danger": True,
        "version": found.version,
        "next": reverse("healing-targets"),
        "action": request.path,
    }
    return form_answer(request, context, problem)


def _saved(request: HttpRequest, service: str, found: HealingTarget | None) -> HttpResponse:
    given = _given(request, found)
    # A new one is no one's: what somebody else wrote meanwhile is a conflict.
    version = version_given(request) if found else 0
    done, row, problem = tried(
        request,
        lambda: target_save(
            service=service,
            ways=ways_of_text(given["ways"]),
            group=given["group"],
            if_match=version,
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done and row is not None:
        messages.info(request, f"Kept: workflows reach {row.service} by {len(row.ways)} ways.")
        return redirect("healing-targets")
    return form_answer(request, _form(request, service, found, given, problem), problem, FORM_PAGE)


def _given(request: HttpRequest, found: HealingTarget | None) -> dict[str, str]:
    if request.method != "POST":
        text = text_of_ways(found.ways) if found else _NEW
        return {"ways": text, "group": found.group if found else ""}
    text = request.POST.get("ways", "").replace("\0", "").replace("\r\n", "\n")[:_MOST_GIVEN]
    return {"ways": text, "group": request.POST.get("group", "").replace("\0", "").strip()}


def _form(
    request: HttpRequest,
    service: str,
    found: HealingTarget | None,
    given: dict[str, str],
    problem: Problem | None,
) -> dict[str, Any]:
    stale = isinstance(problem, Conflict)
    standing = target_find(service) if stale else found
    sent = version_given(request) if request.method == "POST" and not stale else None
    known = actions_known()
    return {
        "form": "healing/_target_form.html",
        "title": f"How {service} is healed" if found else "Another target",
        "service": service,
        "target": standing,
        "version": sent or (standing.version if standing else ""),
        **given,
        "faults": _faults(problem, given["ways"]),
        "stale": stale,
        "against": text_diff(text_of_ways(standing.ways), given["ways"])
        if standing and stale
        else [],
        "actions": [(name, known[name].label) for name in sorted(known)],
        "ways_known": sorted(WAYS.items()),
        "next": reverse("healing-targets"),
        "action": reverse("healing-target-edit", args=[service]) if standing else request.path,
    }


def _faults(problem: Problem | None, text: str) -> list[str]:
    """What is wrong, each with the line of the way that it is about."""
    found = getattr(problem, "errors", [])
    try:
        lines = Lines(text)
    except yaml.YAMLError:
        return [each.message for each in found]
    return [_fault(each, lines) for each in found]


def _fault(error: FieldError, lines: Lines) -> str:
    place, _, path = error.field.partition(".")
    if place != "ways" or not path:
        return error.message
    return f"line {lines.of(path.split('.'))}: {path}: {error.message}"


def ways_of_text(text: str) -> Any:
    """The ways that a text (YAML, so JSON as well) is. Raises `Invalid`, with the line."""
    try:
        # All of it is counted before it is unfolded.
        again = next(iter(list(Lines(text).repeated())), None)
        found = yaml.load(text, yaml.CSafeLoader) or {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Invalid.field("text", f"line {line}: {error.problem}.") from None
    except (yaml.YAMLError, TooMuch, ValueError, RecursionError) as error:
        raise Invalid.field("text", f"The ways are no YAML: {error}.") from None
    if again is not None:
        raise Invalid.field("text", f"line {again[1]}: {again[0]} stands there twice.")
    return found


def text_of_ways(ways: dict[str, Any]) -> str:
    """Ways as people edit them, their secrets masked."""
    return yaml.safe_dump(ways, sort_keys=False, allow_unicode=True, width=100) if ways else ""


def _ways(target: HealingTarget) -> list[WayRow]:
    known = actions_known()
    return [
        WayRow(
            name=name,
            what=WAYS.get(name, "A way of its own"),
            action=known[way["action"]].label if way["action"] in known else way["action"],
            parameters=", ".join(f"{key}: {value}" for key, value in way.get("with", {}).items()),
        )
        for name, way in target.ways.items()
    ]


def _target_or_404(service: str) -> HealingTarget:
    found = target_find(service)
    if found is None:
        raise Http404("Nothing says how this service is healed.")
    return found

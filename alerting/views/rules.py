"""Alert rules: the list, one of them with its trial, and the forms that make and change them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from alerting.choices import Severity
from alerting.domain.rules.catalogue import SAMPLES
from alerting.domain.rules.conditions import Wrong, condition_read
from alerting.domain.rules.measures import FIGURES
from alerting.domain.rules.words import condition_words
from alerting.models import AlertRule
from alerting.selectors.rules import rule_find, rule_list
from alerting.services.rules.store import (
    rule_create,
    rule_delete,
    rule_form,
    rule_shown,
    rule_update,
)
from alerting.services.rules.trial import Trial, rule_of, rule_trial
from alerting.views.rule_numbers import number_fields, numbers_applied
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Conflict, Invalid, Problem
from resilience_site.core.screens import (
    acting_only,
    form_answer,
    is_partial,
    may_operate,
    tried,
)
from resilience_site.core.timerange import parse_range

METHODS: Final = ["GET", "HEAD", "POST"]
_WEEK: Final = timedelta(days=7)
_RECENT: Final = 10
_TEXTS: Final = ("title", "description", "summary", "details", "runbook_url", "severity")
_MOST_DIGITS: Final = 9
_SECONDS: Final = ("for_seconds", "keep_firing_seconds")
# What people are told of a field by the name that it has in the form.
_LABELS: Final = {
    "severity": "Urgency",
    "condition": "Condition",
    "labels": "Further labels",
    "for_seconds": "Seconds that it must hold",
    "keep_firing_seconds": "Seconds that it must be gone",
    "description": "What it is for",
    "runbook_url": "Runbook",
}
# What a new rule begins with, by the type of its condition, and how that is called.
_STARTS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "event": (
        "Events",
        {
            "type": "event",
            "topic": "breakers",
            "kinds": ["breaker.transition"],
            "where": [{"field": "state", "op": "=", "value": "open"}],
            "labels": {"breaker": "payload.name"},
        },
    ),
    "silent": (
        "Silence",
        {
            "type": "silent",
            "topic": "ingest",
            "kinds": ["key.heard"],
            "labels": {"key": "payload.name"},
            "silent_seconds": 900,
        },
    ),
    "figure": (
        "A figure",
        {
            "type": "figure",
            "metric": "error_rate",
            "op": ">",
            "threshold": 0.05,
            "window_seconds": 300,
            "minimum": 20,
        },
    ),
    "burn": ("A burning budget", {"type": "burn", "long_seconds": 3600}),
}
_NEW: Final = {
    "name": "",
    "title": "",
    "description": "",
    "severity": Severity.TICKET.value,
    "for_seconds": 0,
    "keep_firing_seconds": 0,
    "labels": {},
    "summary": "",
    "details": "",
    "runbook_url": "",
    "enabled": True,
}


@require_GET
@require_role(Role.VIEWER)
def rules(request: HttpRequest) -> HttpResponse:
    """All rules by name."""
    cursor = journal.latest_cursor()
    found = list(rule_list())
    context = {
        "live_cursor": cursor,
        "rules": [(each, rule_state(each)) for each in found],
        "faulty": [each for each in found if each.fault],
        "delivering": config.proactive_alerting_enabled,
        "may_operate": may_operate(request),
    }
    part = "_list" if is_partial(request) else "list"
    return render(request, f"alerting/rules/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def rule(request: HttpRequest, name: str) -> HttpResponse:
    """One rule: what it watches, what it says, what it has said, and what it would have said."""
    cursor = journal.latest_cursor()
    found = _or_404(name)
    since, until = request.GET.get("since", ""), request.GET.get("until", "")
    trial: Trial | None = None
    problem: Problem | None = None
    if since or until:
        try:
            trial = _trial(found, since, until)
        except Problem as refused:
            problem = refused
    context = {
        "live_cursor": cursor,
        "rule": found,
        "state": rule_state(found),
        "words": _words(found),
        "condition": _json(found.condition),
        "labels": _json(found.labels) if found.labels else "",
        "alerts": list(found.alerts.order_by("-started_at", "-id")[:_RECENT]),
        "since": since,
        "until": until,
        "trial": trial,
        "problem": problem,
        "may_operate": may_operate(request),
    }
    part = "_detail" if is_partial(request) else "detail"
    return render(request, f"alerting/rules/{part}.html", context, status=400 if problem else 200)


@never_cache
@require_http_methods(METHODS)
@acting_only("rule.create", "alert_rule")
def rule_new(request: HttpRequest) -> HttpResponse:
    """The form of a new rule, begun as `?type=` says; a POST tries it on the last week, or makes
    it."""
    start = request.GET.get("type", "")
    start = start if start in _STARTS else "event"
    _, condition = _STARTS[start]
    given = _given(request, {**_NEW, "condition": condition})
    if request.POST.get("act") == "try":
        return _tried(request, given, None)
    done, made, problem = tried(
        request,
        lambda: rule_create(fields=_fields(given), actor=actor_of(request), now=datetime.now(UTC)),
    )
    if done and made is not None:
        messages.info(request, f"Rule {made.name} is on.")
        return redirect("alert-rule", made.name)
    context = _form(given, None) | _faults(problem, given)
    if request.method != "POST":
        # Another beginning would take the place of what was typed.
        context["starts"] = [(name, words, name == start) for name, (words, _) in _STARTS.items()]
    return form_answer(request, context, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("rule.update", "alert_rule")
def rule_edit(request: HttpRequest, name: str) -> HttpResponse:
    """The form that changes a rule; a POST tries it on the last week, or keeps it."""
    found = _or_404(name)
    given = _given(request, rule_shown(found))
    if request.POST.get("act") == "try":
        return _tried(request, given, found)
    done, _, problem = tried(
        request,
        lambda: rule_update(
            name=name,
            fields=_fields(given),
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        messages.info(request, f"Rule {name} is changed.")
        return redirect("alert-rule", name)
    context = _form(given, found, _shown_version(found, problem)) | _faults(problem, given)
    return form_answer(request, context, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("rule.update", "alert_rule")
def rule_switch(request: HttpRequest, name: str) -> HttpResponse:
    """Whether to switch a rule off or on, and what that means; a POST does it."""
    found = _or_404(name)
    done, changed, problem = tried(
        request,
        lambda: rule_update(
            name=name,
            fields={"enabled": request.POST.get("enabled") == "true"},
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done and changed is not None:
        messages.info(request, f"Rule {name} is {'on' if changed.enabled else 'off'}.")
        return redirect("alert-rule", name)
    return form_answer(request, _act("_switch_form", found, "Switch"), problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("rule.delete", "alert_rule")
def rule_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Whether to delete a rule; a POST does it."""
    found = _or_404(name)
    done, _, problem = tried(
        request,
        lambda: rule_delete(
            name=name,
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        messages.info(request, f"Rule {name} is deleted.")
        return redirect("alert-rules")
    return form_answer(request, _act("_delete_form", found, "Delete"), problem)


def rule_state(rule: AlertRule) -> str:
    """`off`, `faulty`, `firing`, `pending` or `on`; the rule comes from `selectors.rules`."""
    if not rule.enabled:
        return "off"
    if rule.fault:
        return "faulty"
    if rule.firing:  # type: ignore[attr-defined]
        return "firing"
    return "pending" if rule.pending else "on"  # type: ignore[attr-defined]


# --- The form ------------------------------------------------------------------------------------


def _given(request: HttpRequest, before: Mapping[str, Any]) -> dict[str, Any]:
    """What the form shows: what was sent, or how things stand. JSON is text here."""
    stored = {**before, "condition": _json(before["condition"]), "labels": _json(before["labels"])}
    if request.method != "POST":
        return {**stored, "numbers": number_fields(stored["condition"], before["condition"])}
    sent = {
        name: request.POST.get(name, str(stored[name])).replace("\0", "")
        for name in ("name", *_TEXTS, *_SECONDS, "condition", "labels")
    }
    numbers = number_fields(sent["condition"], before["condition"], request.POST)
    return {**sent, "numbers": numbers, "enabled": request.POST.get("enabled") == "on"}


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of what was sent. Raises `Invalid` for what is no JSON or no number."""
    fields = {name: value for name, value in given.items() if name != "numbers"}
    for name in ("condition", "labels"):
        try:
            fields[name] = json.loads(given[name] or "{}")
        except (ValueError, RecursionError) as error:
            verb = "is" if name == "condition" else "are"
            raise Invalid.field(name, f"The {name} {verb} no JSON: {error}.") from None
    fields["condition"] = numbers_applied(fields["condition"], given["numbers"])
    for name in _SECONDS:
        digits = str(given[name]).strip()
        if not digits.isdecimal() or len(digits) > _MOST_DIGITS:
            raise Invalid.field(name, "Give a whole number of seconds.")
        fields[name] = int(digits)
    return fields


def _form(
    given: Mapping[str, Any], rule: AlertRule | None, version: int | None = None
) -> dict[str, Any]:
    home = reverse("alert-rule", args=[rule.name]) if rule else reverse("alert-rules")
    return {
        "form": "alerting/rules/_form.html",
        "title": f"Change rule {rule.name}" if rule else "New rule",
        "given": given,
        "rule": rule,
        "version": version or (rule.version if rule else ""),
        "severities": [each.value for each in Severity],
        "topics": list(SAMPLES),
        "figures": list(FIGURES),
        "next": home,
    }


def _faults(problem: Problem | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is wrong with which field of the form; each is said once."""
    if not isinstance(problem, Invalid) or not problem.errors:
        return {}
    numbers = {f"condition.{each.path}": each.label for each in given["numbers"]}
    told = []
    for field, message in problem.errors:
        name, _, part = field.partition(".")
        label = numbers.get(field) or _LABELS.get(name, name.replace("_", " ").capitalize())
        inside = f", {part}" if part and field not in numbers else ""
        told.append((f"{label}{inside}", message.removeprefix(f"{label}: ")))
    return {"faults": list(dict.fromkeys(told))}


def _tried(request: HttpRequest, given: Mapping[str, Any], rule: AlertRule | None) -> HttpResponse:
    """The form again, with what the rule would have said of the last week."""
    problem: Problem | None = None
    trial = None
    try:
        trial = _trial(rule_of(rule_form(_fields(given)), rule), "7d", "")
    except Problem as refused:
        problem = refused
    context = {**_form(given, rule), "trial": trial, **_faults(problem, given)}
    return form_answer(request, context, problem)


def _act(form: str, rule: AlertRule, verb: str) -> dict[str, Any]:
    return {
        "form": f"alerting/rules/{form}.html",
        "title": f"{verb} rule {rule.name}",
        "rule": rule,
        "next": reverse("alert-rule", args=[rule.name]),
    }


def _trial(rule: AlertRule, since: str, until: str) -> Trial:
    now = datetime.now(UTC)
    within = parse_range(since, until, now=now, default=_WEEK)
    return rule_trial(rule, since=within.since, until=within.until, now=now)


def _words(rule: AlertRule) -> list[str]:
    try:
        return condition_words(condition_read(rule.condition))
    except Wrong as wrong:
        return [str(wrong)]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _version(request: HttpRequest) -> int | None:
    text = request.POST.get("version", "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _shown_version(rule: AlertRule, problem: Problem | None) -> int | None:
    """After a conflict, sending again takes the place of what was changed meanwhile."""
    return rule.version if isinstance(problem, Conflict) else None


def _or_404(name: str) -> AlertRule:
    found = rule_find(name)
    if found is None:
        raise Http404(f"There is no alert rule {name}.")
    return found

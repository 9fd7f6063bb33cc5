"""Runbooks: what to do about the alerts of a rule, beside those that fire now."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from alerting.selectors.alerts import alerts_firing, rules_firing
from alerting.selectors.rules import rule_find
from alerting.selectors.runbooks import runbook_exists, runbook_find, runbook_index
from alerting.views.runbook_html import sections_of
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.links import absolute
from resilience_site.core.permissions import require_role
from resilience_site.core.screens import is_partial

MOST_FIRING: Final = 10


@require_GET
@require_role(Role.VIEWER)
def runbooks(request: HttpRequest) -> HttpResponse:
    """What all runbooks have in common, the list of them, and which are asked for now."""
    cursor = journal.latest_cursor()
    firing = [(each, count, runbook_exists(each)) for each, count in rules_firing()]
    context = {"live_cursor": cursor, "firing": firing}
    if is_partial(request):
        return render(request, "alerting/runbooks/_asked.html", context)
    found = runbook_index()
    context |= {"runbook": found, "sections": sections_of(found.text)}
    return render(request, "alerting/runbooks/index.html", context)


@require_GET
@require_role(Role.VIEWER)
def runbooks_slash(request: HttpRequest) -> HttpResponse:
    """The folder, as people type it."""
    return redirect("runbooks")


@require_GET
@require_role(Role.VIEWER)
def runbook(request: HttpRequest, name: str) -> HttpResponse:
    """The runbook of one rule, with its alerts that fire now."""
    cursor = journal.latest_cursor()
    found = runbook_find(name)
    if found is None:
        raise Http404(f"There is no runbook {name}.")
    alerts = alerts_firing(name, most=MOST_FIRING + 1)
    context = {
        "live_cursor": cursor,
        "name": name,
        "alerts": alerts[:MOST_FIRING],
        "more": len(alerts) > MOST_FIRING,
    }
    if is_partial(request):
        return render(request, "alerting/runbooks/_firing.html", context)
    context |= {
        "runbook": found,
        "sections": sections_of(found.text),
        "rule": rule_find(name),
        "api": absolute("/api/v1"),
    }
    return render(request, "alerting/runbooks/detail.html", context)

"""Workflows: all of them, and one with what it does, how it changed and how often it healed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from healing.choices import Origin
from healing.domain.definition import definition_of
from healing.models import HealingRun, Workflow, WorkflowVersion
from healing.selectors.learning import success_list, success_total
from healing.selectors.runs import last_runs, run_list
from healing.selectors.versions import version_diff
from healing.selectors.workflows import version_list, workflow_find, workflow_list
from healing.services.guardrails import mode_cap
from healing.views.learned import WINDOW, learned_list, share
from healing.views.rows import run_rows
from healing.views.words import shown_state
from healing.views.workflow_words import (
    guards_words,
    steps_words,
    triggers_brief,
    triggers_words,
)
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.screens import is_partial, may_operate

RECENT: Final = 10
_ORDERS: Final = {
    "sequence": "one after the other, then it is verified",
    "ladder": "rungs: verified after each, what worked before goes first",
}
VERSIONS: Final = 20


@dataclass(frozen=True)
class WorkflowRow:
    """A workflow with how far it really goes, its last run, and how often it healed."""

    workflow: Workflow
    mode: str
    capped_by: str
    triggers: str
    steps: str
    last: HealingRun | None
    last_state: str
    rate: str
    basis: str


@require_GET
@require_role(Role.VIEWER)
def workflows(request: HttpRequest) -> HttpResponse:
    """All workflows in the order in which they go."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    last, found = last_runs(), success_list(now=now)
    rows = []
    for each in workflow_list():
        tries = success_total(one for one in found if one.workflow == each.name)
        rows.append(_row(each, last.get(each.name), share(tries), f"{tries.healed}/{tries.runs}"))
    context = {
        "live_cursor": cursor,
        "rows": rows,
        "note": f"the smaller number goes first; healed: {WINDOW}",
        "may_operate": may_operate(request),
    }
    part = "_workflows" if is_partial(request) else "workflows"
    return render(request, f"healing/{part}.html", context)


def _row(workflow: Workflow, last: HealingRun | None, rate: str, basis: str) -> WorkflowRow:
    definition = definition_of(workflow.definition)
    capped_at, capped_by = mode_cap(definition)
    between = " → " if definition.strategy == "sequence" else " / "
    return WorkflowRow(
        workflow=workflow,
        mode=workflow.mode if workflow.enabled else "off",
        capped_by=capped_by if workflow.enabled and capped_at != workflow.mode else "",
        triggers=triggers_brief(definition),
        steps=between.join(each.action.replace("_", " ") for each in definition.steps),
        last=last,
        last_state=shown_state(last) if last else "",
        rate=rate,
        basis=basis,
    )


@require_GET
@require_role(Role.VIEWER)
def workflow(request: HttpRequest, name: str) -> HttpResponse:
    """One workflow: how far it goes, what it does in words and as text, its versions, its runs."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    found = workflow_or_404(name)
    definition = definition_of(found.definition)
    capped_at, capped_by = mode_cap(definition)
    versions = list(version_list(found)[:VERSIONS])
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "workflow": found,
        "definition": definition,
        "mode": found.mode if found.enabled else "off",
        "capped_by": capped_by if capped_at != found.mode else "",
        "triggers": triggers_words(definition),
        "steps": steps_words(definition),
        "steps_note": _ORDERS[definition.strategy],
        "guards": guards_words(definition),
        "versions": versions,
        "learned": learned_list(now, workflow=name),
        "learned_note": f"runs that acted, {WINDOW}",
        "rows": run_rows(run_list(workflow=name)[:RECENT], now),
        "shipped": found.origin == Origin.SHIPPED,
        "may_operate": may_operate(request),
        **_compared(request, versions),
    }
    part = "_workflow" if is_partial(request) else "workflow"
    return render(request, f"healing/{part}.html", context)


def workflow_or_404(name: str) -> Workflow:
    found = workflow_find(name)
    if found is None:
        raise Http404("There is no such workflow.")
    return found


def _compared(request: HttpRequest, versions: list[WorkflowVersion]) -> dict[str, Any]:
    """The version that the address asks for (the newest otherwise) against the one before it."""
    asked = request.GET.get("version", "")
    by_number = {str(each.number): place for place, each in enumerate(versions)}
    place = by_number.get(asked, 0)
    if place + 1 >= len(versions):
        return {"compared": versions[place] if versions else None, "former": None, "lines": []}
    after, before = versions[place], versions[place + 1]
    return {"compared": after, "former": before, "lines": version_diff(before, after)}

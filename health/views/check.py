"""One check: how it stands and why, what it has seen, what it needs and what needs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from health.choices import ResultStatus, RunCause
from health.domain.graph import Graph
from health.models import Check, CheckResult, Outage
from health.selectors.checks import (
    blamed_for,
    changes_through,
    checks_of,
    outage_page,
    result_page,
    shown_state,
)
from health.selectors.graph import check_edges
from health.selectors.maintenance import windows_between
from health.selectors.series import run_series, step_for
from health.views.common import check_or_404, chosen_range, kind_label, path_of
from health.views.figures import run_rows
from health.views.observed import observed_words
from health.views.reliability import check_figures
from health.views.timeline import MOST_CHANGES, timeline
from health.views.why import rule_of, verdict_of
from resilience_site.core import journal
from resilience_site.core.badges import badge_for
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.core.screens import bad_question, is_partial, may_operate
from resilience_site.core.timerange import TimeRange

RESULTS_SHOWN: Final = 12
CHANGES_SHOWN: Final = 15
OUTAGES_SHOWN: Final = 15
NAMED: Final = 50
# What is pulled by itself, and its template.
_PARTS: Final = {"head": "_check_head", "body": "_check_body", "results": "_check_results"}


@require_GET
@require_role(Role.VIEWER)
def check(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """Everything about one check, over the range of the page where it is history.

    Its head, its body and its results are pulled apart from each other: a row under the keyboard
    holds back its table alone, and results that change no state do not pull the history.
    """
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    found = check_or_404(check_id)
    part = request.GET.get("part", "") if is_partial(request) else ""
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "check": found,
        "status": found.status,
        "state": shown_state(found),
        "may_operate": may_operate(request),
        "head_topics": f"health:{check_id} probes",
        "body_topics": f"health:{check_id} maintenance dependencies",
        **{f"{each}_src": _src(request, each) for each in _PARTS},
    }
    try:
        within = chosen_range(request, now)
        if part in ("", "head"):
            context |= _head(found, now)
        if part in ("", "body"):
            context |= _body(request, found, within, now)
        if part in ("", "results"):
            context |= _results(request, found, within)
    except Problem as problem:
        return bad_question(request, problem)
    return render(request, f"health/{_PARTS.get(part, 'check')}.html", context)


def _src(request: HttpRequest, part: str) -> str:
    return request.path + query_with(request.GET, part=part, cursor=request.GET.get("cursor"))


def _head(check: Check, now: datetime) -> dict[str, Any]:
    status = check.status
    return {
        "verdict": verdict_of(check),
        "kind_label": kind_label(check),
        "edit_path": path_of("health:check_edit", check.id),
        "suspected": status.suspected_until is not None and status.suspected_until > now,
        "overdue": overdue(check, now),
        "claimed": status.lease_until is not None and status.lease_until > now,
        "last_run": badge_for("run", status.last_status) if status.last_status else None,
    }


def overdue(check: Check, now: datetime) -> bool:
    """Whether nobody took it up for as long as two of its intervals."""
    due = check.status.next_due_at
    return due is not None and now - due > timedelta(seconds=2 * check.interval_seconds)


def _body(request: HttpRequest, check: Check, within: TimeRange, now: datetime) -> dict[str, Any]:
    """Raises `Problem` for a cursor that is none."""
    changes = changes_through(check.id, within, MOST_CHANGES)
    listed = [each for each in reversed(changes) if each.since >= within.since]
    step = step_for(within, check.interval_seconds)
    series = run_series(check.id, within, step)
    # The figure is asked for by the page's own question.
    question = query_with(request.GET, part=None, cursor=None, status=None)
    return {
        "rule": rule_of(check),
        "figures": check_figures(check.id, now),
        "windows": _windows(check, now),
        "blamed_for": blamed_for(check.id) if check.enabled else [],
        "timeline": timeline(changes, TimeRange(within.since, min(within.until, now)), check),
        "changes": listed[:CHANGES_SHOWN],
        "changes_left": max(0, len(listed) - CHANGES_SHOWN),
        **_outages(check, now),
        "runs": run_rows(check.id, series, step),
        "chart_src": f"{path_of('health:check_latency', check.id)}{question}",
        "target": _target(check),
        "traffic_path": path_of("blast-radius-check", check.id),
        **_surroundings(check),
    }


_HELD: Final = {
    "unreachable": "nobody, what it needs explains it",
    "maintenance": "nobody, it is in maintenance",
    "flapping": "nobody, it flaps",
    "settling": "nobody yet, it settles",
    "recovered": "nobody, it recovered before",
    "switched_off": "nobody, it was switched off before",
}


@dataclass(frozen=True)
class OutageRow:
    """An outage with its length up to now, and why nobody was told of it."""

    outage: Outage
    seconds: float
    held: str


def _outages(check: Check, now: datetime) -> dict[str, Any]:
    page = outage_page(check.id, limit=OUTAGES_SHOWN)
    return {
        "outages": page,
        "outage_rows": [
            OutageRow(
                each,
                ((each.ended_at or now) - each.started_at).total_seconds(),
                _HELD.get(each.held_by, each.held_by.replace("_", " ") or "nobody"),
            )
            for each in page.items
        ],
    }


@dataclass(frozen=True)
class Need:
    """A check at the other end of an edge."""

    check: Check
    state: str
    hard: bool


@dataclass(frozen=True)
class Dependent:
    """A check that fails when this one does; `direct` where no other stands between."""

    check: Check
    state: str
    direct: bool


def _surroundings(check: Check) -> dict[str, Any]:
    """What it needs, and everything that needs it. Three queries."""
    graph = Graph(check_edges())
    hard = set(graph.parents(check.id, hard=True))
    parents = hard | set(graph.parents(check.id, hard=False))
    below = graph.descendants(check.id)
    directly = set(graph.children(check.id))
    found = {each.id: each for each in checks_of(parents | below)}
    needing = [each for key, each in found.items() if key in below]
    return {
        "needs": [
            Need(each, shown_state(each), key in hard)
            for key, each in found.items()
            if key in parents
        ],
        "descendants": [
            Dependent(each, shown_state(each), each.id in directly) for each in needing[:NAMED]
        ],
        "descendants_count": len(needing),
        "affected": sorted({each.service_id for each in needing}),
    }


def _windows(check: Check, now: datetime) -> list[Any]:
    """The maintenance windows that cover it now."""
    windows = windows_between(now, now + timedelta(microseconds=1))
    return [each for each in windows if each.covers(check.id, check.service_id)]


def _target(check: Check) -> list[tuple[str, str]]:
    """The options of its kind as people may see them: secrets are masked where they are kept."""
    return [(name.replace("_", " "), _text(value)) for name, value in check.target.items()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(each)}" for name, each in value.items()) or "none"
    return "none" if value in (None, "") else str(value)


@dataclass(frozen=True)
class ResultRow:
    """A run with its measurements in words."""

    result: CheckResult
    cause: str
    observed: list[tuple[str, str]]


def _results(request: HttpRequest, check: Check, within: TimeRange) -> dict[str, Any]:
    """Raises `Problem` for a cursor or a status that is none."""
    page = result_page(
        check.id,
        within,
        statuses=[request.GET.get("status", "")],
        cursor=request.GET.get("cursor"),
        limit=RESULTS_SHOWN,
    )
    return {
        "results": [
            ResultRow(each, RunCause(each.cause).label, observed_words(each.observed or {}))
            for each in page.items
        ],
        "next_cursor": page.next_cursor,
        "statuses": ResultStatus.choices,
        "kept": [(name, request.GET[name]) for name in ("since", "until") if name in request.GET],
        "measured": observed_words(check.status.last_observed),
    }

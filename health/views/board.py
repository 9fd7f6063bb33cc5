"""All checks: the verdict, the graph of what needs what, and the list, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from health.checks import KINDS
from health.models import Check
from health.selectors.checks import (
    TROUBLE,
    CheckFilter,
    check_list,
    culprit_list,
    service_names_with_checks,
    shown_state,
    state_counts,
)
from health.views.bars import Bar, day_bars
from health.views.common import first_check, kind_label, path_of
from health.views.drawing import drawing_of
from health.views.summary import summary
from health.views.verdict import verdict
from resilience_site.core import journal
from resilience_site.core.badges import badge_for
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.core.screens import bad_question, is_partial, may_operate

ROWS: Final = 50
_FILTERS: Final = ("service", "kind", "state", "q")
# What is pulled by itself, and its template.
_PARTS: Final = {
    "head": "_board_head",
    "graph": "_board_graph",
    "services": "_board_services",
    "list": "_board_list",
}


@dataclass(frozen=True)
class CheckRow:
    """A check of the list, with its day."""

    check: Check
    kind: str
    state: str
    bar: Bar


@require_GET
@require_role(Role.VIEWER)
def board(request: HttpRequest) -> HttpResponse:
    """The health of everything; filters of the list stand in the address.

    Its head, its graph and its list are pulled apart from each other: a row under the keyboard
    holds back its table alone, and results that change no state pull the list alone.
    """
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    part = request.GET.get("part", "") if is_partial(request) else ""
    counts = state_counts()
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "counts": counts,
        "whole": sum(counts.values()),
        "may_operate": may_operate(request),
        "new_path": path_of("health:check_new"),
        **{f"{each}_src": _src(request, each) for each in _PARTS},
    }
    try:
        if part in ("", "head", "services") and counts:
            context |= _figures(counts, now)
        if part in ("", "graph"):
            context["graph"] = drawing_of() if counts else None
        if part in ("", "list"):
            context |= _list(request, counts, now)
    except Problem as problem:
        return bad_question(request, problem)
    if not counts:
        context |= first_check()
    if part:
        return render(request, f"health/{_PARTS.get(part, 'board')}.html", context)
    context |= _choices()
    return render(request, "health/board.html", context)


def _src(request: HttpRequest, part: str) -> str:
    return request.path + query_with(request.GET, part=part, cursor=request.GET.get("cursor"))


def _figures(counts: dict[str, int], now: datetime) -> dict[str, Any]:
    found = summary(now)
    return {
        "summary": found,
        "verdict": verdict(counts, culprit_list(), found.health.state),
    }


def _list(request: HttpRequest, counts: dict[str, int], now: datetime) -> dict[str, Any]:
    """Raises `Problem` for a state or a cursor that is none."""
    wanted = CheckFilter(**{name: request.GET.get(name, "") for name in _FILTERS})
    page = check_list(wanted=wanted, cursor=request.GET.get("cursor"), limit=ROWS)
    return {
        "rows": list_rows(page.items, now) if counts else [],
        "next_cursor": page.next_cursor,
    }


def list_rows(checks: Sequence[Check], now: datetime) -> list[CheckRow]:
    """Checks as `_check_row.html` takes them; two queries."""
    bars = day_bars(checks, now)
    return [
        CheckRow(check, kind_label(check), shown_state(check), bars[check.id]) for check in checks
    ]


def _choices() -> dict[str, Any]:
    return {
        "services": service_names_with_checks(),
        "kinds": sorted((kind.name, kind.label) for kind in KINDS.values()),
        "states": [(state, badge_for("health", state).word) for state in TROUBLE],
        "maintenance_path": path_of("health:maintenance"),
        "dependencies_path": path_of("health:dependencies"),
    }

"""Chains of errors: which call began them, and how they spread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from analytics.choices import ChainKind
from analytics.domain.errors import STATUS_ERROR
from analytics.selectors import chains as selectors
from analytics.selectors.chain_view import ChainView, WaterfallRow, chain_view
from analytics.views.common import (
    PAGE_ROWS,
    bad_question,
    first_steps,
    is_partial,
    list_range,
    severity_word,
)
from health.selectors import service_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with

# What a browser draws and a person scrolls without trouble.
WATERFALL_ROWS = 500
EVENTS_SHOWN = 200
LOGS_SHOWN = 200
_DEEPEST = 8


@dataclass(frozen=True)
class Bar:
    """A row of the waterfall as drawn: `status` is ok, error or unset, `starts_ms` counts from the
    chain's beginning, `depth` stops where indentation would leave no room for names."""

    row: WaterfallRow
    depth: int
    status: str
    starts_ms: float


@require_GET
@require_role(Role.VIEWER)
def chain_list(request: HttpRequest) -> HttpResponse:
    """Chains of errors, each with the error that began it; `q` leads to the chain of an id."""
    key = request.GET.get("q", "").strip()
    if key and (found := selectors.chain_find(key)):
        return redirect("chain", key=found.trace_id or str(found.id))
    cursor = journal.latest_cursor()
    try:
        page = selectors.chain_list(
            within=list_range(request, datetime.now(UTC)),
            service=request.GET.get("service", ""),
            root_service=request.GET.get("root_service", ""),
            limit=PAGE_ROWS,
            cursor=request.GET.get("cursor"),
        )
    except Problem as problem:
        return bad_question(request, problem)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "rows": [] if key else page.items,
        "next_cursor": None if key else page.next_cursor,
        **first_steps(page.items),
        "filtered": any(request.GET.get(name) for name in ("q", "service", "root_service")),
    }
    if is_partial(request):
        return render(request, "analytics/_chain_rows.html", context)
    context["services"] = [service.name for service in service_list()]
    return render(request, "analytics/chain_list.html", context)


@require_GET
@require_role(Role.VIEWER)
def chain_detail(request: HttpRequest, key: str) -> HttpResponse:
    """One chain: the waterfall with its root cause, and the errors in causal order."""
    cursor = journal.latest_cursor()
    view = chain_view(key)
    if view is None:
        raise Http404("Nothing with this trace or correlation id is stored.")
    first = _first_row(request, len(view.rows))
    before = str(max(0, first - WATERFALL_ROWS))
    after = first + WATERFALL_ROWS
    context = {
        "live_cursor": cursor,
        "chain": view,
        "key": key,
        "bars": _bars(view, first),
        "first": first + 1,
        "last": min(after, len(view.rows)),
        "before": query_with(request.GET, row=before) if first else "",
        "after": query_with(request.GET, row=str(after)) if after < len(view.rows) else "",
        "span_count": sum(row.span is not None for row in view.rows),
        "gaps_text": _gaps_text(view),
        "events": view.events[:EVENTS_SHOWN],
        "logs": [(log, severity_word(log.severity)) for log in view.logs[:LOGS_SHOWN]],
        "topic": f"chains:{view.chain_id}" if view.chain_id else "chains",
    }
    part = "_chain_body" if is_partial(request) else "chain_detail"
    return render(request, f"analytics/{part}.html", context)


def _gaps_text(view: ChainView) -> str:
    if view.kind == ChainKind.EDGE:
        return "these errors belong to no trace"
    return f"{len(view.gaps)} more have not arrived" if view.gaps else "none is missing"


def _first_row(request: HttpRequest, rows: int) -> int:
    wanted = request.GET.get("row", "")
    row = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 7 else 0
    return min(row, max(0, rows - 1)) // WATERFALL_ROWS * WATERFALL_ROWS


def _bars(view: ChainView, first: int) -> list[Bar]:
    return [
        Bar(row, min(row.depth, _DEEPEST), _status(row), row.offset * view.duration_ms)
        for row in view.rows[first : first + WATERFALL_ROWS]
    ]


def _status(row: WaterfallRow) -> str:
    if row.span is None:
        return "unset"
    return "error" if row.errors or row.span.status == STATUS_ERROR else "ok"

"""The list of errors, and one error with its stack trace."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from analytics.domain.stacktraces.base import CAUSE, CONTEXT, MEMBER, SUPPRESSED
from analytics.models import ErrorEvent, StackTrace
from analytics.selectors import errors as selectors
from analytics.selectors.logs import logs_of_trace
from analytics.selectors.loose_errors import edge_chain_of
from analytics.selectors.patterns import pattern_shown
from analytics.views.common import (
    PAGE_ROWS,
    bad_question,
    chosen_range,
    count_rows,
    first_steps,
    is_partial,
    list_range,
    severity_word,
    with_severity,
)
from health.selectors import service_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with

_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_MOST_LOGS = 20
_RELATIONS = {
    CAUSE: "caused the one above",
    CONTEXT: "was being handled when the one above was raised",
    SUPPRESSED: "suppressed by the one above",
    MEMBER: "member of the group above",
}
# Filters that the figures per minute do not know.
_NOT_COUNTED = ("q", "type", "trace_id", "correlation_id")


@require_GET
@require_role(Role.VIEWER)
def error_list(request: HttpRequest) -> HttpResponse:
    """Errors, newest first, with their filters in the address."""
    words = request.GET.get("q", "").strip()
    if _TRACE_ID.fullmatch(words):
        return redirect(reverse("errors") + query_with(request.GET, q=None, trace_id=words.lower()))
    cursor = journal.latest_cursor()
    try:
        wanted = selectors.ErrorFilter(
            service=request.GET.get("service", ""),
            type=request.GET.get("type", ""),
            pattern=_uuid(request.GET.get("pattern", "")),
            trace_id=request.GET.get("trace_id", ""),
            correlation_id=request.GET.get("correlation_id", ""),
            q=words,
        )
        now = datetime.now(UTC)
        within = list_range(request, now)
        counts = _counts(request, wanted, now)
        if is_partial(request) and request.GET.get("part") == "counts":
            return render(request, "analytics/_error_counts.html", counts)
        page = selectors.error_list(
            wanted=wanted, within=within, limit=PAGE_ROWS, cursor=request.GET.get("cursor")
        )
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "rows": with_severity(page.items),
        "next_cursor": page.next_cursor,
        **first_steps(page.items),
        "wanted": wanted,
        "filtered": wanted != selectors.ErrorFilter(),
        **counts,
    }
    if is_partial(request):
        return render(request, "analytics/_error_rows.html", context)
    context |= {
        "services": [service.name for service in service_list()],
        "types": selectors.error_types(within),
    }
    return render(request, "analytics/error_list.html", context)


def _counts(request: HttpRequest, wanted: selectors.ErrorFilter, now: datetime) -> dict[str, Any]:
    if any(request.GET.get(name) for name in _NOT_COUNTED):
        return {"counts": None}
    if is_partial(request) and request.GET.get("part") != "counts":
        return {}
    return {
        "counts": count_rows(chosen_range(request, now), wanted.service, wanted.pattern),
        "counts_src": request.path + query_with(request.GET, part="counts"),
    }


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Problem(f"{text[:40]!r} is not the id of a pattern.") from None


@require_GET
@require_role(Role.VIEWER)
def error_detail(request: HttpRequest, error_id: UUID) -> HttpResponse:
    """One error: message, stack trace, attributes, logs, and the ways on from it."""
    try:
        error = selectors.error_get(error_id)
    except ErrorEvent.DoesNotExist:
        raise Http404("There is no such error; it may be past its retention.") from None
    pattern = None
    if error.pattern_id is not None:
        pattern = pattern_shown(error.pattern_id)
    at = error.occurred_at
    logs = logs_of_trace(error.trace_id, at, at, limit=_MOST_LOGS) if error.trace_id else []
    stack = selectors.stack_get(error.stack_hash)
    context = {
        "live_cursor": None,
        "error": error,
        "severity": severity_word(error.severity),
        "stack": stack,
        "exceptions": _exceptions(stack),
        "pattern": pattern,
        "attributes": sorted(error.attributes.items()),
        "logs": [(log, severity_word(log.severity)) for log in logs],
        "logs_cut": len(logs) == _MOST_LOGS,
        "edge_chain": edge_chain_of(error),
    }
    return render(request, "analytics/error_detail.html", context)


def _exceptions(stack: StackTrace | None) -> list[dict[str, Any]]:
    """The chained exceptions, each with a note on how it led to the one above it."""
    # Stacks stored by earlier versions do not say how their exceptions hang together.
    return [
        {
            **each,
            "id": f"exception-{number}",
            "note": _RELATIONS.get(each.get("relation", ""), "most recent call last"),
        }
        for number, each in enumerate(stack.frames if stack else [], 1)
    ]

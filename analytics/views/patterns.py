"""Groups of like errors, and what people decide about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from analytics.choices import PatternState
from analytics.models import ErrorPattern
from analytics.selectors import errors as selectors
from analytics.selectors import patterns
from analytics.services.pattern_decisions import pattern_decide
from analytics.views.common import (
    PAGE_ROWS,
    bad_question,
    chosen_range,
    count_rows,
    first_steps,
    is_partial,
    list_range,
    with_severity,
    with_trend,
)
from health.selectors import service_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role, role_allows, role_of
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.core.selectors import audit_entries
from resilience_site.core.timerange import TimeRange

_NEWEST = 20
_DECISIONS_SHOWN = 5
_DECISIONS_REACH = timedelta(days=366)


@require_GET
@require_role(Role.VIEWER)
def pattern_list(request: HttpRequest) -> HttpResponse:
    """Groups of like errors, last seen first."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        page = patterns.pattern_list(
            wanted=patterns.PatternFilter(
                service=request.GET.get("service", ""),
                state=request.GET.get("state", ""),
                q=request.GET.get("q", ""),
                within=list_range(request, now),
            ),
            limit=PAGE_ROWS,
            cursor=request.GET.get("cursor"),
        )
    except Problem as problem:
        return bad_question(request, problem)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "rows": with_trend(page.items, now),
        "next_cursor": page.next_cursor,
        **first_steps(page.items),
        "filtered": any(request.GET.get(name) for name in ("service", "state", "q")),
    }
    if is_partial(request):
        return render(request, "analytics/_pattern_rows.html", context)
    context["services"] = [service.name for service in service_list()]
    context["states"] = PatternState.choices
    return render(request, "analytics/pattern_list.html", context)


@require_GET
@require_role(Role.VIEWER)
def pattern_detail(request: HttpRequest, pattern_id: UUID) -> HttpResponse:
    """One pattern: why these are together, how often, the newest of them, who decided what."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        pattern = patterns.pattern_get(pattern_id)
        within = list_range(request, now)
    except ErrorPattern.DoesNotExist:
        raise Http404("There is no such pattern.") from None
    except Problem as problem:
        return bad_question(request, problem)
    newest = selectors.error_list(
        wanted=selectors.ErrorFilter(pattern=pattern_id), within=within, limit=_NEWEST
    )
    decisions = audit_entries(
        TimeRange(now - _DECISIONS_REACH, now + timedelta(minutes=1)),
        object_type="pattern",
        object_id=str(pattern_id),
    )
    trend = with_trend([pattern], now)[0][1]
    context = {
        "live_cursor": cursor,
        "pattern": pattern,
        "topic": f"patterns:{pattern_id}",
        "chart_src": f"/charts/errors.json{query_with(request.GET, pattern=str(pattern_id))}",
        "trend": trend,
        "counts": count_rows(chosen_range(request, now), pattern=pattern_id),
        "counts_src": request.path + query_with(request.GET, part="counts"),
        "rows": with_severity(newest.items),
        "decisions": decisions.order_by("-at", "-pk")[:_DECISIONS_SHOWN],
        "may_decide": role_allows(role_of(request.user), Role.OPERATOR),
        "closed": pattern.state in (PatternState.RESOLVED, PatternState.IGNORED),
    }
    if is_partial(request) and request.GET.get("part") == "counts":
        return render(request, "analytics/_error_counts.html", context)
    part = "_pattern_body" if is_partial(request) else "pattern_detail"
    return render(request, f"analytics/{part}.html", context)


@require_POST
@require_role(Role.OPERATOR)
def pattern_decision(request: HttpRequest, pattern_id: UUID, decision: str) -> HttpResponse:
    """Resolve, ignore or reopen a pattern, with a reason for the audit trail."""
    try:
        pattern = pattern_decide(
            pattern_id=pattern_id,
            decision=decision,
            actor=actor_of(request),
            reason=request.POST.get("reason", "").replace("\0", "").strip()[:1_000],
            now=datetime.now(UTC),
        )
    except ErrorPattern.DoesNotExist:
        raise Http404("There is no such pattern.") from None
    except KeyError:
        raise Http404("A pattern is resolved, ignored or reopened.") from None
    messages.success(request, f"The pattern is {pattern.get_state_display()} now.")
    return redirect("pattern", pattern_id=pattern_id)

"""Groups of like errors: the list of them, and one with all that is known of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.choices import PatternState
from analytics.models import ErrorPattern
from analytics.selectors import errors as selectors
from analytics.selectors import patterns
from analytics.selectors.pattern_breakdown import pattern_breakdown
from analytics.selectors.pattern_families import family_ids
from analytics.selectors.pattern_history import pattern_week
from analytics.selectors.pattern_releases import pattern_releases, version_span
from analytics.selectors.pattern_why import pattern_why
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
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem
from resilience_site.core.querystrings import query_with
from resilience_site.core.screens import may_operate
from resilience_site.core.selectors import audit_entries
from resilience_site.core.timerange import TimeRange

_NEWEST: Final = 20
_DECISIONS_SHOWN: Final = 12
_DECISIONS_REACH: Final = timedelta(days=366)
_FILTERS: Final = ("service", "state", "q")
CLOSED: Final = (PatternState.RESOLVED, PatternState.IGNORED)


@require_GET
@require_role(Role.VIEWER)
def pattern_list(request: HttpRequest) -> HttpResponse:
    """Groups of like errors, last seen first unless another order is asked for."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        wanted = patterns.PatternFilter(
            **{name: request.GET.get(name, "") for name in _FILTERS},
            within=list_range(request, now),
        )
        page = patterns.pattern_list(
            wanted=wanted,
            sort=request.GET.get("sort") or patterns.NEWEST_FIRST,
            limit=PAGE_ROWS,
            cursor=request.GET.get("cursor"),
        )
    except Problem as problem:
        return bad_question(request, problem)
    spans = version_span([pattern.id for pattern in page.items])
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "rows": [
            {
                "pattern": pattern,
                "trend": trend,
                "day": sum(trend),
                "versions": spans.get(pattern.id),
            }
            for pattern, trend in with_trend(page.items, now)
        ],
        "next_cursor": page.next_cursor,
        "states": _state_links(request, patterns.state_counts(wanted)),
        **first_steps(page.items),
        "filtered": any(request.GET.get(name) for name in _FILTERS),
    }
    if is_partial(request):
        return render(request, "analytics/_pattern_rows.html", context)
    context["services"] = [service.name for service in service_list()]
    return render(request, "analytics/pattern_list.html", context)


def _state_links(request: HttpRequest, counts: dict[str, int]) -> list[dict[str, Any]]:
    """Each state with its number of patterns, and the link that shows these alone."""
    chosen = request.GET.get("state", "")
    links = [
        {
            "state": value,
            "count": counts.get(value, 0),
            "href": query_with(request.GET, state=None if value == chosen else value),
            "current": value == chosen,
        }
        for value in PatternState.values
    ]
    whole = {
        "state": "", "count": sum(counts.values()), "href": query_with(request.GET, state=None),
        "current": not chosen,
    }  # fmt: skip
    return [whole, *links]


@require_GET
@require_role(Role.VIEWER)
def pattern_detail(request: HttpRequest, pattern_id: UUID) -> HttpResponse:
    """One pattern: its state and why, how often, where from, why these are together, who decided."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        pattern = patterns.pattern_get(pattern_id)
        within = list_range(request, now)
    except ErrorPattern.DoesNotExist:
        raise Http404("There is no such pattern.") from None
    except Problem as problem:
        return bad_question(request, problem)
    if is_partial(request) and request.GET.get("part") == "counts":
        return render(request, "analytics/_error_counts.html", _counts(request, pattern_id, now))
    family = family_ids(pattern_id)
    week = pattern_week(pattern_id, family, pattern.first_seen, now)
    newest = selectors.error_list(
        wanted=selectors.ErrorFilter(pattern=pattern_id), within=within, limit=_NEWEST
    )
    decisions = audit_entries(
        TimeRange(now - _DECISIONS_REACH, now + timedelta(minutes=1)), object_type="pattern"
    ).filter(object_id__in=[str(each) for each in family])
    context = {
        "live_cursor": cursor,
        "pattern": pattern,
        "topic": f"patterns:{pattern_id}",
        "chart_src": f"/charts/errors.json{query_with(request.GET, pattern=str(pattern_id))}",
        "week_src": f"/charts/pattern-week.json?pattern={pattern_id}",
        "week": week,
        "day": [count for _, count in week.hours[-24:]],
        "week_rows": [(at, count) for at, count in reversed(week.hours) if count],
        "releases": pattern_releases([pattern_id]).get(pattern_id, []),
        "breakdown": pattern_breakdown(family, within),
        "why": pattern_why(pattern, [error.message for error in newest.items]),
        "rows": with_severity(newest.items),
        "decisions": decisions.order_by("-at", "-pk")[:_DECISIONS_SHOWN],
        "may_decide": may_operate(request),
        "closed": pattern.state in CLOSED,
        **_counts(request, pattern_id, now),
    }
    part = "_pattern_body" if is_partial(request) else "pattern_detail"
    return render(request, f"analytics/{part}.html", context)


def _counts(request: HttpRequest, pattern_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        "counts": count_rows(chosen_range(request, now), pattern=pattern_id),
        "counts_src": request.path + query_with(request.GET, part="counts"),
    }

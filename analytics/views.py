"""The screens of errors, patterns and chains, and the figures of their charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from analytics.choices import PatternState
from analytics.figures import error_ratio_figure, latency_figure
from analytics.models import ErrorEvent, ErrorPattern
from analytics.selectors import chains as chain_selectors
from analytics.selectors import errors as selectors
from analytics.selectors import rollups
from analytics.selectors.chain_view import chain_view
from analytics.services.patterns import pattern_decide
from health.selectors import service_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role, role_allows, role_of
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import TimeRange, parse_range

DEFAULT_RANGE = timedelta(hours=1)
TREND_RANGE = timedelta(hours=24)
PAGE_ROWS = 50
MAX_WATERFALL_ROWS = 500
FIGURES = {"error-ratio": error_ratio_figure, "latency": latency_figure}
SEVERITIES = ((21, "fatal"), (17, "error"), (13, "warn"), (9, "info"), (5, "debug"), (0, "trace"))


def severity_word(number: int) -> str:
    """The word of an OpenTelemetry severity number."""
    return next(word for low, word in SEVERITIES if number >= low)


def page_range(request: HttpRequest, now: datetime) -> TimeRange:
    """The range of the page's address; an open end reaches a little ahead of our clock, as the
    senders' clocks may. Raises `Problem` for a text that is no time."""
    since, until = request.GET.get("since"), request.GET.get("until")
    within = parse_range(since, until, now=now, default=DEFAULT_RANGE)
    return within if until else TimeRange(within.since, now + timedelta(minutes=10))


def query_string(request: HttpRequest) -> str:
    """The address of the page's live part: the same question, asked again."""
    return urlencode([(k, v) for k, values in request.GET.lists() for v in values])


def bad_question(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A page for an address that asks something impossible."""
    context = {"live_cursor": None, "problem": problem.detail}
    return render(request, "analytics/bad_question.html", context, status=400)


def _is_partial(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


@require_GET
@require_role(Role.VIEWER)
def error_list(request: HttpRequest) -> HttpResponse:
    """Errors, newest first, with their filters in the address."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        wanted = selectors.ErrorFilter(
            service=request.GET.get("service", ""),
            type=request.GET.get("type", ""),
            pattern=_uuid(request.GET.get("pattern", "")),
            trace_id=request.GET.get("trace_id", ""),
            correlation_id=request.GET.get("correlation_id", ""),
            q=request.GET.get("q", ""),
        )
        within = page_range(request, now)
        page = selectors.error_list(
            wanted=wanted, within=within, limit=PAGE_ROWS, cursor=request.GET.get("cursor")
        )
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "rows": _with_severity(page.items),
        "next_cursor": page.next_cursor,
        "query": query_string(request),
        "wanted": wanted,
        "filtered": wanted != selectors.ErrorFilter(),
    }
    if _is_partial(request):
        return render(request, "analytics/_error_rows.html", context)
    context["services"] = [service.name for service in service_list()]
    context["types"] = selectors.error_types(within)
    return render(request, "analytics/error_list.html", context)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Problem(f"{text[:40]!r} is not the id of a pattern.") from None


def _with_severity(errors: list[ErrorEvent]) -> list[tuple[ErrorEvent, str]]:
    return [(error, severity_word(error.severity)) for error in errors]


@require_GET
@require_role(Role.VIEWER)
def error_detail(request: HttpRequest, error_id: UUID) -> HttpResponse:
    """One error: message, stack trace, attributes, and the ways on from it."""
    try:
        error = selectors.error_get(error_id)
    except ErrorEvent.DoesNotExist:
        raise Http404("There is no such error; it may be past its retention.") from None
    stack = selectors.stack_get(error.stack_hash)
    pattern = None
    if error.pattern_id is not None:
        pattern = selectors.patterns_get([error.pattern_id]).get(error.pattern_id)
    context = {
        "live_cursor": None,
        "error": error,
        "severity": severity_word(error.severity),
        "stack": stack,
        "pattern": pattern,
        "attributes": sorted(error.attributes.items()),
    }
    return render(request, "analytics/error_detail.html", context)


@require_GET
@require_role(Role.VIEWER)
def pattern_list(request: HttpRequest) -> HttpResponse:
    """Groups of like errors, last seen first."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        page = selectors.pattern_list(
            service=request.GET.get("service", ""),
            state=request.GET.get("state", ""),
            q=request.GET.get("q", ""),
            within=page_range(request, now),
            limit=PAGE_ROWS,
            cursor=request.GET.get("cursor"),
        )
    except Problem as problem:
        return bad_question(request, problem)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "rows": with_trend(page.items, now),
        "next_cursor": page.next_cursor,
        "query": query_string(request),
        "filtered": any(request.GET.get(name) for name in ("service", "state", "q")),
    }
    if _is_partial(request):
        return render(request, "analytics/_pattern_rows.html", context)
    context["services"] = [service.name for service in service_list()]
    context["states"] = PatternState.choices
    return render(request, "analytics/pattern_list.html", context)


def with_trend(patterns: list[ErrorPattern], now: datetime) -> list[tuple[ErrorPattern, list[int]]]:
    """Patterns, each with its errors an hour of the last day."""
    day = TimeRange(now - TREND_RANGE, now)
    counts = rollups.pattern_counts([pattern.id for pattern in patterns], day)
    return [(pattern, counts[pattern.id]) for pattern in patterns]


@require_GET
@require_role(Role.VIEWER)
def pattern_detail(request: HttpRequest, pattern_id: UUID) -> HttpResponse:
    """One pattern: why these are together, how often, and the newest of them."""
    cursor = journal.latest_cursor()
    now = datetime.now(UTC)
    try:
        pattern = selectors.pattern_get(pattern_id)
        within = page_range(request, now)
    except ErrorPattern.DoesNotExist:
        raise Http404("There is no such pattern.") from None
    except Problem as problem:
        return bad_question(request, problem)
    newest = selectors.error_list(
        wanted=selectors.ErrorFilter(pattern=pattern_id), within=within, limit=20
    )
    context = {
        "live_cursor": cursor,
        "pattern": pattern,
        "trend": with_trend([pattern], now)[0][1],
        "rows": _with_severity(newest.items),
        "query": query_string(request),
        "may_decide": role_allows(role_of(request.user), Role.OPERATOR),
    }
    name = (
        "analytics/_pattern_body.html" if _is_partial(request) else "analytics/pattern_detail.html"
    )
    return render(request, name, context)


@require_POST
@require_role(Role.OPERATOR)
def pattern_decision(request: HttpRequest, pattern_id: UUID, decision: str) -> HttpResponse:
    """Resolve, ignore or reopen a pattern, with a reason for the audit trail."""
    try:
        pattern = pattern_decide(
            pattern_id=pattern_id,
            decision=decision,
            actor=actor_of(request),
            reason=request.POST.get("reason", ""),
        )
    except ErrorPattern.DoesNotExist:
        raise Http404("There is no such pattern.") from None
    except KeyError:
        raise Http404("A pattern is resolved, ignored or reopened.") from None
    messages.success(request, f"The pattern is {pattern.get_state_display()} now.")
    return redirect("pattern", pattern_id=pattern_id)


@require_GET
@require_role(Role.VIEWER)
def chain_list(request: HttpRequest) -> HttpResponse:
    """Chains of errors, each with the error that began it."""
    cursor = journal.latest_cursor()
    try:
        page = chain_selectors.chain_list(
            within=page_range(request, datetime.now(UTC)),
            service=request.GET.get("service", ""),
            root_service=request.GET.get("root_service", ""),
            limit=PAGE_ROWS,
            cursor=request.GET.get("cursor"),
        )
    except Problem as problem:
        return bad_question(request, problem)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "rows": page.items,
        "next_cursor": page.next_cursor,
        "query": query_string(request),
        "filtered": any(request.GET.get(name) for name in ("service", "root_service")),
    }
    if _is_partial(request):
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
    context = {
        "live_cursor": cursor,
        "chain": view,
        "key": key,
        "rows": view.rows[:MAX_WATERFALL_ROWS],
        "rows_left_out": max(0, len(view.rows) - MAX_WATERFALL_ROWS),
        "topic": f"chains:{view.chain_id}" if view.chain_id else "chains",
    }
    name = "analytics/_chain_body.html" if _is_partial(request) else "analytics/chain_detail.html"
    return render(request, name, context)


@require_GET
@require_role(Role.VIEWER)
def figure(request: HttpRequest, name: str) -> HttpResponse:
    """The figure of a chart, as JSON."""
    if name not in FIGURES:
        raise Http404("There is no such chart.")
    now = datetime.now(UTC)
    service = request.GET.get("service", "")
    try:
        within = parse_range(
            request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
        )
    except Problem as problem:
        return JsonResponse({"detail": problem.detail}, status=400)
    step = rollups.step_for(within)
    points = rollups.call_series(within, service, step)
    return JsonResponse(FIGURES[name](points, within, step, service))

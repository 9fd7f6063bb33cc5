"""Errors and their patterns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ninja import Query, Router

from analytics.models import ErrorEvent, ErrorPattern
from analytics.schemas import (
    DecisionIn,
    ErrorDetailOut,
    ErrorOut,
    ErrorQuery,
    PatternOut,
    PatternQuery,
    TrendOut,
)
from analytics.selectors import errors as selectors
from analytics.selectors.rollups import pattern_counts
from analytics.services.pattern_decisions import pattern_decide
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import TimeRange, parse_range

DEFAULT_RANGE = timedelta(hours=24)
_TREND_BINS = 24

router = Router(tags=["errors"])


@router.get("/errors", auth=ApiAuth(Scope.READ), response=PageOut[ErrorOut])
def error_list(request: ApiRequest, query: Query[ErrorQuery]) -> Page:
    """Errors, newest first; the last 24 hours by default."""
    now = datetime.now(UTC)
    wanted = selectors.ErrorFilter(
        query.service, query.type, query.pattern, query.trace_id, query.correlation_id, query.q
    )
    within = parse_range(query.since, query.until, now=now, default=DEFAULT_RANGE)
    if not query.until:
        # Senders' clocks may be ahead of ours; what was accepted must not stay hidden.
        within = TimeRange(within.since, now + timedelta(minutes=10))
    return selectors.error_list(
        wanted=wanted, within=within, limit=query.limit, cursor=query.cursor
    )


@router.get("/errors/{uuid:error_id}", auth=ApiAuth(Scope.READ), response=ErrorDetailOut)
def error_detail(request: ApiRequest, error_id: UUID) -> dict[str, Any]:
    """One error with its stack trace, as sent and in frames."""
    try:
        error = selectors.error_get(error_id)
    except ErrorEvent.DoesNotExist:
        raise NotFound(f"There is no error {error_id}; it may be past its retention.") from None
    stack = selectors.stack_get(error.stack_hash)
    return {
        **ErrorOut.from_orm(error).model_dump(),
        "stacktrace": stack.raw if stack else None,
        "frames": stack.frames if stack else [],
    }


def _patterns_out(patterns: list[ErrorPattern]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    day = TimeRange(now - DEFAULT_RANGE, now)
    counts = pattern_counts([pattern.id for pattern in patterns], day, _TREND_BINS)
    return [
        {
            **{name: getattr(pattern, name, None) for name in PatternOut.model_fields},
            "trend": TrendOut(window_seconds=day.length.total_seconds(), counts=counts[pattern.id]),
        }
        for pattern in patterns
    ]


@router.get("/patterns", auth=ApiAuth(Scope.READ), response=PageOut[PatternOut])
def pattern_list(request: ApiRequest, query: Query[PatternQuery]) -> Page:
    """Groups of like errors, last seen first; all that are kept by default."""
    within = None
    if query.since or query.until:
        within = parse_range(query.since, query.until, now=datetime.now(UTC))
    page = selectors.pattern_list(
        service=query.service,
        type_=query.type,
        state=query.state or "",
        q=query.q,
        within=within,
        limit=query.limit,
        cursor=query.cursor,
    )
    return Page(_patterns_out(page.items), page.next_cursor)


@router.get("/patterns/{uuid:pattern_id}", auth=ApiAuth(Scope.READ), response=PatternOut)
def pattern_detail(request: ApiRequest, pattern_id: UUID) -> dict[str, Any]:
    """One pattern, with why its errors are together (`rule`)."""
    try:
        return _patterns_out([selectors.pattern_get(pattern_id)])[0]
    except ErrorPattern.DoesNotExist:
        raise NotFound(f"There is no pattern {pattern_id}.") from None


def _decide(
    request: ApiRequest, pattern_id: UUID, decision: str, body: DecisionIn | None
) -> dict[str, Any]:
    try:
        pattern = pattern_decide(
            pattern_id=pattern_id,
            decision=decision,
            actor=request.auth,
            reason=body.reason if body else "",
            now=datetime.now(UTC),
        )
    except ErrorPattern.DoesNotExist:
        raise NotFound(f"There is no pattern {pattern_id}.") from None
    return _patterns_out([pattern])[0]


@router.post(
    "/patterns/{uuid:pattern_id}/resolve", auth=ApiAuth(Scope.OPERATE), response=PatternOut
)
def pattern_resolve(
    request: ApiRequest, pattern_id: UUID, body: DecisionIn | None = None
) -> dict[str, Any]:
    """Say that a pattern is mended; a later error of it makes it regressed."""
    return _decide(request, pattern_id, "resolve", body)


@router.post("/patterns/{uuid:pattern_id}/ignore", auth=ApiAuth(Scope.OPERATE), response=PatternOut)
def pattern_ignore(
    request: ApiRequest, pattern_id: UUID, body: DecisionIn | None = None
) -> dict[str, Any]:
    """Keep counting a pattern without calling attention to it."""
    return _decide(request, pattern_id, "ignore", body)


@router.post("/patterns/{uuid:pattern_id}/reopen", auth=ApiAuth(Scope.OPERATE), response=PatternOut)
def pattern_reopen(
    request: ApiRequest, pattern_id: UUID, body: DecisionIn | None = None
) -> dict[str, Any]:
    """Take back a resolve or an ignore."""
    return _decide(request, pattern_id, "reopen", body)

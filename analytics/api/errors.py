"""Errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ninja import Query, Router

from analytics.models import ErrorEvent
from analytics.schemas.errors import ErrorDetailOut, ErrorOut, ErrorQuery
from analytics.selectors import errors as selectors
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import TimeRange, parse_range

DEFAULT_RANGE = timedelta(hours=24)

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

"""Chains: which error began it, and how it spread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ninja import Query, Router

from analytics.schemas.chains import ChainDetailOut, ChainOut, ChainQuery
from analytics.schemas.errors import ErrorOut
from analytics.selectors import chains as selectors
from analytics.selectors.chain_view import chain_view
from analytics.selectors.errors import errors_get
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import parse_range

DEFAULT_RANGE = timedelta(hours=24)

router = Router(tags=["chains"])


@router.get("/chains", auth=ApiAuth(Scope.READ), response=PageOut[ChainOut])
def chain_list(request: ApiRequest, query: Query[ChainQuery]) -> Page:
    """Chains of errors, newest first; the last 24 hours by default."""
    page = selectors.chain_list(
        within=parse_range(query.since, query.until, now=datetime.now(UTC), default=DEFAULT_RANGE),
        service=query.service,
        root_service=query.root_service,
        limit=query.limit,
        cursor=query.cursor,
    )
    roots = errors_get([chain.root_cause_id for chain in page.items])
    items = [
        {
            "id": chain.id,
            "kind": chain.kind,
            "confidence": chain.confidence,
            "trace_id": chain.trace_id or None,
            "correlation_id": chain.correlation_id or None,
            "root_cause": roots.get(chain.root_cause_id),
            "services": chain.services,
            "error_count": chain.error_count,
            "span_count": chain.span_count,
            "gap_count": chain.gap_count,
            "started_at": chain.started_at,
            "ended_at": chain.ended_at,
        }
        for chain in page.items
    ]
    return Page(items, page.next_cursor)


@router.get("/chains/{str:key}", auth=ApiAuth(Scope.READ), response=ChainDetailOut)
def chain_detail(request: ApiRequest, key: str) -> dict[str, Any]:
    """One chain by trace id, correlation id or its own id: errors in causal order, root cause,
    services in the order of spread, and where spans are missing."""
    view = chain_view(key)
    if view is None or not view.events:
        raise NotFound(f"No error with the trace or correlation id {key[:80]!r} is stored.")
    return {
        "id": view.chain_id,
        "kind": view.kind,
        "confidence": view.confidence,
        "trace_id": view.trace_id or None,
        "correlation_id": view.correlation_id or None,
        "root_cause": view.root_cause,
        "services": view.services,
        "error_count": len(view.events),
        "span_count": sum(row.span is not None for row in view.rows),
        "gap_count": len(view.gaps),
        "started_at": view.started_at,
        "ended_at": view.ended_at,
        "events": [ErrorOut.from_orm(error) for error in view.events],
        "path": view.path,
        "gaps": [
            {
                "parent_span_id": gap.span_id,
                "child_span_ids": gap.children,
                "service": gap.service,
                "trace_id": gap.trace_id,
            }
            for gap in view.gaps
        ],
    }

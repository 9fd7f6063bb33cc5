"""Retries, fallbacks and bulkheads, and the instances that report of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ninja import Query, Router

from breakers.schemas import (
    BulkheadOut,
    BulkheadQuery,
    FallbackOut,
    FiguresQuery,
    InstanceOut,
    RetryOut,
    ServiceQuery,
)
from breakers.selectors.bulkheads import bulkhead_figures
from breakers.selectors.documents import document_stamps
from breakers.selectors.fallbacks import fallback_figures
from breakers.selectors.instances import instance_list, is_silent
from breakers.selectors.retries import retry_figures
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, RangeQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import TimeRange, parse_range

router = Router(tags=["protection"])


def _within(query: RangeQuery, now: datetime) -> TimeRange:
    return parse_range(query.since, query.until, now=now)


@router.get("/retries", auth=ApiAuth(Scope.READ), response=PageOut[RetryOut])
def retries(request: ApiRequest, query: Query[FiguresQuery]) -> Page:
    """Retries by service and dependency; the last hour by default."""
    now = datetime.now(UTC)
    within = _within(query, now)
    rows = retry_figures(within, now=now, service=query.service, dependency=query.dependency)
    return Page(rows[: query.limit], None)


@router.get("/fallbacks", auth=ApiAuth(Scope.READ), response=PageOut[FallbackOut])
def fallbacks(request: ApiRequest, query: Query[FiguresQuery]) -> Page:
    """What was served in place of failed answers; the last hour by default."""
    within = _within(query, datetime.now(UTC))
    rows = fallback_figures(within, service=query.service, dependency=query.dependency)
    return Page(rows[: query.limit], None)


@router.get("/bulkheads", auth=ApiAuth(Scope.READ), response=PageOut[BulkheadOut])
def bulkheads(request: ApiRequest, query: Query[BulkheadQuery]) -> Page:
    """Use and rejections of bulkheads; the last hour by default."""
    now = datetime.now(UTC)
    within = _within(query, now)
    rows = bulkhead_figures(within, now=now, service=query.service, name=query.name)
    return Page(rows[: query.limit], None)


@router.get("/instances", auth=ApiAuth(Scope.READ), response=PageOut[InstanceOut])
def instances(request: ApiRequest, query: Query[ServiceQuery]) -> Page:
    """Instances, and the version of the control document that each has applied."""
    now = datetime.now(UTC)
    page = keyset_page(
        instance_list(query.service),
        by=("service", "instance"),
        types=(str, str),
        cursor=query.cursor,
        limit=query.limit,
    )
    stamps = document_stamps(sorted({row.service for row in page.items}))
    rows: list[dict[str, Any]] = [
        {
            **{name: getattr(row, name, None) for name in InstanceOut.model_fields},
            "document_version": stamps[row.service].version if row.service in stamps else 0,
            "silent": is_silent(row.last_seen, now),
        }
        for row in page.items
    ]
    return Page(rows, page.next_cursor)

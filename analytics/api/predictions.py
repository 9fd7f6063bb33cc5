"""Failures foreseen, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ninja import Query, Router

from analytics.schemas.predictions import PredictionOut, PredictionQuery
from analytics.selectors import predictions as selectors
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import parse_range

DEFAULT_RANGE = timedelta(days=7)

router = Router(tags=["predictions"])


@router.get("/predictions", auth=ApiAuth(Scope.READ), response=PageOut[PredictionOut])
def prediction_list(request: ApiRequest, query: Query[PredictionQuery]) -> Page:
    """Predictions by when they were made, newest first; the last 7 days by default."""
    return selectors.prediction_list(
        within=parse_range(query.since, query.until, now=datetime.now(UTC), default=DEFAULT_RANGE),
        service=query.service,
        kind=query.kind or "",
        outcome=query.outcome or "",
        limit=query.limit,
        cursor=query.cursor,
    )

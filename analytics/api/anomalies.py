"""Anomalies: when a figure of a service was unlike what was expected of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ninja import Query, Router

from analytics.schemas.anomalies import AnomalyOut, AnomalyQuery
from analytics.selectors import anomalies as selectors
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import parse_range

DEFAULT_RANGE = timedelta(hours=24)

router = Router(tags=["anomalies"])


@router.get("/anomalies", auth=ApiAuth(Scope.READ), response=PageOut[AnomalyOut])
def anomaly_list(request: ApiRequest, query: Query[AnomalyQuery]) -> Page:
    """Spells by when they began, newest first; the last 24 hours by default."""
    return selectors.anomaly_list(
        within=parse_range(query.since, query.until, now=datetime.now(UTC), default=DEFAULT_RANGE),
        service=query.service,
        metric=query.metric,
        limit=query.limit,
        cursor=query.cursor,
    )

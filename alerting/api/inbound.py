"""Alerts that Alertmanager and Grafana post, each in its own webhook format."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from ninja import Router

from alerting.choices import AlertSource
from alerting.schemas.inbound import ALERTMANAGER_POST, GRAFANA_POST, InboundOut
from alerting.services.inbound import inbound_take
from analytics.api.documents import posted_document
from resilience_site.core.bodies import read_by_itself
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest

MOST_MIB: Final = 16

router = Router(tags=["inbound alerts"])


@router.post(
    "/alerts/inbound/alertmanager",
    auth=ApiAuth(Scope.OPERATE),
    response=InboundOut,
    openapi_extra=read_by_itself(ALERTMANAGER_POST),
)
def inbound_alertmanager(request: ApiRequest) -> dict[str, int]:
    """Take a post of Alertmanager's webhook (version 4). The same post may come again."""
    return _take(request, AlertSource.ALERTMANAGER)


@router.post(
    "/alerts/inbound/grafana",
    auth=ApiAuth(Scope.OPERATE),
    response=InboundOut,
    openapi_extra=read_by_itself(GRAFANA_POST),
)
def inbound_grafana(request: ApiRequest) -> dict[str, int]:
    """Take a post of a webhook contact point of Grafana's. The same post may come again."""
    return _take(request, AlertSource.GRAFANA)


def _take(request: ApiRequest, source: AlertSource) -> dict[str, int]:
    document = posted_document(request, "alerts", MOST_MIB)
    taken = inbound_take(
        document=document, source=source, sender=request.auth.name, now=datetime.now(UTC)
    )
    return asdict(taken)

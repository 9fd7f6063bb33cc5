"""The part of the API that joins apps: who is affected when a breaker is forced into a state, or a
check fails."""

from __future__ import annotations

from datetime import UTC, datetime

from ninja import Query, Router, Schema

from analytics.selectors import rollups
from breakers.api.shown import found, located
from breakers.models import DomainMember
from breakers.selectors.domains import domain_get
from breakers.selectors.names import breaker_check, domain_check
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import TimeRange
from resilience_site.pages import health_api
from resilience_site.pages.blast_radius import Radius, radius_of
from resilience_site.pages.breakers import CALLERS_WINDOW

router = Router(tags=["breakers"])
routers = [("", router), ("", health_api.router)]


class CallerOut(Schema):
    name: str
    rate: float


class RadiusOut(Schema):
    """`rate` is in calls a second of the last `window_seconds`; callers call these services."""

    breakers: int
    services: list[str]
    instances: int
    silent: int
    rate: float
    window_seconds: int
    callers: list[CallerOut]


class InstanceQuery(Schema):
    instance: str = ""


@router.get(
    "/breakers/{path:service}/{path:name}/blast-radius",
    auth=ApiAuth(Scope.READ),
    response=RadiusOut,
)
def breaker_radius(
    request: ApiRequest, service: str, name: str, query: Query[InstanceQuery]
) -> Radius:
    """What an override of a breaker, in all instances or in one, would concern."""
    service, name = located(service, name)
    view = found(service, name)
    if query.instance:
        breaker_check(service, name, query.instance)
    edges = rollups.edge_list(_callers_range())
    return radius_of([view], edges, instance=query.instance or None)


@router.get("/domains/{path:name}/blast-radius", auth=ApiAuth(Scope.READ), response=RadiusOut)
def domain_radius(request: ApiRequest, name: str) -> Radius:
    """What an override of a failure domain would concern."""
    try:
        domain = domain_get(name, datetime.now(UTC))
    except DomainMember.DoesNotExist:
        domain_check(name)
        raise
    return radius_of(domain.breakers, rollups.edge_list(_callers_range()))


def _callers_range() -> TimeRange:
    now = datetime.now(UTC)
    return TimeRange(now - CALLERS_WINDOW, now)

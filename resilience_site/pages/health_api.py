"""The dependency graph of the API: who needs what, who is to blame, and the traffic at stake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, Literal
from uuid import UUID

from ninja import Field, Query, Router, Schema

from analytics.selectors import rollups
from health.api.shown import check_found, edge_out
from health.choices import HealthState
from health.models import Check
from health.schemas import DependencyOut
from health.selectors.checks import check_rows
from health.selectors.graph import (
    COUNTED,
    BlastRadius,
    Needers,
    check_blast_radius,
    check_edges_each,
    dependency_list,
)
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.timerange import TimeRange

router = Router(tags=["health graph"])

# Traffic is that of a while: services with few calls have some then.
TRAFFIC_WINDOW: Final = timedelta(minutes=15)
MOST_NODES: Final = 5_000
MOST_EDGES: Final = 20_000
# Above this, only the radius of checks that fail is worked out.
MOST_RADII: Final = 500
NAMED: Final = 100


class TrafficOut(Schema):
    """A service in a blast radius with its calls a second of the last `window_seconds`."""

    name: str
    rate: float


class RadiusOut(Schema):
    """Who needs a check, directly or not: how many checks, the services with the most traffic, of
    `services_count` in all, and the calls a second of all of them."""

    checks: int
    services: list[TrafficOut]
    services_count: int
    rate: float
    window_seconds: int


class NodeOut(Schema):
    id: UUID
    name: str
    service: str
    kind: str
    state: str
    culprit: str | None
    culprit_id: UUID | None
    since: datetime
    critical: bool
    enabled: bool
    blast_radius: RadiusOut | None = Field(
        description="Null where it was not worked out: of large graphs, it is of failing checks"
    )


class EdgeOut(Schema):
    """`child` needs `parent`, both checks; services at the ends of an edge are spelled out."""

    child: UUID
    parent: UUID
    hard: bool


class GraphOut(Schema):
    """`edges` are those that count; `dependencies` are all, as they were drawn or proposed."""

    nodes: list[NodeOut]
    nodes_left_out: int
    edges: list[EdgeOut]
    edges_complete: bool
    dependencies: list[DependencyOut]
    dependencies_left_out: int


class GraphQuery(Schema):
    service: str = Field("", description="Only checks of this service, and edges at them")
    status: Literal["", "counting", "declared", "accepted", "proposed", "rejected"] = Field(
        "", description="Of dependencies; all by default"
    )


@router.get("/health/graph", auth=ApiAuth(Scope.READ), response=GraphOut)
def graph(request: ApiRequest, query: Query[GraphQuery]) -> dict[str, Any]:
    """Checks with their states and culprits, what they need, and what fails with each."""
    rows = check_rows().order_by("name")
    if query.service:
        rows = rows.filter(service__name=query.service)
    nodes = list(rows[:MOST_NODES])
    shown = {check.id for check in nodes}
    near = (each for each in check_edges_each() if each.child in shown or each.parent in shown)
    edges = list(islice(near, MOST_EDGES + 1))
    drawn = dependency_list(_STATUSES.get(query.status, (query.status,))).order_by(
        "-created_at", "-id"
    )
    dependencies = [edge_out(each) for each in drawn[:MOST_NODES]]
    return {
        "nodes": _nodes(nodes),
        "nodes_left_out": rows.count() - len(nodes),
        "edges": edges[:MOST_EDGES],
        "edges_complete": len(edges) <= MOST_EDGES,
        "dependencies": dependencies,
        "dependencies_left_out": drawn.count() - len(dependencies),
    }


@router.get(
    "/health/checks/{uuid:check_id}/blast-radius",
    auth=ApiAuth(Scope.READ),
    response=RadiusOut,
)
def check_radius(request: ApiRequest, check_id: UUID) -> dict[str, Any]:
    """Who fails with a check, and the traffic that they carry."""
    return radius_shown(check_blast_radius(check_found(check_id)), traffic())


def traffic() -> dict[str, float]:
    """Calls a second of each service that anybody calls."""
    now = datetime.now(UTC)
    figures = rollups.service_figures(TimeRange(now - TRAFFIC_WINDOW, now))
    return {name: each.rate for name, each in figures.items()}


def radius_shown(radius: BlastRadius, rates: dict[str, float]) -> dict[str, Any]:
    """The fields of `RadiusOut`."""
    services = sorted(
        ({"name": name, "rate": rates.get(name, 0.0)} for name in radius.services),
        key=lambda each: (-each["rate"], each["name"]),  # type: ignore[operator]
    )
    return {
        "checks": len(radius.checks),
        "services": services[:NAMED],
        "services_count": len(services),
        "rate": sum(rates.get(name, 0.0) for name in radius.services),
        "window_seconds": int(TRAFFIC_WINDOW.total_seconds()),
    }


_STATUSES: Final = {"": (), "counting": COUNTED}


def _nodes(checks: list[Check]) -> list[dict[str, Any]]:
    failing = {check.id for check in checks if check.status.state == HealthState.DOWN}
    wanted = {check.id for check in checks} if len(checks) <= MOST_RADII else failing
    needers, rates = Needers(), traffic()
    radii = {key: radius_shown(needers.of_check(key), rates) for key in sorted(wanted)[:MOST_RADII]}
    return [
        {
            "id": check.id,
            "name": check.name,
            "service": check.service_id,
            "kind": check.kind,
            "state": check.status.state,
            "culprit": check.status.culprit.name if check.status.culprit else None,
            "culprit_id": check.status.culprit_id,
            "since": check.status.since,
            "critical": check.critical,
            "enabled": check.enabled,
            "blast_radius": radii.get(check.id),
        }
        for check in checks
    ]

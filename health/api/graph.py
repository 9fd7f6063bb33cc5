"""Edges of the dependency graph: drawn by people, or proposed from traces and decided by people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ninja import Query, Router, Status

from health.api.shown import edge_out, of_body, sent
from health.models import Dependency
from health.schemas import AcceptIn, DependencyIn, DependencyOut, EdgeQuery, RejectIn
from health.selectors.edges import edge_find, edge_page
from health.services.dependencies import (
    dependency_accept,
    dependency_declare,
    dependency_reject,
    dependency_remove,
)
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound

router = Router(tags=["health graph"])

_ONE = "/health/graph/dependencies/{uuid:dependency_id}"


@router.get("/health/graph/dependencies", auth=ApiAuth(Scope.READ), response=PageOut[DependencyOut])
def dependencies(request: ApiRequest, query: Query[EdgeQuery]) -> Page:
    """Edges as they were drawn or proposed, the newest first; declared and accepted ones count."""
    page = edge_page(
        status=query.status,
        q=query.q,
        check=query.check,
        cursor=query.cursor,
        limit=query.limit,
    )
    return Page([edge_out(edge) for edge in page.items], page.next_cursor)


@router.post(
    "/health/graph/dependencies", auth=ApiAuth(Scope.OPERATE), response={201: DependencyOut}
)
def declare(request: ApiRequest, body: DependencyIn) -> Status[dict[str, Any]]:
    """Say that `child` needs `parent`; an edge that would close a cycle is refused with the cycle
    in words."""
    sent(request, body)
    with of_body():
        edge = dependency_declare(
            child=body.child,
            parent=body.parent,
            hard=body.hard,
            reason=body.reason,
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return Status(201, edge_out(edge))


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=DependencyOut)
def one(request: ApiRequest, dependency_id: UUID) -> dict[str, Any]:
    """One edge."""
    edge = edge_find(dependency_id)
    if edge is None:
        raise NotFound("There is no such dependency.")
    return edge_out(edge)


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={204: None})
def remove(request: ApiRequest, dependency_id: UUID) -> Status[None]:
    """Delete an edge; traces may propose it anew, unless it is rejected instead."""
    dependency_remove(dependency_id=dependency_id, actor=request.auth, now=datetime.now(UTC))
    return Status(204, None)


@router.post(f"{_ONE}/accept", auth=ApiAuth(Scope.OPERATE), response=DependencyOut)
def accept(
    request: ApiRequest, dependency_id: UUID, body: AcceptIn | None = None
) -> dict[str, Any]:
    """Let a proposed edge count."""
    given = body or AcceptIn()
    with of_body():
        edge: Dependency = dependency_accept(
            dependency_id=dependency_id,
            hard=given.hard,
            reason=given.reason,
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return edge_out(edge)


@router.post(f"{_ONE}/reject", auth=ApiAuth(Scope.OPERATE), response=DependencyOut)
def reject(
    request: ApiRequest, dependency_id: UUID, body: RejectIn | None = None
) -> dict[str, Any]:
    """Let an edge not count, and never be proposed again."""
    given = body or RejectIn()
    with of_body():
        edge = dependency_reject(
            dependency_id=dependency_id,
            reason=given.reason,
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return edge_out(edge)

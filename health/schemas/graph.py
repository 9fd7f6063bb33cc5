"""Edges of the dependency graph, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema

from health.services.dependencies import MOST_REASON
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery

_Reason = Annotated[str, Field(max_length=MOST_REASON)]


class EdgeQuery(PageQuery):
    status: str = Field("", description="declared, accepted, proposed, rejected, or counting")
    q: str = Field("", max_length=200, description="Part of the name of one end")
    check: UUID | None = Field(None, description="A check at one end")


class DependencyIn(Body):
    """`child` needs `parent`: the name of a check, `check:NAME` or `service:NAME`."""

    child: Annotated[Any, Like(str, needed=True, min_length=1)] = None
    parent: Annotated[Any, Like(str, needed=True, min_length=1)] = None
    hard: Annotated[Any, Like(bool)] = True
    reason: Annotated[Any, Like(_Reason)] = ""


class AcceptIn(Body):
    """`hard` null leaves the edge as it was proposed."""

    hard: Annotated[Any, Like(bool | None)] = None
    reason: Annotated[Any, Like(_Reason)] = ""


class RejectIn(Body):
    reason: Annotated[Any, Like(_Reason)] = ""


class DependencyOut(Schema):
    """`calls` and `last_seen` are the evidence of a proposal."""

    id: UUID
    child: str
    parent: str
    hard: bool
    status: str
    calls: int
    last_seen: datetime | None
    created_at: datetime
    decided_at: datetime | None
    decided_by: str
    reason: str

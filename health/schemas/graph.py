"""Edges of the dependency graph, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from resilience_site.core.pagination import PageQuery


class EdgeQuery(PageQuery):
    status: str = Field("", description="declared, accepted, proposed, rejected, or counting")
    q: str = Field("", max_length=200, description="Part of the name of one end")
    check: UUID | None = Field(None, description="A check at one end")


class DependencyIn(Schema):
    """`child` needs `parent`: the name of a check, `check:NAME` or `service:NAME`."""

    child: Any = None
    parent: Any = None
    hard: Any = True
    reason: Any = ""


class AcceptIn(Schema):
    """`hard` null leaves the edge as it was proposed."""

    hard: Any = None
    reason: Any = ""


class RejectIn(Schema):
    reason: Any = ""


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

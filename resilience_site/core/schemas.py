"""What the kernel's part of the API takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Field, Schema

from resilience_site.core.choices import ActorKind, Scope
from resilience_site.core.pagination import PageQuery


class AuditQuery(PageQuery):
    """Filters of the audit trail; each narrows the list."""

    since: str | None = None
    until: str | None = None
    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None


class AuditOut(Schema):
    id: int
    at: datetime
    actor: str
    actor_kind: ActorKind
    action: str
    object_type: str
    object_id: str
    reason: str
    until: datetime | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    remote_address: str | None


class KeyIn(Schema):
    name: str = Field(min_length=1, max_length=100)
    scope: Scope
    expires_in: int | None = Field(
        None, ge=60, le=10 * 366 * 86400, description="Seconds until the key stops working"
    )


class KeyOut(Schema):
    id: int
    name: str
    prefix: str
    scope: Scope
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class KeyCreatedOut(KeyOut):
    token: str = Field(description="Shown in this answer only")


class KeyRevokeIn(Schema):
    reason: str = Field("", max_length=1000)

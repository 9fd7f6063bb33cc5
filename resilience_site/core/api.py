"""The kernel's part of the API: the audit trail and the keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ninja import Query, Router, Status

from resilience_site.core import keys, selectors
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.schemas import (
    AuditOut,
    AuditQuery,
    KeyCreatedOut,
    KeyIn,
    KeyOut,
    KeyRevokeIn,
)
from resilience_site.core.timerange import parse_range

AUDIT_DEFAULT = timedelta(days=30)

router = Router(tags=["kernel"])
routers = [("", router)]


@router.get("/audit", auth=ApiAuth(Scope.READ), response=PageOut[AuditOut])
def audit_list(request: ApiRequest, query: Query[AuditQuery]) -> Page:
    """Who did what, why, and until when; newest first, the last 30 days by default."""
    period = parse_range(query.since, query.until, now=datetime.now(UTC), default=AUDIT_DEFAULT)
    entries = selectors.audit_entries(
        period,
        actor=query.actor,
        action=query.action,
        object_type=query.object_type,
        object_id=query.object_id,
    )
    return keyset_page(
        entries, by=("-at", "-id"), types=(datetime, int), cursor=query.cursor, limit=query.limit
    )


@router.get("/keys", auth=ApiAuth(Scope.ADMIN), response=PageOut[KeyOut])
def key_list(request: ApiRequest, query: Query[PageQuery]) -> Page:
    """All API keys without their tokens, newest first."""
    return keyset_page(
        selectors.api_keys(), by=("-id",), types=(int,), cursor=query.cursor, limit=query.limit
    )


@router.post("/keys", auth=ApiAuth(Scope.ADMIN), response={201: KeyCreatedOut})
def key_create(request: ApiRequest, body: KeyIn) -> Status[dict[str, Any]]:
    """Make a key. Its token is in this answer and nowhere else."""
    expires_at = (
        None if body.expires_in is None else datetime.now(UTC) + timedelta(seconds=body.expires_in)
    )
    key, token = keys.key_create(
        name=body.name, scope=body.scope, actor=request.auth, expires_at=expires_at
    )
    return Status(201, {**KeyOut.from_orm(key).model_dump(), "token": token})


@router.post("/keys/{int:key_id}/revoke", auth=ApiAuth(Scope.ADMIN), response=KeyOut)
def key_revoke(request: ApiRequest, key_id: int, body: KeyRevokeIn | None = None) -> Any:
    """Revoke a key for good; it is refused everywhere within five seconds."""
    return keys.key_revoke(key_id=key_id, actor=request.auth, reason=body.reason if body else "")

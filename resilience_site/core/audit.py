"""The audit trail: who did what, why, and until when, written with the change itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from resilience_site.core.choices import ActorKind
from resilience_site.core.models import AuditEntry


class Actor(NamedTuple):
    """Who acts: a user's login, a key's name, or a part of the site; with the caller's address."""

    kind: ActorKind
    name: str
    address: str | None = None

    @classmethod
    def system(cls, name: str) -> Actor:
        return cls(ActorKind.SYSTEM, name)


def audit_record(
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: object,
    reason: str = "",
    until: datetime | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Record an action inside the caller's transaction, so that neither exists without the other.

    `action` is `object.verb` (`key.revoke`); `before` and `after` hold what changed, never a
    secret. Raises `TransactionManagementError` outside `transaction.atomic`.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "audit_record belongs inside the transaction of the action that it records."
        )
    return AuditEntry.objects.create(
        actor=actor.name,
        actor_kind=actor.kind,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        reason=reason,
        until=until,
        before=before,
        after=after,
        remote_address=actor.address,
    )

"""The audit trail: who did what, why, and until when, written with the change itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from resilience_site.core.choices import ActorKind
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Problem


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


_MOST_TEXT = 1_000


def audit_refused(
    *, actor: Actor, action: str, object_type: str, object_id: object, reason: str
) -> None:
    """Record that an action was refused, and why, in a transaction of its own."""
    with transaction.atomic():
        audit_record(
            actor=actor,
            action=f"{action}.refused",
            object_type=object_type,
            object_id=str(object_id)[:_MOST_TEXT],
            reason=reason[:_MOST_TEXT],
        )


@contextmanager
def refusals_audited(
    *, actor: Actor, action: str, object_type: str, object_id: object
) -> Iterator[None]:
    """Record any problem that the block ends in, once; it goes on to the caller.

    The block holds the whole transaction: what is recorded inside of it is lost with it.
    """
    try:
        yield
    except Problem as problem:
        if not problem.audited:
            audit_refused(
                actor=actor,
                action=action,
                object_type=object_type,
                object_id=object_id,
                reason=problem.detail,
            )
            problem.audited = True
        raise

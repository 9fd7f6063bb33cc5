"""Overrides: a state forced upon breakers, with a reason and an end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from breakers.choices import AUTO, Ending, OverrideScope, OverrideState
from breakers.domain.keys import breaker_key
from breakers.models import Override
from breakers.services.documents import Editing, editing
from breakers.services.requests import (
    choice_checked,
    expiry_checked,
    operator_needed,
    reason_checked,
)
from breakers.services.targets import (
    Target,
    override_shown,
    target_catch_up,
    target_check,
    target_places,
    target_services,
)
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role

_ALLOWED = [*OverrideState.values, AUTO]


def override_set(
    *,
    target: Target,
    state: Any,
    reason: Any,
    expires_in: Any,
    actor: Actor,
    role: Role | None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> None:
    """Force a state until it expires; one that is in force at the same place is replaced.

    The state `auto` takes back what is in force. Raises `Forbidden`, `NotFound`, `Invalid` and
    `Conflict`; each refusal is in the audit trail.
    """
    now = now or datetime.now(UTC)
    with refusals_audited(
        actor=actor,
        action=f"{target.object_type}.override",
        object_type=target.object_type,
        object_id=target.object_id,
    ):
        operator_needed(role)
        services = target_services(target)
        state = choice_checked(state, _ALLOWED, "state", "state of an override")
        if state == AUTO:
            _clear(target, services, actor, reason_checked(reason, needed=False), if_match, now)
            target_catch_up(target, services, now)
            return
        why = reason_checked(reason)
        until = expiry_checked(expires_in, role, now)
        proposed = {
            "state": state,
            "instance": target.instance,
            "reason": why,
            "expires_at": until,
        }
        with editing(services, now) as work:
            target_check(work, target, if_match, proposed)
            before = override_end(target, actor.name, Ending.REPLACED, now)
            Override.objects.create(
                **target._asdict(),
                state=state,
                reason=why,
                actor=actor.name,
                created_at=now,
                expires_at=until,
            )
            audit_record(
                actor=actor,
                action=f"{target.object_type}.override",
                object_type=target.object_type,
                object_id=target.object_id,
                reason=why,
                until=until,
                before=override_shown(before) if before else None,
                after={"state": state, "instance": target.instance or None},
            )
            work.tell(*_entries(target, "override.set", state, actor, why))
        target_catch_up(target, services, now)


def override_clear(
    *,
    target: Target,
    actor: Actor,
    role: Role | None = Role.OPERATOR,
    reason: str = "",
    if_match: int | None = None,
    now: datetime | None = None,
) -> None:
    """Take back what is in force at a place; where nothing is, nothing happens."""
    override_set(
        target=target,
        state=AUTO,
        reason=reason,
        expires_in=None,
        actor=actor,
        role=role,
        if_match=if_match,
        now=now,
    )


def _clear(
    target: Target,
    services: list[str],
    actor: Actor,
    reason: str,
    if_match: int | None,
    now: datetime,
) -> None:
    with editing(services, now) as work:
        target_check(work, target, if_match, {"state": AUTO})
        before = override_end(target, actor.name, Ending.REVERTED, now)
        if before is not None:
            _record_end(work, target, before, actor, reason)


def override_expire(*, override_id: int, now: datetime) -> bool:
    """End an override whose time is over; whether this call did it. Any number of callers may."""
    found = Override.objects.filter(pk=override_id).first()
    if found is None:
        return False
    target = override_target(found)
    services = target_services(target, check=False)
    with editing(services, now) as work:
        # Locked by itself, too: a domain that has lost its members holds no document.
        locked = Override.objects.select_for_update()
        due = locked.filter(pk=override_id, ended_at=None, expires_at__lte=now).first()
        if due is None:
            return False
        ended = override_end(target, "expiry", Ending.EXPIRED, now)
        assert ended is not None
        _record_end(work, target, ended, Actor.system("expiry"), "its time was over")
    target_catch_up(target, services, now)
    return True


def override_end(target: Target, by: str, ending: Ending, now: datetime) -> Override | None:
    """End what is in force at a place, inside the caller's transaction that holds its documents;
    what that was."""
    locked = Override.objects.select_for_update()
    found = locked.filter(**target._asdict(), ended_at=None).first()
    if found is not None:
        found.ended_at, found.ended_by, found.ending = now, by, ending
        found.save(update_fields=["ended_at", "ended_by", "ending"])
    return found


def _record_end(work: Editing, target: Target, ended: Override, actor: Actor, reason: str) -> None:
    audit_record(
        actor=actor,
        action=f"{target.object_type}.override.{ended.ending}",
        object_type=target.object_type,
        object_id=target.object_id,
        reason=reason,
        before=override_shown(ended),
        after={"state": AUTO},
    )
    work.tell(*_entries(target, f"override.{ended.ending}", AUTO, actor, reason))


def override_target(row: Override) -> Target:
    """What an override covers."""
    return Target(OverrideScope(row.scope), row.service, row.name, row.instance, row.domain)


def _entries(
    target: Target, kind: str, state: str, actor: Actor, reason: str
) -> list[journal.Entry]:
    payload = {"actor": actor.name, "reason": reason, "instance": target.instance}
    return [
        journal.Entry(
            "breakers", kind, breaker_key(service, name), state, service, {**payload, "name": name}
        )
        for service, name in target_places(target)
    ]

"""Overrides: a state forced upon breakers, with a reason and an end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from breakers.choices import AUTO, Ending, OverrideScope, OverrideState
from breakers.domain.keys import breaker_key
from breakers.models import DomainMember, Override
from breakers.selectors.names import breaker_check, domain_check
from breakers.services.documents import Editing, document_catch_up, editing
from breakers.services.requests import (
    choice_checked,
    expiry_checked,
    operator_needed,
    reason_checked,
)
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role
from resilience_site.core.problems import Invalid

_ALLOWED = [*OverrideState.values, AUTO]


class Target(NamedTuple):
    """What an override covers: a breaker (in one instance or in all), or a failure domain."""

    scope: OverrideScope
    service: str = ""
    name: str = ""
    instance: str = ""
    domain: str = ""

    @classmethod
    def of_breaker(cls, service: str, name: str, instance: str = "") -> Target:
        scope = OverrideScope.INSTANCE if instance else OverrideScope.SERVICE
        return cls(scope, service, name, instance)

    @classmethod
    def of_domain(cls, domain: str) -> Target:
        return cls(OverrideScope.DOMAIN, domain=domain)

    @property
    def object_type(self) -> str:
        return "domain" if self.scope == OverrideScope.DOMAIN else "breaker"

    @property
    def object_id(self) -> str:
        """How the audit trail names it."""
        return self.domain if self.scope == OverrideScope.DOMAIN else f"{self.service}/{self.name}"


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
        services = _services(target)
        state = choice_checked(state, _ALLOWED, "state", "state of an override")
        if state == AUTO:
            _clear(target, services, actor, reason_checked(reason, needed=False), if_match, now)
            _catch_up(target, services, now)
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
            _check(work, target, if_match, proposed)
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
                before=_shown(before) if before else None,
                after={"state": state, "instance": target.instance or None},
            )
            work.tell(*_entries(target, "override.set", state, actor, why))
        _catch_up(target, services, now)


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
        _check(work, target, if_match, {"state": AUTO})
        before = override_end(target, actor.name, Ending.REVERTED, now)
        if before is not None:
            _record_end(work, target, before, actor, reason)


def override_expire(*, override_id: int, now: datetime) -> bool:
    """End an override whose time is over; whether this call did it. Any number of callers may."""
    found = Override.objects.filter(pk=override_id).first()
    if found is None:
        return False
    target = _target(found)
    services = _services(target, check=False)
    with editing(services, now) as work:
        # Locked by itself, too: a domain that has lost its members holds no document.
        locked = Override.objects.select_for_update()
        due = locked.filter(pk=override_id, ended_at=None, expires_at__lte=now).first()
        if due is None:
            return False
        ended = override_end(target, "expiry", Ending.EXPIRED, now)
        assert ended is not None
        _record_end(work, target, ended, Actor.system("expiry"), "its time was over")
    _catch_up(target, services, now)
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
        before=_shown(ended),
        after={"state": AUTO},
    )
    work.tell(*_entries(target, f"override.{ended.ending}", AUTO, actor, reason))


def _services(target: Target, *, check: bool = True) -> list[str]:
    """The services whose documents a place concerns. Raises `NotFound` where there is no such."""
    if target.scope == OverrideScope.DOMAIN:
        if check:
            domain_check(target.domain)
        members = DomainMember.objects.filter(domain=target.domain)
        return sorted(set(members.values_list("service", flat=True)))
    if target.scope == OverrideScope.INSTANCE and not target.instance:
        raise Invalid.field("body.instance", "Name the instance.")
    if check:
        breaker_check(target.service, target.name, target.instance)
    return [target.service]


def _catch_up(target: Target, held: list[str], now: datetime) -> None:
    """What joined a failure domain meanwhile is covered as well."""
    if target.scope == OverrideScope.DOMAIN:
        document_catch_up(held=held, concerned=_services(target, check=False), now=now)


def _check(work: Editing, target: Target, if_match: int | None, proposed: dict[str, Any]) -> None:
    # What a page saw of a domain is no single version.
    if target.scope != OverrideScope.DOMAIN:
        work.check(target.service, if_match, proposed)


def _target(row: Override) -> Target:
    return Target(OverrideScope(row.scope), row.service, row.name, row.instance, row.domain)


def _shown(row: Override) -> dict[str, Any]:
    return {
        "state": row.state,
        "reason": row.reason,
        "actor": row.actor,
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "instance": row.instance or None,
    }


def _entries(
    target: Target, kind: str, state: str, actor: Actor, reason: str
) -> list[journal.Entry]:
    if target.scope == OverrideScope.DOMAIN:
        places = list(
            DomainMember.objects.filter(domain=target.domain).values_list("service", "name")
        )
    else:
        places = [(target.service, target.name)]
    payload = {"actor": actor.name, "reason": reason, "instance": target.instance}
    return [
        journal.Entry(
            "breakers", kind, breaker_key(service, name), state, service, {**payload, "name": name}
        )
        for service, name in places
    ]

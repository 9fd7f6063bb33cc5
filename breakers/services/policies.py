"""Tuning: settings that the site gives a breaker, each change numbered and reversible."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from breakers.domain.keys import breaker_key
from breakers.domain.policy import PolicyError, checked
from breakers.models import Breaker, PolicyChange
from breakers.selectors.names import breaker_check
from breakers.services.documents import editing
from breakers.services.requests import operator_needed, reason_checked
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role
from resilience_site.core.problems import Invalid, NotFound


def policy_set(
    *,
    service: str,
    name: str,
    policy: Any,
    reason: Any,
    actor: Actor,
    role: Role | None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> PolicyChange:
    """Give a breaker these settings, in place of all that the site gave before; {} gives none.

    Raises `Forbidden`, `NotFound`, `Invalid` and `Conflict`; refusals are in the audit trail.
    """
    now = now or datetime.now(UTC)
    with _audited(service, name, actor):
        operator_needed(role)
        breaker_check(service, name)
        why = reason_checked(reason)
        given = _checked(service, name, policy)
        return _change(service, name, given, why, actor, if_match, now)


def policy_roll_back(
    *,
    service: str,
    name: str,
    number: Any,
    reason: Any,
    actor: Actor,
    role: Role | None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> PolicyChange:
    """Give a breaker again what change `number` gave it; 0 means none of the site's settings.

    Raises as `policy_set` does.
    """
    now = now or datetime.now(UTC)
    with _audited(service, name, actor):
        operator_needed(role)
        breaker_check(service, name)
        why = reason_checked(reason)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**31:
            raise Invalid.field("body.number", "Give the number of the change to go back to, or 0.")
        rows = PolicyChange.objects.filter(service=service, name=name)
        before = rows.filter(number=number).first()
        if before is None and number != 0:
            numbers = ["0", *map(str, rows.order_by("number").values_list("number", flat=True))]
            raise NotFound(
                f"{name} has no policy {number}; there are {', '.join(numbers)}.", allowed=numbers
            )
        given = _checked(service, name, before.policy if before else {})
        return _change(service, name, given, why, actor, if_match, now, back_to=number)


def _change(
    service: str,
    name: str,
    given: dict[str, Any],
    reason: str,
    actor: Actor,
    if_match: int | None,
    now: datetime,
    back_to: int | None = None,
) -> PolicyChange:
    with editing([service], now) as work:
        work.check(service, if_match, {"policy": given})
        last = PolicyChange.objects.filter(service=service, name=name).order_by("-number").first()
        before = last.policy if last else {}
        change = PolicyChange.objects.create(
            service=service,
            name=name,
            number=last.number + 1 if last else 1,
            policy=given,
            before=before,
            reason=reason,
            actor=actor.name,
            created_at=now,
            rolled_back_to=back_to,
        )
        audit_record(
            actor=actor,
            action="breaker.policy" if back_to is None else "breaker.policy.rollback",
            object_type="breaker",
            object_id=f"{service}/{name}",
            reason=reason,
            before={"policy": before},
            after={"policy": given, "number": change.number},
        )
        work.tell(
            journal.Entry(
                "breakers",
                "policy.changed",
                breaker_key(service, name),
                service=service,
                payload={"name": name, "number": change.number, "actor": actor.name},
            )
        )
    return change


def _checked(service: str, name: str, policy: Any) -> dict[str, Any]:
    if not isinstance(policy, Mapping):
        raise Invalid.field("body.policy", "The policy must be an object of settings.")
    newest = Breaker.objects.filter(service=service, name=name).exclude(policy=None)
    reported = newest.order_by("-policy_at").values_list("policy", flat=True).first()
    try:
        return checked(policy, reported)
    except PolicyError as error:
        raise Invalid.field(f"body.policy.{error.field}", str(error)) from None


def _audited(service: str, name: str, actor: Actor) -> Any:
    return refusals_audited(
        actor=actor,
        action="breaker.policy",
        object_type="breaker",
        object_id=f"{service}/{name}",
    )

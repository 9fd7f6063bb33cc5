"""Tuning: settings that the site gives breakers and bulkheads, each change with a number and a
way back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from breakers.choices import PolicySubject
from breakers.domain.keys import breaker_key
from breakers.domain.policy import BREAKERS, BULKHEADS, PolicyError, checked
from breakers.models import Breaker, PolicyChange
from breakers.selectors.bulkhead_view import bulkhead_reported
from breakers.selectors.names import breaker_check, bulkhead_check
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
    subject: PolicySubject = PolicySubject.BREAKER,
    if_match: int | None = None,
    now: datetime | None = None,
) -> PolicyChange:
    """Give a breaker or bulkhead these settings, in place of all that the site gave before; {}
    gives none.

    Raises `Forbidden`, `NotFound`, `Invalid` and `Conflict`; refusals are in the audit trail.
    """
    now = now or datetime.now(UTC)
    of = _Of(subject, service, name)
    with of.audited(actor):
        operator_needed(role)
        of.check()
        why = reason_checked(reason)
        return _change(of, of.judged(policy), why, actor, if_match, now)


def policy_roll_back(
    *,
    service: str,
    name: str,
    number: Any,
    reason: Any,
    actor: Actor,
    role: Role | None,
    subject: PolicySubject = PolicySubject.BREAKER,
    if_match: int | None = None,
    now: datetime | None = None,
) -> PolicyChange:
    """Give it again what change `number` gave it; 0 means none of the site's settings.

    Raises as `policy_set` does.
    """
    now = now or datetime.now(UTC)
    of = _Of(subject, service, name)
    with of.audited(actor):
        operator_needed(role)
        of.check()
        why = reason_checked(reason)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**31:
            raise Invalid.field("body.number", "Give the number of the change to go back to, or 0.")
        rows = of.changes()
        before = rows.filter(number=number).first()
        if before is None and number != 0:
            numbers = ["0", *map(str, rows.order_by("number").values_list("number", flat=True))]
            raise NotFound(
                f"{name} has no policy {number}; there are {', '.join(numbers)}.", allowed=numbers
            )
        given = of.judged(before.policy if before else {})
        return _change(of, given, why, actor, if_match, now, back_to=number)


class _Of(NamedTuple):
    """What the settings are for."""

    subject: PolicySubject
    service: str
    name: str

    def check(self) -> None:
        """Raise `NotFound`, with what there is, where no such thing was ever told of."""
        known = breaker_check if self.subject == PolicySubject.BREAKER else bulkhead_check
        known(self.service, self.name)

    def changes(self) -> QuerySet[PolicyChange]:
        return PolicyChange.objects.filter(
            service=self.service, subject=self.subject, name=self.name
        )

    def judged(self, policy: Any) -> dict[str, Any]:
        """The settings, if they can work. Raises `Invalid`."""
        if not isinstance(policy, Mapping):
            raise Invalid.field("body.policy", "The policy must be an object of settings.")
        try:
            if self.subject == PolicySubject.BULKHEAD:
                reported = bulkhead_reported(self.service, self.name)
                return checked(policy, reported, BULKHEADS)
            return checked(policy, _breaker_reported(self.service, self.name), BREAKERS)
        except PolicyError as error:
            raise Invalid.field(f"body.policy.{error.field}", str(error)) from None

    def audited(self, actor: Actor) -> Any:
        return refusals_audited(
            actor=actor,
            action=f"{self.subject}.policy",
            object_type=self.subject,
            object_id=f"{self.service}/{self.name}",
        )

    def told(self, change: PolicyChange) -> journal.Entry:
        """For the journal: each topic has its own keys."""
        payload = {"name": self.name, "number": change.number, "actor": change.actor}
        topic, key = "bulkheads", self.service
        if self.subject == PolicySubject.BREAKER:
            topic, key = "breakers", breaker_key(self.service, self.name)
        return journal.Entry(topic, "policy.changed", key, service=self.service, payload=payload)


def _change(
    of: _Of,
    given: dict[str, Any],
    reason: str,
    actor: Actor,
    if_match: int | None,
    now: datetime,
    back_to: int | None = None,
) -> PolicyChange:
    with editing([of.service], now) as work:
        work.check(of.service, if_match, {"policy": given})
        last = of.changes().order_by("-number").first()
        before = last.policy if last else {}
        change = PolicyChange.objects.create(
            subject=of.subject,
            service=of.service,
            name=of.name,
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
            action=f"{of.subject}.policy" + ("" if back_to is None else ".rollback"),
            object_type=of.subject,
            object_id=f"{of.service}/{of.name}",
            reason=reason,
            before={"policy": before},
            after={"policy": given, "number": change.number},
        )
        work.tell(of.told(change))
    return change


def _breaker_reported(service: str, name: str) -> Any:
    """What a breaker works by, as an instance of it told last; None where none did."""
    newest = Breaker.objects.filter(service=service, name=name).exclude(policy=None)
    return newest.order_by("-policy_at").values_list("policy", flat=True).first()

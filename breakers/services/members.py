"""Which breakers belong to a failure domain, as people say; what services report is not theirs to
change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from breakers.choices import MemberSource
from breakers.domain.keys import breaker_key
from breakers.models import DomainMember
from breakers.models.telemetry import NAME
from breakers.selectors.names import breaker_check
from breakers.services.documents import document_refresh, editing
from breakers.services.requests import operator_needed, text_checked
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role
from resilience_site.core.problems import Invalid, NotFound


def domain_member_add(
    *,
    domain: Any,
    service: str,
    name: str,
    actor: Actor,
    role: Role | None,
    now: datetime | None = None,
) -> DomainMember:
    """Let a breaker belong to a failure domain: what is forced upon the domain holds for it too.

    Raises `Forbidden`, `NotFound` and `Invalid`; refusals are in the audit trail.
    """
    now = now or datetime.now(UTC)
    with refusals_audited(actor=actor, action="domain.add", object_type="domain", object_id=domain):
        operator_needed(role)
        domain = text_checked(domain, "domain", NAME)
        if not domain:
            raise Invalid.field("body.domain", "Name the failure domain.")
        breaker_check(service, name)
        with editing([service], now) as work:
            member, new = DomainMember.objects.get_or_create(
                domain=domain,
                service=service,
                name=name,
                defaults={"source": MemberSource.SET},
            )
            if not new:
                raise Invalid.field("body.name", f"{name} of {service} is in {domain} already.")
            _record(member, "domain.add", actor, {"member": f"{service}/{name}"})
            work.tell(_entry(member, "domain.joined"))
        # An override of the domain may have been written since this document was.
        document_refresh(services=[service], now=now)
    return member


def domain_member_remove(
    *, member_id: int, actor: Actor, role: Role | None, now: datetime | None = None
) -> None:
    """Take a breaker out of a failure domain that a person put it into.

    Raises as `domain_member_add` does; `Invalid` for one that its service reports, and would again.
    """
    now = now or datetime.now(UTC)
    member = DomainMember.objects.filter(pk=member_id).first()
    if member is None:
        raise NotFound("There is no such member of a failure domain.")
    with refusals_audited(
        actor=actor, action="domain.remove", object_type="domain", object_id=member.domain
    ):
        operator_needed(role)
        if member.source != MemberSource.SET:
            raise Invalid(
                f"{member.service} itself reports that {member.name} is in {member.domain}."
            )
        with editing([member.service], now) as work:
            DomainMember.objects.filter(pk=member_id).delete()
            before = {"member": f"{member.service}/{member.name}"}
            _record(member, "domain.remove", actor, None, before)
            work.tell(_entry(member, "domain.left"))


def _record(
    member: DomainMember,
    action: str,
    actor: Actor,
    after: dict[str, str] | None,
    before: dict[str, str] | None = None,
) -> None:
    audit_record(
        actor=actor,
        action=action,
        object_type="domain",
        object_id=member.domain,
        before=before,
        after=after,
    )


def _entry(member: DomainMember, kind: str) -> journal.Entry:
    payload = {"domain": member.domain, "name": member.name}
    key = breaker_key(member.service, member.name)
    return journal.Entry("breakers", kind, key, service=member.service, payload=payload)

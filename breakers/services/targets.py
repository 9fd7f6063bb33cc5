"""What a decision covers, and the documents that it concerns: a breaker or a failure domain."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from breakers.choices import OverrideScope
from breakers.models import DomainMember, Override
from breakers.selectors.domains import domain_version
from breakers.selectors.names import breaker_check, domain_check
from breakers.services.documents import Editing, document_catch_up
from resilience_site.core.problems import Conflict, Invalid


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


def target_services(target: Target, *, check: bool = True) -> list[str]:
    """The services whose documents a place concerns. Raises `NotFound` where there is no such."""
    if target.scope == OverrideScope.DOMAIN:
        if check:
            domain_check(target.domain)
        return sorted({service for service, _ in target_places(target)})
    if target.scope == OverrideScope.INSTANCE and not target.instance:
        raise Invalid.field("body.instance", "Name the instance.")
    if check:
        breaker_check(target.service, target.name, target.instance)
    return [target.service]


def target_places(target: Target) -> list[tuple[str, str]]:
    """The breakers that a place means, by service and name."""
    if target.scope != OverrideScope.DOMAIN:
        return [(target.service, target.name)]
    members = DomainMember.objects.filter(domain=target.domain)
    return list(members.order_by("service", "name").values_list("service", "name"))


def target_catch_up(target: Target, held: list[str], now: datetime) -> None:
    """What joined a failure domain meanwhile is covered as well."""
    if target.scope == OverrideScope.DOMAIN:
        document_catch_up(held=held, concerned=target_services(target, check=False), now=now)


def target_check(
    work: Editing, target: Target, if_match: int | None, proposed: dict[str, Any]
) -> None:
    """Raise `Conflict` where the caller saw another version than the present one: of the control
    document, or of all those that a failure domain concerns."""
    if target.scope != OverrideScope.DOMAIN:
        work.check(target.service, if_match, proposed)
        return
    if if_match is None:
        return
    version = domain_version(target.domain)
    if if_match != version:
        raise Conflict(
            f"The failure domain {target.domain} has changed since you saw it: its breakers, or "
            "what one of its services is told. Look at it again.",
            current={"version": version, **_standing(work, target)},
            proposed=proposed,
        )


def _standing(work: Editing, target: Target) -> dict[str, Any]:
    """What holds for a domain, and what its breakers are told."""
    override = Override.objects.filter(**target._asdict(), ended_at=None).first()
    services: dict[str, Any] = {}
    for service, name in target_places(target):
        held = work.held.get(service)
        if held is None:
            # It joined while the others were already held.
            continue
        side = services.setdefault(service, {"version": held.version, "breakers": {}})
        side["breakers"][name] = held.document.get("breakers", {}).get(name)
    shown = override_shown(override) if override else None
    return {"domain": target.domain, "override": shown, "services": services}


def override_shown(row: Override) -> dict[str, Any]:
    """An override as the audit trail and the side of a conflict tell it."""
    return {
        "state": row.state,
        "reason": row.reason,
        "actor": row.actor,
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "instance": row.instance or None,
    }

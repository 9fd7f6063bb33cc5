"""Reads of failure domains: which breakers fail, and are cut off, together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from breakers.domain.keys import domain_stamp
from breakers.models import ControlDocument, DomainMember
from breakers.selectors.breaker_view import BreakerView, OverrideView
from breakers.selectors.breakers import breaker_list
from breakers.selectors.overrides import overrides_in_force


@dataclass(frozen=True, slots=True)
class DomainView:
    """A failure domain: the breakers of it that were heard of within a day, and the override that
    holds for all of them. `version` is what a write may name (`domain_stamp`)."""

    name: str
    breakers: tuple[BreakerView, ...]
    override: OverrideView | None
    version: int

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it concerns."""
        return tuple(sorted({view.service for view in self.breakers}))

    @property
    def calls(self) -> int:
        """Calls of the last window through all of its breakers, rejected ones too."""
        return sum(view.calls + view.rejected for view in self.breakers)

    @property
    def applied(self) -> tuple[int, int]:
        """How many live instances work by the present document of their service, of how many."""
        known = {
            (view.service, each.instance): view.has_applied(each)
            for view in self.breakers
            for each in view.live
        }
        return sum(known.values()), len(known)


def domain_names() -> list[str]:
    """All failure domains."""
    names = DomainMember.objects.order_by("domain").values_list("domain", flat=True)
    return list(names.distinct())


def domains_of(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """The failure domains of breakers by service and name; those in none are left out."""
    wanted = set(places)
    members = DomainMember.objects.filter(
        service__in={service for service, _ in wanted}, name__in={name for _, name in wanted}
    )
    found: dict[tuple[str, str], list[str]] = {}
    for domain, service, name in members.values_list("domain", "service", "name"):
        if (service, name) in wanted:
            found.setdefault((service, name), []).append(domain)
    return found


def domain_list(now: datetime) -> list[DomainView]:
    """All failure domains with their breakers, by name."""
    names = domain_names()
    return _domains(names, now) if names else []


def domain_get(name: str, now: datetime) -> DomainView:
    """One failure domain. Raises `DomainMember.DoesNotExist`."""
    if not DomainMember.objects.filter(domain=name).exists():
        raise DomainMember.DoesNotExist(f"there is no failure domain {name!r}")
    return _domains([name], now, only=name)[0]


def domain_versions(names: Collection[str]) -> dict[str, int]:
    """The versions of failure domains, as writes may name them."""
    documents = ControlDocument.objects.filter(service=OuterRef("service"))
    members = DomainMember.objects.filter(domain__in=names).annotate(
        version=Subquery(documents.values("version")[:1])
    )
    found: dict[str, list[tuple[str, str, int]]] = {name: [] for name in names}
    for domain, service, name, version in members.values_list(
        "domain", "service", "name", "version"
    ):
        # Whoever writes makes the document of a service that has none.
        found[domain].append((service, name, version or 0))
    return {name: domain_stamp(of) for name, of in found.items()}


def domain_version(name: str) -> int:
    """The version of one failure domain."""
    return domain_versions([name])[name]


def _domains(names: Sequence[str], now: datetime, only: str = "") -> list[DomainView]:
    # First, so that no page names a version that is newer than what it shows.
    versions = domain_versions(names)
    views = breaker_list(now, domain=only)
    held = {each.domain: each for each in overrides_in_force(now) if each.domain}
    return [
        DomainView(
            name,
            tuple(view for view in views if name in view.domains),
            held.get(name),
            versions[name],
        )
        for name in names
    ]

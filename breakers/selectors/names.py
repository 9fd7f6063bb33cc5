"""Whether what somebody names is there, and what there is in its place."""

from __future__ import annotations

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat

from breakers.models import Breaker, ControlDocument, DomainMember
from health.models import Service
from resilience_site.core.problems import NotFound

_MOST_NAMED = 50


def breaker_check(service: str, name: str, instance: str = "") -> None:
    """Raise `NotFound`, with what there is, for an unknown service, breaker or instance."""
    rows = Breaker.objects.filter(service=_text(service))
    if not rows.exists():
        services = _first(Breaker.objects.all(), "service")
        raise NotFound(
            f"No service {service!r} has breakers; known: {_named(services)}.", allowed=services
        )
    rows = rows.filter(name=_text(name))
    if not rows.exists():
        names = _first(Breaker.objects.filter(service=service), "name")
        raise NotFound(
            f"The service {service} has no breaker {name!r}; known: {_named(names)}.", allowed=names
        )
    if instance and not rows.filter(instance=_text(instance)).exists():
        instances = _first(rows, "instance")
        raise NotFound(
            f"No instance {instance!r} has this breaker; known: {_named(instances)}.",
            allowed=instances,
        )


def breaker_locate(joined: str) -> tuple[str, str]:
    """Service and name of the breaker whose `service/name` this is; either may hold slashes.

    Without any such breaker, the text is split at its last slash.
    """
    rows = Breaker.objects.annotate(joined=Concat(F("service"), Value("/"), F("name")))
    found = rows.filter(joined=joined).values_list("service", "name").first()
    service, _, name = joined.rpartition("/")
    return found or (service, name)


def domain_check(domain: str) -> None:
    """Raise `NotFound`, with what there is, for an unknown failure domain."""
    if not DomainMember.objects.filter(domain=_text(domain)).exists():
        domains = _first(DomainMember.objects.all(), "domain")
        raise NotFound(
            f"There is no failure domain {domain!r}; known: {_named(domains)}.", allowed=domains
        )


def service_check(service: str) -> None:
    """Raise `NotFound`, with what there is, for a service that is neither in the catalogue nor has
    asked for its control document."""
    name = _text(service)
    catalogue, documents = Service.objects.all(), ControlDocument.objects.all()
    if catalogue.filter(name=name).exists() or documents.filter(service=name).exists():
        return
    known = sorted({*_first(catalogue, "name"), *_first(documents, "service")})[:_MOST_NAMED]
    raise NotFound(f"There is no service {service!r}; known: {_named(known)}.", allowed=known)


def _text(named: str) -> str:
    """A name to look for: PostgreSQL takes no NUL, so nothing is called by one."""
    return named.replace("\0", "\ufffd")


def _first(rows: QuerySet, field: str) -> list[str]:
    return list(rows.order_by(field).values_list(field, flat=True).distinct()[:_MOST_NAMED])


def _named(names: list[str]) -> str:
    return ", ".join(names) or "none yet"

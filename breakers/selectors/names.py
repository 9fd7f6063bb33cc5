"""Whether what somebody names is there, and what there is in its place."""

from __future__ import annotations

import functools
import operator

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat

from breakers.models import Breaker, Bulkhead, ControlDocument, DomainMember
from health.models import Service
from resilience_site.core.problems import NotFound

_MOST_NAMED = 50
_MOST_SPLITS = 50


def breaker_check(service: str, name: str, instance: str = "") -> None:
    """Raise `NotFound`, with what there is, for an unknown service, breaker or instance."""
    rows = _found(Breaker.objects.all(), "breaker", service, name)
    if instance and not rows.filter(instance=_text(instance)).exists():
        instances = _first(rows, "instance")
        raise NotFound(
            f"No instance {instance!r} has this breaker; known: {_named(instances)}.",
            allowed=instances,
        )


def bulkhead_check(service: str, name: str) -> None:
    """Raise `NotFound`, with what there is, for an unknown service or bulkhead."""
    _found(Bulkhead.objects.all(), "bulkhead", service, name)


def _found(every: QuerySet, what: str, service: str, name: str) -> QuerySet:
    rows = every.filter(service=_text(service))
    if not rows.exists():
        services = _first(every, "service")
        raise NotFound(
            f"No service {service!r} has {what}s; known: {_named(services)}.", allowed=services
        )
    named = rows.filter(name=_text(name))
    if not named.exists():
        names = _first(rows, "name")
        raise NotFound(
            f"The service {service} has no {what} {name!r}; known: {_named(names)}.", allowed=names
        )
    return named


def breaker_locate(joined: str) -> tuple[str, str]:
    """Service and name of the breaker whose `service/name` this is; either may hold slashes.

    Without any such breaker, the text is split at its last slash.
    """
    rows = Breaker.objects.annotate(joined=Concat(F("service"), Value("/"), F("name")))
    found = rows.filter(joined=joined).values_list("service", "name").first()
    service, _, name = joined.rpartition("/")
    return found or (service, name)


def bulkhead_locate(joined: str) -> tuple[str, str]:
    """The same of a bulkhead. Raises `NotFound`, with what it may mean, where it means two."""
    slashes = [at for at, letter in enumerate(joined) if letter == "/"][:_MOST_SPLITS]
    places = [Q(service=_text(joined[:at]), name=_text(joined[at + 1 :])) for at in slashes]
    if places:
        rows = Bulkhead.objects.filter(functools.reduce(operator.or_, places))
        found = list(rows.order_by("service", "name").values_list("service", "name").distinct()[:2])
        if len(found) > 1:
            meant = [f"{name!r} of the service {service!r}" for service, name in found]
            raise NotFound(
                f"{joined} may be the bulkhead {' or '.join(meant)}; neither has an address of its "
                "own until a service calls one of them something else.",
                allowed=meant,
            )
        if found:
            return found[0]
    service, _, name = joined.rpartition("/")
    return service, name


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

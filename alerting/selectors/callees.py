"""Which calls services make, and which services of the catalogue the names of these stand for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from django.db.models import Func, Value
from django.db.models.functions import Lower

from breakers.models import Breaker
from health.models import Service

_SEPARATORS: Final = r"[\W_]+"


def calls_of(services: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Of each of the services the names of its breakers, as far as its processes reported any."""
    found: dict[str, set[str]] = defaultdict(set)
    if services:
        rows = Breaker.objects.filter(service__in=services).order_by()
        for service, name in rows.values_list("service", "name").distinct():
            found[service].add(name)
    return {service: frozenset(names) for service, names in found.items()}


def services_called(names: Iterable[str]) -> Mapping[str, str]:
    """Name → service, of those names that are a service's but for case and separators: a caller's
    breaker `microsoft_graph` is there for `microsoft-graph`."""
    wanted = {name: _plain(name) for name in names}
    plain = {each for each in wanted.values() if each}
    if not plain:
        return {}
    spelt = Func(
        Lower("name"), Value(_SEPARATORS), Value(""), Value("g"), function="regexp_replace"
    )
    rows = Service.objects.annotate(plain=spelt).filter(plain__in=sorted(plain)).order_by("-name")
    found = dict(rows.values_list("plain", "name"))
    return {name: found[spelling] for name, spelling in wanted.items() if spelling in found}


def _plain(name: str) -> str:
    return re.sub(_SEPARATORS, "", name.lower())

"""Which services of the catalogue the names of breakers and dependencies stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from django.db.models import Func, Value
from django.db.models.functions import Lower

from health.models import Service

_SEPARATORS: Final = r"[\W_]+"


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

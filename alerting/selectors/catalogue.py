"""Services that alerts of other systems name, and that this site knows nothing of."""

from __future__ import annotations

from collections.abc import Iterable

from health.models import Service


def strangers(names: Iterable[str]) -> list[str]:
    """Those that are not in the catalogue, and so have no page; at most one query."""
    named = list(dict.fromkeys(filter(None, names)))
    if not named:
        return []
    known = set(Service.objects.filter(name__in=named).values_list("name", flat=True))
    return [each for each in named if each not in known]

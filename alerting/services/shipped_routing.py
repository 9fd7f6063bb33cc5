"""The routes and inhibitions that this site comes with (`alerting/routing.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from django.db import transaction

from alerting.choices import Origin
from alerting.domain.matchers import matchers_json, matchers_read
from alerting.models import Inhibition, Route

SHIPPED: Final = Path(__file__).resolve().parent.parent / "routing.yaml"
# Of the route that takes what is left: it stays the last one, and cannot be deleted.
DEFAULT_ROUTE: Final = "default"


@transaction.atomic
def routing_ship() -> list[str]:
    """Make or renew what is shipped; what a person changed stays. Says what it changed."""
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    return [
        change for name, fields in shipped["routes"].items() for change in _route_ship(name, fields)
    ] + [
        change
        for name, fields in shipped["inhibitions"].items()
        for change in _inhibition_ship(name, fields)
    ]


def _route_ship(name: str, fields: Mapping[str, Any]) -> list[str]:
    given = {**fields, "matchers": matchers_json(matchers_read(fields["matchers"]))}
    route, made = Route.objects.get_or_create(
        name=name, defaults={**given, "origin": Origin.SHIPPED}
    )
    if made:
        return [f"made the route {name}"]
    # The first version is the shipped one: each change by a person makes another.
    if route.origin != Origin.SHIPPED or route.version > 1:
        return []
    return _renewed(route, given, f"renewed the route {name}")


def _inhibition_ship(name: str, fields: Mapping[str, Any]) -> list[str]:
    given = {
        **fields,
        "source": matchers_json(matchers_read(fields["source"])),
        "target": matchers_json(matchers_read(fields["target"])),
    }
    inhibition, made = Inhibition.objects.get_or_create(
        name=name, defaults={**given, "origin": Origin.SHIPPED}
    )
    if made:
        return [f"made the inhibition {name}"]
    if inhibition.origin != Origin.SHIPPED or inhibition.version > 1:
        return []
    return _renewed(inhibition, given, f"renewed the inhibition {name}")


def _renewed(row: Route | Inhibition, given: Mapping[str, Any], change: str) -> list[str]:
    differing = {name: value for name, value in given.items() if getattr(row, name) != value}
    if not differing:
        return []
    for name, value in differing.items():
        setattr(row, name, value)
    row.save(update_fields=list(differing))
    return [change]

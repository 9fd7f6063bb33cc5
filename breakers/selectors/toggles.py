"""Toggles: what is switched, for whom, until when, and who works by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from breakers.models import Toggle
from breakers.selectors.applied import Applied, applied_by_service
from resilience_site.core.models import AuditEntry

OBJECT_TYPE = "toggle"


@dataclass(frozen=True)
class ToggleView:
    """A toggle, and for each service that it concerns who works by it.

    `state` is on, off, value (neither true nor false), or unset: as if it had never been set.
    """

    toggle: Toggle
    state: str
    applied: tuple[Applied, ...]

    @property
    def live(self) -> int:
        """Instances that are heard of, in all services that it concerns."""
        return sum(each.live for each in self.applied)

    @property
    def current(self) -> int:
        """Those of them that work by their service's present document."""
        return sum(each.current for each in self.applied)

    @property
    def silent(self) -> int:
        return sum(each.silent for each in self.applied)


def toggle_list(*, q: str = "", state: str = "") -> QuerySet[Toggle]:
    """Toggles by key; `q` is looked for in key, owner and description, `state` is set or unset."""
    rows = Toggle.objects.order_by("key")
    if q:
        rows = rows.filter(
            Q(key__icontains=q) | Q(owner__icontains=q) | Q(description__icontains=q)
        )
    if state in ("set", "unset"):
        rows = rows.filter(is_set=state == "set")
    return rows


def toggle_find(key: str) -> Toggle | None:
    """One toggle, set or not."""
    return Toggle.objects.filter(key=key).first()


def toggle_views(toggles: list[Toggle], *, now: datetime) -> list[ToggleView]:
    """The toggles with what became of each."""
    by_service = applied_by_service(now=now) if toggles else {}
    return [
        ToggleView(toggle, toggle_state(toggle, now), _concerned(toggle, by_service))
        for toggle in toggles
    ]


def toggle_state(toggle: Toggle, now: datetime) -> str:
    """One word for what those who ask are told."""
    if not toggle.is_set or (toggle.expires_at is not None and toggle.expires_at <= now):
        return "unset"
    # In Python 1 equals True.
    if not isinstance(toggle.value, bool):
        return "value"
    return "on" if toggle.value else "off"


def toggle_history(key: str) -> QuerySet[AuditEntry]:
    """What was done and refused about a toggle, newest first."""
    return AuditEntry.objects.filter(object_type=OBJECT_TYPE, object_id=key)


def _concerned(toggle: Toggle, by_service: Mapping[str, Applied]) -> tuple[Applied, ...]:
    """The services that are told of it, without instances that it does not name."""
    found = []
    for service, applied in by_service.items():
        if toggle.services and service not in toggle.services:
            continue
        if not toggle.instances:
            found.append(applied)
            continue
        kept = tuple(each for each in applied.instances if each.instance in toggle.instances)
        if kept:
            found.append(Applied(service, applied.version, applied.changed_at, kept))
    return tuple(found)

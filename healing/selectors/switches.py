"""Reads of the kill switch and of quarantined targets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from healing.domain.judging import Stop
from healing.models import HealingSwitch, HealingTarget, Quarantine

ALL = ""


def switch_list() -> list[HealingSwitch]:
    """Every switch that was ever thrown, the one for all healing first."""
    return list(HealingSwitch.objects.order_by("group"))


def stopped_at(switch: HealingSwitch, now: datetime) -> bool:
    """Whether it holds healing back: one with an expiry does until then."""
    return switch.stopped and (switch.expires_at is None or switch.expires_at > now)


def released_at(switch: HealingSwitch, now: datetime) -> bool:
    """Whether a person said that automation goes on, however many services fail meanwhile."""
    return not switch.stopped and switch.expires_at is not None and switch.expires_at > now


def group_of(service: str) -> str:
    """The group whose share limits the healing of a service; empty: all services with checks."""
    found = HealingTarget.objects.filter(service=service).values_list("group", flat=True)
    return found.first() or ALL


def group_names() -> list[str]:
    """The groups that there are, without the one of all services."""
    named = HealingTarget.objects.exclude(group=ALL).values_list("group", flat=True)
    return sorted(set(named))


def stop_among(switches: Iterable[HealingSwitch], group: str, now: datetime) -> Stop | None:
    """The stop that holds for a group: one for all before its own, a person's before the site's."""
    holding = [each for each in switches if each.group in (ALL, group) and stopped_at(each, now)]
    found = min(holding, key=lambda each: (each.stopped_by_site, each.group), default=None)
    if found is None:
        return None
    return Stop(found.group, found.reason, found.actor, found.stopped_by_site)


def stop_of(service: str, now: datetime, *, by_person: bool = False) -> Stop | None:
    """What holds back healing of a service at `now`; two queries. Where the site stopped
    automation, whoever acts for a person (`by_person`) goes on."""
    found = stop_among(HealingSwitch.objects.filter(stopped=True), group_of(service), now)
    return None if found is not None and found.by_site and by_person else found


def quarantine_list(*, ended: bool | None = False) -> QuerySet[Quarantine]:
    """Targets in quarantine, the last one first; `ended`: those that are out of it, None: all."""
    rows = Quarantine.objects.order_by("-since", "-id")
    return rows if ended is None else rows.filter(ended_at__isnull=not ended)


def quarantine_find(quarantine_id: UUID) -> Quarantine | None:
    return Quarantine.objects.filter(id=quarantine_id).first()


def quarantine_of(kind: str, target: str) -> Quarantine | None:
    """The quarantine that a target is in."""
    return quarantine_list().filter(target_kind=kind, target=target).first()

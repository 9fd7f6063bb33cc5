"""Incidents of the public status page, as those who write them see them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet

from health.models import PublicIncident, PublicIncidentUpdate, Service

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT: Final = timedelta(microseconds=1)


def incident_version(incident: PublicIncident) -> int:
    """The version of an incident: its last change in microseconds since 1970."""
    return (incident.changed_at - _EPOCH) // _UNIT


def incident_list(state: str = "") -> QuerySet[PublicIncident]:
    """Incidents with their updates (the newest first) and services, the newest first; `state` is
    `open`, `resolved` or empty for all."""
    found = PublicIncident.objects.order_by("-started_at", "-id").prefetch_related(
        Prefetch("updates", PublicIncidentUpdate.objects.order_by("-at", "-id")),
        Prefetch("services", Service.objects.order_by("public_name", "name")),
    )
    if state:
        found = found.filter(resolved_at__isnull=state == "open")
    return found


def incident_find(incident_id: UUID) -> PublicIncident | None:
    """The incident with its updates and services, if it is there."""
    return incident_list().filter(id=incident_id).first()


def incident_update_find(update_id: UUID) -> PublicIncidentUpdate | None:
    """The update with its incident, if it is there."""
    return PublicIncidentUpdate.objects.select_related("incident").filter(id=update_id).first()


def services_to_name(chosen: Collection[str] = ()) -> QuerySet[Service]:
    """The services that a form offers: those with a public name, and those `chosen` already."""
    wanted = ~Q(public_name="") | Q(name__in=chosen)
    return Service.objects.filter(wanted).order_by("public_name", "name")

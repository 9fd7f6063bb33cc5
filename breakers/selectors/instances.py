"""Reads of the instances of services: who is there, who fell silent, who applied what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from breakers.models import Instance

# Services report at least every five seconds.
SILENT: Final = timedelta(seconds=45)
# A silent instance stays beside the others this long; then it counts as taken away.
GONE: Final = timedelta(hours=1)


def is_silent(last_seen: datetime, now: datetime) -> bool:
    """Whether nothing has been heard of an instance for too long."""
    return now - last_seen > SILENT


def instance_list(service: str = "") -> QuerySet[Instance]:
    """All instances of a service, or of all services."""
    rows = Instance.objects.order_by("service", "instance")
    return rows.filter(service=service) if service else rows


def live_instances(now: datetime, service: str = "") -> QuerySet[Instance]:
    """Those that have been heard of lately."""
    return instance_list(service).filter(last_seen__gte=now - SILENT)

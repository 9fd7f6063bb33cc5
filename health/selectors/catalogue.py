"""Reads of the service catalogue."""

from __future__ import annotations

from django.db.models import QuerySet

from health.models import Service


def service_list() -> QuerySet[Service]:
    """All known services by name."""
    return Service.objects.order_by("name")


def service_get(name: str) -> Service:
    """One service; raises `Service.DoesNotExist`."""
    return Service.objects.get(name=name)

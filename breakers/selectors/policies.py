"""Reads of the settings that the site gives breakers."""

from __future__ import annotations

from datetime import datetime

from breakers.models import PolicyChange
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page


def policy_list(
    *, service: str, name: str, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page:
    """Changes of the settings of a breaker, newest first. Raises `Malformed`."""
    return keyset_page(
        PolicyChange.objects.filter(service=service, name=name),
        by=("-created_at", "-id"),
        types=(datetime, int),
        cursor=cursor,
        limit=limit,
    )


def policy_latest(service: str, name: str) -> PolicyChange | None:
    """The change that is in force, None where the site never gave any settings."""
    return PolicyChange.objects.filter(service=service, name=name).order_by("-number").first()


def policy_get(service: str, name: str, number: int) -> PolicyChange:
    """One change by its number. Raises `PolicyChange.DoesNotExist`."""
    return PolicyChange.objects.get(service=service, name=name, number=number)

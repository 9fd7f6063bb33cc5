"""Reads of the settings that the site gives breakers and bulkheads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from breakers.choices import PolicySubject
from breakers.models import PolicyChange
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page


def policy_list(
    *,
    service: str,
    name: str,
    subject: PolicySubject = PolicySubject.BREAKER,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Changes of the settings of a breaker or bulkhead, newest first. Raises `Malformed`."""
    return keyset_page(
        PolicyChange.objects.filter(service=service, subject=subject, name=name),
        by=("-created_at", "-id"),
        types=(datetime, int),
        cursor=cursor,
        limit=limit,
    )


def policy_latest(
    service: str, name: str, subject: PolicySubject = PolicySubject.BREAKER
) -> PolicyChange | None:
    """The change that is in force, None where the site never gave any settings."""
    rows = PolicyChange.objects.filter(service=service, subject=subject, name=name)
    return rows.order_by("-number").first()


def policy_get(
    service: str, name: str, number: int, subject: PolicySubject = PolicySubject.BREAKER
) -> PolicyChange:
    """One change by its number. Raises `PolicyChange.DoesNotExist`."""
    return PolicyChange.objects.get(service=service, subject=subject, name=name, number=number)


def policies_in_force(
    subject: PolicySubject, service: str = ""
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What the site gives now, by service and name; those that it gives nothing are left out."""
    rows = PolicyChange.objects.filter(subject=subject)
    if service:
        rows = rows.filter(service=service)
    newest = rows.order_by("service", "name", "-number").distinct("service", "name")
    return {(each.service, each.name): each.policy for each in newest if each.policy}

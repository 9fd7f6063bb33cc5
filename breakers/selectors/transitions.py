"""Reads of the transitions of breakers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from breakers.models import BreakerTransition
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page
from resilience_site.core.timerange import TimeRange


def transition_list(
    *,
    service: str = "",
    name: str = "",
    instance: str = "",
    to_state: str = "",
    within: TimeRange | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Transitions, newest first. Raises `Malformed` for a foreign cursor."""
    exact = {"service": service, "name": name, "instance": instance, "to_state": to_state}
    rows = BreakerTransition.objects.filter(
        **{field: value.replace("\0", "") for field, value in exact.items() if value}
    )
    if within is not None:
        rows = rows.filter(at__gte=within.since, at__lt=within.until)
    return keyset_page(rows, by=("-at", "-id"), types=(datetime, UUID), cursor=cursor, limit=limit)


def transition_latest(service: str, name: str, to_state: str = "") -> BreakerTransition | None:
    """The newest transition of a breaker, or the newest into a state."""
    rows = BreakerTransition.objects.filter(service=service, name=name)
    if to_state:
        rows = rows.filter(to_state=to_state)
    return rows.order_by("-at", "-id").first()

"""Reads of overrides: those in force, and those that were."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from breakers.choices import OverrideScope, OverrideState
from breakers.models import Override
from breakers.selectors.breaker_view import OverrideView
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page

# What covers all instances stands first.
_SCOPES: Final = (OverrideScope.SERVICE, OverrideScope.DOMAIN, OverrideScope.INSTANCE)


def overrides_in_force(now: datetime, domain: str = "") -> Iterator[OverrideView]:
    """All overrides that hold, or those of one failure domain."""
    rows = Override.objects.filter(ended_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=now))
    if domain:
        rows = rows.filter(scope=OverrideScope.DOMAIN, domain=domain)
    return map(override_view, rows)


def overrides_of(
    overrides: Iterable[OverrideView], place: tuple[str, str], domains: Collection[str]
) -> tuple[OverrideView, ...]:
    """Those that cover a breaker, in the order in which they are to be named.

    A domain that is forced open goes before other domains, then the newest.
    """
    found = [
        each
        for each in overrides
        if (each.domain in domains if each.domain else (each.service, each.name) == place)
    ]
    return tuple(
        sorted(
            found,
            key=lambda each: (
                _SCOPES.index(OverrideScope(each.scope)),
                each.domain != "" and each.state != OverrideState.FORCED_OPEN,
                -each.created_at.timestamp(),
            ),
        )
    )


def override_view(row: Override) -> OverrideView:
    """The fields of an override that are shown."""
    return OverrideView(
        id=row.pk,
        scope=row.scope,
        state=row.state,
        reason=row.reason,
        actor=row.actor,
        created_at=row.created_at,
        expires_at=row.expires_at,
        service=row.service,
        name=row.name,
        instance=row.instance,
        domain=row.domain,
    )


def override_list(
    *,
    service: str = "",
    name: str = "",
    domains: Sequence[str] = (),
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Overrides of a breaker and of its failure domains, ended ones too, newest first.

    Raises `Malformed` for a foreign cursor.
    """
    wanted: dict[str, Any] = {"service": service, "name": name}
    covers = Q(**{field: value for field, value in wanted.items() if value})
    if domains:
        covers |= Q(scope=OverrideScope.DOMAIN, domain__in=domains)
    return keyset_page(
        Override.objects.filter(covers),
        by=("-created_at", "-id"),
        types=(datetime, int),
        cursor=cursor,
        limit=limit,
    )

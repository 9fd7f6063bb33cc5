"""Reads of the patterns that errors form, each with what was put into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce

from analytics.models import ErrorPattern
from analytics.selectors.pattern_families import as_whole, families, with_members
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange

MAX_WORDS: Final = 12
# What lists may be ordered by: the field that tells it, and its type.
ORDERS: Final[dict[str, tuple[str, type]]] = {
    "last_seen": ("whole_last_seen", datetime),
    "first_seen": ("whole_first_seen", datetime),
    "count": ("whole_count", int),
    "type": ("type", str),
    "service": ("service", str),
}
NEWEST_FIRST: Final = "-last_seen"


@dataclass(frozen=True)
class PatternFilter:
    """Which patterns to list; empty fields do not narrow. A range asks for those seen in it."""

    service: str = ""
    type: str = ""
    state: str = ""
    q: str = ""
    within: TimeRange | None = None


def pattern_list(
    *,
    wanted: PatternFilter,
    sort: str = NEWEST_FIRST,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Patterns in an order, by default last seen first; members stand with the one they are part of.

    Raises `Invalid` for another order and `Malformed` for a foreign cursor.
    """
    known = ORDERS.get(sort.removeprefix("-"))
    if known is None:
        raise Invalid.field("query.sort", f"Patterns are sorted by {', '.join(ORDERS)}.")
    field, kind = known
    sign = "-" if sort.startswith("-") else ""
    page = keyset_page(
        _narrowed(wanted), by=(f"{sign}{field}", f"{sign}id"), types=(kind, UUID),
        cursor=cursor, limit=limit,
    )  # fmt: skip
    return Page(as_whole(page.items), page.next_cursor)


def state_counts(wanted: PatternFilter) -> dict[str, int]:
    """How many patterns of each state fit the other filters."""
    rows = _narrowed(replace(wanted, state="")).order_by().values_list("state")
    return dict(rows.annotate(number=Count("id")))


def _narrowed(wanted: PatternFilter) -> QuerySet[Any]:
    rows = families().filter(whole_count__gt=0)
    exact = {"service": wanted.service, "type": wanted.type, "state": wanted.state}
    rows = rows.filter(**{field: value for field, value in exact.items() if value})
    if wanted.within is not None:
        rows = rows.filter(
            whole_last_seen__gte=wanted.within.since, whole_first_seen__lt=wanted.within.until
        )
    for word in wanted.q.split()[:MAX_WORDS]:
        rows = rows.filter(Q(type__icontains=word) | Q(template__icontains=word))
    return rows


def pattern_get(pattern_id: UUID) -> ErrorPattern:
    """One pattern with its members' figures; raises `ErrorPattern.DoesNotExist`."""
    return as_whole([with_members(ErrorPattern.objects.all()).get(id=pattern_id)])[0]


def patterns_get(ids: Sequence[UUID]) -> dict[UUID, ErrorPattern]:
    """Several patterns by id, each as it is by itself."""
    return ErrorPattern.objects.in_bulk(list(ids)) if ids else {}


def pattern_shown(pattern_id: UUID) -> ErrorPattern | None:
    """The pattern that errors of this one are shown with, itself or what it was put into."""
    shown = ErrorPattern.objects.filter(id=pattern_id).values(shown=Coalesce("merged_into", "id"))
    found = with_members(ErrorPattern.objects.filter(id__in=shown))
    return next(iter(as_whole(found)), None)

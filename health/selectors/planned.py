"""Maintenance windows as they are listed: how each stands and when it comes next."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Literal
from uuid import UUID

from django.db.models import Q, QuerySet

from health.domain.windows import Rule, Span, occurrences
from health.models import Check, Maintenance
from health.selectors.maintenance import maintenance_all, rule_of

PREVIEWED: Final = 5
# How far ahead occurrences are looked for: from one 29 February to the next.
_AHEAD: Final = timedelta(days=366 * 8 + 1)

State = Literal["under_way", "upcoming", "over"]


@dataclass(frozen=True)
class Planned:
    """A window with the names of what it covers and its next occurrences, the one that goes on
    first."""

    window: Maintenance
    services: tuple[str, ...]
    checks: tuple[str, ...]
    spans: tuple[Span, ...]
    state: State


def maintenance_open(now: datetime) -> QuerySet[Maintenance]:
    """Windows of `maintenance_all` that are not over for good by their ends."""
    return maintenance_all().filter(
        Q(ends_at=None) | Q(ends_at__gt=now), Q(ended_at=None) | Q(ended_at__gt=now)
    )


def maintenance_find(maintenance_id: UUID) -> Maintenance | None:
    """One window of `maintenance_all`, if it is there."""
    return maintenance_all().filter(id=maintenance_id).first()


def next_spans(rule: Rule, now: datetime, most: int = PREVIEWED) -> tuple[Span, ...]:
    """The occurrences that go on at `now` or come after it, the first of them."""
    return tuple(islice(occurrences(rule, now, now + _AHEAD), most))


def planned(windows: Iterable[Maintenance], now: datetime, most: int = PREVIEWED) -> list[Planned]:
    """Windows of `maintenance_all` as they are listed; one query more."""
    listed = list(windows)
    names = _check_names({key for each in listed for key in each.check_ids})  # type: ignore[attr-defined]
    return [_planned(each, names, now, most) for each in listed]


def _planned(window: Maintenance, names: dict[UUID, str], now: datetime, most: int) -> Planned:
    spans = next_spans(rule_of(window), now, most)
    state: State = "over"
    if spans:
        state = "under_way" if spans[0].starts_at <= now else "upcoming"
    return Planned(
        window=window,
        services=tuple(sorted(window.service_names)),  # type: ignore[attr-defined]
        checks=tuple(sorted(names[key] for key in window.check_ids)),  # type: ignore[attr-defined]
        spans=spans,
        state=state,
    )


def _check_names(ids: Collection[UUID]) -> dict[UUID, str]:
    return dict(Check.objects.filter(id__in=ids).values_list("id", "name"))

"""Maintenance windows: which span covers what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet

from health.domain.windows import Rule, Span, merged, next_occurrence, occurrences
from health.models import Maintenance

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Occurrence:
    """One span of a window, and what it covers."""

    maintenance_id: UUID
    name: str
    starts_at: datetime
    ends_at: datetime
    everything: bool
    checks: frozenset[UUID]
    services: frozenset[str]
    public_text: str = ""

    def covers(self, check_id: UUID, service: str) -> bool:
        """Whether a check of `service` is in maintenance meanwhile."""
        return self.everything or check_id in self.checks or service in self.services

    @property
    def span(self) -> Span:
        return Span(self.starts_at, self.ends_at)


class Covering:
    """The spans that cover each check; checks that the same windows cover share them."""

    def __init__(self, found: Iterable[Occurrence]) -> None:
        self._by_window: dict[UUID, list[Occurrence]] = {}
        for each in found:
            self._by_window.setdefault(each.maintenance_id, []).append(each)
        self._merged: dict[tuple[UUID, ...], list[Span]] = {}

    def of(self, check_id: UUID, service: str) -> list[Span]:
        """Those of a check, in order and without overlap."""
        covering = tuple(
            window
            for window, spans in self._by_window.items()
            if spans[0].covers(check_id, service)
        )
        if covering not in self._merged:
            self._merged[covering] = merged(
                each.span for window in covering for each in self._by_window[window]
            )
        return self._merged[covering]


def rule_of(window: Maintenance) -> Rule:
    """How the times of a window are given."""
    return Rule(
        kind=window.kind,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        weekdays=frozenset(window.weekdays),
        start_time=window.start_time,
        cron=window.cron,
        duration=timedelta(seconds=window.duration_seconds or 0),
        timezone=window.timezone,
        ended_at=window.ended_at,
    )


def maintenance_all() -> QuerySet[Maintenance]:
    """Every window with `check_ids` and `service_names`, the newest first."""
    of_window = OuterRef("id")
    checks = Maintenance.checks.through.objects.filter(maintenance_id=of_window)
    services = Maintenance.services.through.objects.filter(maintenance_id=of_window)
    return Maintenance.objects.annotate(
        check_ids=ArraySubquery(checks.values("check_id")),
        service_names=ArraySubquery(services.values("service__name")),
    )


def windows_between(start: datetime, end: datetime) -> list[Occurrence]:
    """All spans that touch `start`..`end`, by their beginning; one query."""
    found = [
        each for window in _possible(start, end) for each in occurrences_of(window, start, end)
    ]
    return sorted(found, key=lambda each: (each.starts_at, each.ends_at, each.maintenance_id))


def occurrences_of(window: Maintenance, start: datetime, end: datetime) -> Iterator[Occurrence]:
    """The spans of one window of `maintenance_all` that touch `start`..`end`, as they are taken."""
    for span in occurrences(rule_of(window), start, end):
        yield _occurrence(window, span)


def next_of(window: Maintenance, now: datetime) -> Occurrence | None:
    """The span of a window that goes on at `now`, else its next one, if there is one."""
    span = next_occurrence(rule_of(window), now)
    return None if span is None else _occurrence(window, span)


def windows_now(now: datetime) -> list[Occurrence]:
    """All spans that go on at `now`; one query."""
    return windows_between(now, now + _INSTANT)


def covered_now(now: datetime) -> Callable[[UUID, str], bool]:
    """Tells of a check (id, service) whether it is in maintenance at `now`; one query."""
    return covered_by(windows_now(now))


def covered_by(windows: Collection[Occurrence]) -> Callable[[UUID, str], bool]:
    """Tells of a check (id, service) whether one of `windows` covers it."""
    return lambda check_id, service: any(each.covers(check_id, service) for each in windows)


def _possible(start: datetime, end: datetime) -> QuerySet[Maintenance]:
    return maintenance_all().filter(
        Q(starts_at=None) | Q(starts_at__lt=end),
        Q(ends_at=None) | Q(ends_at__gt=start),
        Q(ended_at=None) | Q(ended_at__gt=start),
    )


def _occurrence(window: Maintenance, span: Span) -> Occurrence:
    return Occurrence(
        maintenance_id=window.id,
        name=window.name,
        starts_at=span.starts_at,
        ends_at=span.ends_at,
        everything=window.everything,
        checks=frozenset(window.check_ids),  # type: ignore[attr-defined]
        services=frozenset(window.service_names),  # type: ignore[attr-defined]
        public_text=window.public_text,
    )

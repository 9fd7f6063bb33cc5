"""What the public may know of health: services by their public names, incidents, outages of services
and announced maintenance.

Nothing here that is meant to be shown names what users do not know: internal names of services and
checks, hosts, culprits, outputs, reasons, or who did something.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Prefetch, Q

from health.choices import Criticality, MaintenanceKind
from health.domain.public import DayTold, Stretch, joined, worse
from health.domain.score import CheckNow, service_state
from health.models import (
    Check,
    Maintenance,
    Outage,
    PublicIncident,
    PublicIncidentUpdate,
    Service,
)
from health.selectors.availability import Day, services_days
from health.selectors.maintenance import Occurrence, maintenance_all, next_of, occurrences_of
from resilience_site.core.formatting import duration, printable

PAST: Final = timedelta(days=14)
AHEAD: Final = timedelta(days=30)
MOST_INCIDENTS: Final = 100
MOST_OUTAGES: Final = 2_000
MOST_WINDOWS: Final = 50


@dataclass(frozen=True)
class PublicService:
    """All services of one public name; `parts` are their internal names, which are not shown."""

    name: str
    parts: tuple[str, ...] = field(repr=False)
    critical: bool


@dataclass(frozen=True)
class PublicUpdate:
    """One step of the account of an incident."""

    id: UUID
    at: datetime
    stage: str
    text: str


@dataclass(frozen=True)
class IncidentTold:
    """An incident with its account, the newest step first."""

    id: UUID
    title: str
    impact: str
    services: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    changed_at: datetime
    updates: tuple[PublicUpdate, ...]

    @property
    def stage(self) -> str:
        return self.updates[0].stage if self.updates else ""


@dataclass(frozen=True)
class OutageTold:
    """A public service was out; found by its checks, told by nobody."""

    name: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def lasted(self) -> str:
        """Its length in words, to the minute where it is one or more; empty while it goes on."""
        if self.ended_at is None:
            return ""
        seconds = (self.ended_at - self.started_at).total_seconds()
        return duration(round(seconds / 60) * 60 if seconds >= 60 else round(seconds))


@dataclass(frozen=True)
class MaintenanceTold:
    """One span of an announced window; `services` are public names, none where all are meant.

    `key` names the span for good, also among those of a window that recurs.
    """

    key: str
    text: str
    services: tuple[str, ...]
    everything: bool
    started_at: datetime
    ended_at: datetime
    announced_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class MaintenancePlan:
    """Announced maintenance: under way, upcoming (the next span of each window), and single
    windows that are over."""

    under_way: tuple[MaintenanceTold, ...]
    upcoming: tuple[MaintenanceTold, ...]
    past: tuple[MaintenanceTold, ...]


def public_services() -> list[PublicService]:
    """What the page lists, by public name; one query."""
    groups: dict[str, list[Service]] = defaultdict(list)
    for service in Service.objects.exclude(public_name="").order_by("name"):
        groups[printable(service.public_name)].append(service)
    weighty = (Criticality.CRITICAL, Criticality.HIGH)
    return [
        PublicService(
            name=name,
            parts=tuple(service.name for service in services),
            critical=any(service.criticality in weighty for service in services),
        )
        for name, services in sorted(groups.items(), key=lambda group: group[0].casefold())
    ]


def public_states(services: Sequence[PublicService]) -> dict[str, str]:
    """The `HealthState` of each part that has checks, by its internal name; one query."""
    parts = [part for service in services for part in service.parts]
    rows = Check.objects.filter(enabled=True, service__name__in=parts, status__isnull=False)
    checks: dict[str, list[CheckNow]] = defaultdict(list)
    for service, name, state, critical in rows.values_list(
        "service__name", "name", "status__state", "critical"
    ):
        checks[service].append(CheckNow(name, state, critical))
    return {service: service_state(found) for service, found in checks.items()}


def public_days(now: datetime, count: int) -> dict[str, dict[date, DayTold]]:
    """The last `count` days of UTC of each public service, by its public name, today as far as it
    has come. A constant number of queries.

    A service of several parts was as bad as its worst part of the day.
    """
    services = public_services()
    names = [part for service in services for part in service.parts]
    found = services_days(names, now=now, days=count)
    told: dict[str, dict[date, DayTold]] = {}
    for service in services:
        days: dict[date, DayTold] = {}
        for part in service.parts:
            for day in found[part]:
                each = _told(day)
                days[day.day] = worse(days[day.day], each) if day.day in days else each
        told[service.name] = days
    return told


def _told(day: Day) -> DayTold:
    return DayTold(
        good=day.counted.good,
        degraded=day.seconds.degraded,
        bad=day.counted.bad,
        excluded=day.seconds.maintenance,
    )


def public_incidents(now: datetime) -> list[IncidentTold]:
    """Incidents that are open or were resolved in the last 14 days, the newest first."""
    named = Service.objects.exclude(public_name="").order_by("public_name")
    rows = (
        PublicIncident.objects.filter(Q(resolved_at=None) | Q(resolved_at__gt=now - PAST))
        .order_by("-started_at", "-id")
        .prefetch_related(
            Prefetch("updates", PublicIncidentUpdate.objects.order_by("-at", "-id")),
            Prefetch("services", named),
        )
    )
    return [_incident(row) for row in rows[:MOST_INCIDENTS]]


def _incident(row: PublicIncident) -> IncidentTold:
    return IncidentTold(
        id=row.id,
        title=printable(row.title),
        impact=row.impact,
        services=_names(service.public_name for service in row.services.all()),
        started_at=row.started_at,
        ended_at=row.resolved_at,
        changed_at=row.changed_at,
        updates=tuple(
            PublicUpdate(each.id, each.at, each.stage, printable(each.text))
            for each in row.updates.all()
        ),
    )


def public_outages(services: Sequence[PublicService], now: datetime) -> list[OutageTold]:
    """Outages of the last 14 days by the critical checks of public services, the newest first.

    What fell into maintenance is left out; failures that overlap or all but touch are one. One
    query.
    """
    public = {part: service.name for service in services for part in service.parts}
    rows = (
        Outage.objects.filter(
            Q(ended_at=None, check_row__enabled=True) | Q(ended_at__gt=now - PAST),
            started_at__lte=now,
            check_row__critical=True,
            check_row__service__name__in=list(public),
        )
        .exclude(held_by="maintenance")
        .order_by("-started_at")
        .values_list("check_row__service__name", "started_at", "ended_at")
    )
    stretches: dict[str, list[Stretch]] = defaultdict(list)
    for service, started_at, ended_at in rows[:MOST_OUTAGES]:
        stretches[public[service]].append(Stretch(started_at, ended_at))
    told = [
        OutageTold(name, each.started_at, each.ended_at)
        for name, found in stretches.items()
        for each in joined(found)
    ]
    return sorted(told, key=lambda each: (each.started_at, each.name), reverse=True)


def public_maintenance(services: Sequence[PublicService], now: datetime) -> MaintenancePlan:
    """Maintenance that has a text for the public. Two queries."""
    rows = (
        maintenance_all()
        .exclude(public_text="")
        .filter(
            Q(ends_at=None) | Q(ends_at__gt=now - PAST),
            Q(ended_at=None) | Q(ended_at__gt=now - PAST),
        )
    )
    windows = rows.order_by("-created_at", "-id")[:MOST_WINDOWS]
    found = [(window, span) for window in windows if (span := _span(window, now)) is not None]
    parts_of_checks = _services_of({check for _, span in found for check in span.checks})
    public = {part: service.name for service in services for part in service.parts}
    told = []
    for window, span in found:
        touched = {*span.services, *(parts_of_checks.get(check, "") for check in span.checks)}
        told.append(
            MaintenanceTold(
                key=_key(window, span),
                text=printable(window.public_text),
                services=_names(public[part] for part in touched if part in public),
                everything=span.everything,
                started_at=span.starts_at,
                ended_at=span.ends_at,
                # One that recurs is told anew each time that it comes near enough.
                announced_at=max(window.created_at, span.starts_at - AHEAD),
                changed_at=window.ended_at or window.created_at,
            )
        )
    told.sort(key=lambda each: (each.started_at, each.key))
    return MaintenancePlan(
        under_way=tuple(each for each in told if each.started_at <= now < each.ended_at),
        upcoming=tuple(each for each in told if now < each.started_at <= now + AHEAD),
        past=tuple(each for each in reversed(told) if now - PAST < each.ended_at <= now),
    )


def _span(window: Maintenance, now: datetime) -> Occurrence | None:
    """What is told of a window: a single one also when it is over, others their next span."""
    if window.kind == MaintenanceKind.SINGLE:
        return next(occurrences_of(window, now - PAST, now + AHEAD), None)
    return next_of(window, now)


def _key(window: Maintenance, span: Occurrence) -> str:
    if window.kind == MaintenanceKind.SINGLE:
        return str(window.id)
    return f"{window.id}-{span.starts_at.astimezone(UTC):%Y%m%d%H%M}"


def _services_of(checks: set[UUID]) -> dict[UUID, str]:
    return dict(Check.objects.filter(id__in=checks).values_list("id", "service__name"))


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({printable(name) for name in names}, key=str.casefold))

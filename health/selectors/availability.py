"""Availability, reliability and latencies over the last 24 hours, 7, 30 and 90 days.

Ranges end at the last whole minute. The first two begin as long before, the others at the whole hour
before that, as minutes are not kept for so long.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from django.db.models import Q

from health.domain.availability import DEFAULT, Availability, Policy, Seconds, total
from health.domain.reliability import Failure, Reliability, joined, reliability
from health.models import Check, Outage
from health.selectors.seconds import check_bands, service_bands
from resilience_site.config import config


@dataclass(frozen=True)
class Window:
    """A length of time that availability is told over."""

    name: str
    length: timedelta

    def since(self, until: datetime) -> datetime:
        start = until - self.length
        return start if self.length <= _BY_MINUTES else start.replace(minute=0)


_BY_MINUTES: Final = timedelta(days=7)
DAY, WEEK = Window("24 h", timedelta(hours=24)), Window("7 d", timedelta(days=7))
MONTH, QUARTER = Window("30 d", timedelta(days=30)), Window("90 d", timedelta(days=90))
WINDOWS: Final = (DAY, WEEK, MONTH, QUARTER)
BARS: Final = 90

Key = TypeVar("Key", UUID, str)


@dataclass(frozen=True)
class Figure:
    """The availability over one window, with the seconds behind it; `target` is 0..1."""

    window: str
    since: datetime
    until: datetime
    seconds: Seconds
    counted: Availability
    target: float

    @property
    def ratio(self) -> float | None:
        return self.counted.ratio

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without data."""
        return self.counted.met(self.target)

    @property
    def budget_left(self) -> float | None:
        """The bad seconds that may still be; negative where the target is missed; None without
        data."""
        return None if self.ratio is None else self.counted.budget_left(self.target)


@dataclass(frozen=True)
class Day:
    """One day (UTC) as a bar; today as far as it has come."""

    day: date
    seconds: Seconds
    counted: Availability


def target() -> float:
    """The availability that is aimed at, 0..1."""
    # Divided like this, 99.9 becomes the same number as 0.999 does.
    return float(f"{config.resilience_availability_target}e-2")


def checks_availability(
    ids: Collection[UUID],
    *,
    now: datetime,
    windows: Sequence[Window] = WINDOWS,
    policy: Policy = DEFAULT,
) -> dict[UUID, tuple[Figure, ...]]:
    """The availability of each check over each window, the shortest first; one query."""
    until = _minute_of(now)
    found = check_bands(ids, _bounds(windows, until), until)
    return {key: _figures(bands, windows, until, policy) for key, bands in found.items()}


def services_availability(
    names: Collection[str],
    *,
    now: datetime,
    windows: Sequence[Window] = WINDOWS,
    policy: Policy = DEFAULT,
) -> dict[str, tuple[Figure, ...]]:
    """The same of services, by their critical checks; a constant number of queries.

    A moment is bad as soon as one critical check is bad, and good when one is good and none bad.
    """
    until = _minute_of(now)
    found = service_bands(names, _bounds(windows, until), until)
    return {key: _figures(bands, windows, until, policy) for key, bands in found.items()}


def overall_availability(
    figures: Iterable[Sequence[Figure]], *, policy: Policy = DEFAULT
) -> tuple[Figure, ...]:
    """The whole by the figures of its services: the good share of the time of all of them."""
    return tuple(
        _figure(
            same[0].window, same[0].since, same[0].until, total(f.seconds for f in same), policy
        )
        for same in zip(*figures, strict=True)
    )


def services_days(
    names: Collection[str], *, now: datetime, days: int = BARS, policy: Policy = DEFAULT
) -> dict[str, list[Day]]:
    """The last `days` days of each service, the oldest first, today's last; a constant number of
    queries."""
    until = _minute_of(now)
    bounds = _day_starts(until, days)
    return _days(service_bands(names, bounds, until), bounds, policy)


def checks_reliability(
    figures: Mapping[UUID, Sequence[Figure]],
) -> dict[UUID, tuple[Reliability, ...]]:
    """MTTR and MTBF of checks over the windows of their `checks_availability`; one query."""
    failures = _failures(figures, Q(check_row_id__in=list(figures)), "check_row_id")
    return {key: _reliabilities(failures.get(key, []), each) for key, each in figures.items()}


def services_reliability(
    figures: Mapping[str, Sequence[Figure]],
) -> dict[str, tuple[Reliability, ...]]:
    """MTTR and MTBF of services over the windows of their `services_availability`; one query.

    Failures of critical checks at the same time are one failure of their service.
    """
    wanted = Q(check_row__critical=True, check_row__service__in=list(figures))
    failures = _failures(figures, wanted, "check_row__service_id")
    return {
        key: _reliabilities(joined(failures.get(key, [])), each) for key, each in figures.items()
    }


def critical_services() -> list[str]:
    """The names of all services that have a critical check: those that have an availability."""
    names = Check.objects.filter(critical=True).order_by().values_list("service__name", flat=True)
    return sorted(names.distinct())


def _bounds(windows: Sequence[Window], until: datetime) -> list[datetime]:
    return [each.since(until) for each in reversed(windows)]


def _figures(
    bands: Sequence[Seconds], windows: Sequence[Window], until: datetime, policy: Policy
) -> tuple[Figure, ...]:
    """Bands follow one another from the longest window's start; each window is its band and all
    after it."""
    return tuple(
        _figure(window.name, window.since(until), until, total(bands[-count:]), policy)
        for count, window in enumerate(windows, 1)
    )


def _figure(
    window: str, since: datetime, until: datetime, seconds: Seconds, policy: Policy
) -> Figure:
    return Figure(window, since, until, seconds, policy.apply(seconds), target())


def _days(
    found: Mapping[Key, Sequence[Seconds]], bounds: Sequence[datetime], policy: Policy
) -> dict[Key, list[Day]]:
    return {
        key: [
            Day(start.date(), seconds, policy.apply(seconds))
            for start, seconds in zip(bounds, bands, strict=True)
        ]
        for key, bands in found.items()
    }


def _day_starts(until: datetime, days: int) -> list[datetime]:
    today = until.replace(hour=0, minute=0)
    return [today - timedelta(days=back) for back in range(days - 1, -1, -1)]


def _failures(
    figures: Mapping[Key, Sequence[Figure]], wanted: Q, by: str
) -> dict[Key, list[Failure]]:
    ranges = [(each.since, each.until) for of_key in figures.values() for each in of_key]
    if not ranges:
        return {}
    since, until = min(start for start, _ in ranges), max(end for _, end in ranges)
    rows = (
        Outage.objects.filter(wanted, Q(ended_at=None) | Q(ended_at__gte=since))
        .filter(started_at__lt=until)
        .order_by()
        .values_list(by, "started_at", "ended_at", "held_by")
    )
    found: dict[Key, list[Failure]] = {}
    for key, *failure in rows:
        found.setdefault(key, []).append(Failure(*failure))
    return found


def _reliabilities(
    failures: Sequence[Failure], figures: Sequence[Figure]
) -> tuple[Reliability, ...]:
    return tuple(
        reliability(failures, each.since, each.until, each.counted.good) for each in figures
    )


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)

"""What the public status page tells: notices, incidents, maintenance and the health of public
services, read together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from breakers.choices import Level
from breakers.selectors.notices import PublicNotice, PublicStatus, public_status
from health.domain.public import (
    DEGRADED,
    MAINTENANCE,
    OPERATIONAL,
    PARTIAL,
    DayTold,
    overall,
    state_of_parts,
    worst,
)
from health.selectors.public import (
    PAST,
    IncidentTold,
    MaintenancePlan,
    MaintenanceTold,
    OutageTold,
    PublicService,
    public_incidents,
    public_maintenance,
    public_outages,
    public_services,
    public_states,
)

# What a notice says of its service. Somebody chose the level, so that what matters most goes on:
# it is a part that is out, never the whole.
NOTICE_STATES: Final[dict[str, str]] = {
    Level.NORMAL: OPERATIONAL,
    Level.REDUCED: DEGRADED,
    Level.ESSENTIAL: PARTIAL,
    Level.OFFLINE: PARTIAL,
}
# A service that fails again and again does not push all else off the page.
MOST_OUTAGES_A_DAY: Final = 20

Past = PublicNotice | IncidentTold | OutageTold | MaintenanceTold
Days = Mapping[str, Mapping[date, DayTold]]


@dataclass(frozen=True)
class ServiceTold:
    """A public service as it is now; `state` None: not measured, and nothing announced of it."""

    name: str
    state: str | None
    checked: bool


@dataclass(frozen=True)
class DayPast:
    """What began on one day and is over, the newest first."""

    day: date
    notices: tuple[PublicNotice, ...] = ()
    incidents: tuple[IncidentTold, ...] = ()
    outages: tuple[OutageTold, ...] = ()
    maintenance: tuple[MaintenanceTold, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class PublicPage:
    """All that the page, its JSON and its feed tell, but for the days."""

    at: datetime
    state: str
    services: tuple[ServiceTold, ...]
    notices: PublicStatus
    incidents: tuple[IncidentTold, ...]
    outages: tuple[OutageTold, ...]
    maintenance: MaintenancePlan

    @property
    def open_incidents(self) -> tuple[IncidentTold, ...]:
        return tuple(each for each in self.incidents if each.ended_at is None)

    @property
    def past_incidents(self) -> tuple[IncidentTold, ...]:
        return tuple(each for each in self.incidents if each.ended_at is not None)

    @property
    def open_outages(self) -> tuple[OutageTold, ...]:
        return tuple(each for each in self.outages if each.ended_at is None)

    @property
    def unmeasured(self) -> int:
        """How many services have checks that do not tell how they are."""
        return sum(each.checked and each.state is None for each in self.services)

    @property
    def changed_at(self) -> datetime | None:
        """When anything that the feed tells of changed last; None while there is nothing."""
        moments = [
            self.notices.changed_at,
            *(incident.changed_at for incident in self.incidents),
            *(span.changed_at for span in _all(self.maintenance)),
        ]
        return max((moment for moment in moments if moment is not None), default=None)


def public_page(now: datetime) -> PublicPage:
    """Read it all; the number of queries does not grow with what there is."""
    services = public_services()
    notices, incidents = public_status(now), public_incidents(now)
    maintenance = public_maintenance(services, now)
    told = _services_told(services, notices, incidents, maintenance)
    critical = {service.name: service.critical for service in services}
    return PublicPage(
        at=now,
        state=overall(
            [(each.state, critical[each.name]) for each in told],
            [
                *(NOTICE_STATES[notice.level] for notice in notices.current),
                *(each.impact for each in incidents if each.ended_at is None),
            ],
            bool(maintenance.under_way),
        ),
        services=tuple(told),
        notices=notices,
        incidents=tuple(incidents),
        outages=tuple(public_outages(services, now)),
        maintenance=maintenance,
    )


def _services_told(
    services: list[PublicService],
    notices: PublicStatus,
    incidents: list[IncidentTold],
    maintenance: MaintenancePlan,
) -> list[ServiceTold]:
    """Each service by its health and by what is announced of it, the worse of both."""
    announced: dict[str, list[str]] = defaultdict(list)
    for notice in notices.current:
        announced[notice.name].append(NOTICE_STATES[notice.level])
    for incident in incidents:
        if incident.ended_at is None:
            for name in incident.services:
                announced[name].append(incident.impact)
    for span in maintenance.under_way:
        for name in [each.name for each in services] if span.everything else span.services:
            announced[name].append(MAINTENANCE)
    states = public_states(services)
    told = []
    for service in services:
        found = [states[part] for part in service.parts if part in states]
        health = state_of_parts(found)
        said = announced[service.name]
        state = worst([*said, health or OPERATIONAL]) if health or said else None
        told.append(ServiceTold(service.name, state, bool(found)))
    return told


def past_days(page: PublicPage) -> list[DayPast]:
    """The days of the last 14 on which anything was, today first, each with what began on it."""
    found: dict[date, list[Past]] = defaultdict(list)
    first = (page.at - PAST).date()
    for each in _over(page):
        found[max(each.started_at.astimezone(UTC).date(), first)].append(each)
    return [_day(day, found[day]) for day in sorted(found, reverse=True)]


def _over(page: PublicPage) -> Iterator[Past]:
    yield from page.notices.past
    yield from page.past_incidents
    yield from (outage for outage in page.outages if outage.ended_at is not None)
    yield from page.maintenance.past


def _day(day: date, found: list[Past]) -> DayPast:
    found.sort(key=lambda each: each.started_at, reverse=True)
    outages = [each for each in found if isinstance(each, OutageTold)]
    return DayPast(
        day=day,
        notices=tuple(each for each in found if isinstance(each, PublicNotice)),
        incidents=tuple(each for each in found if isinstance(each, IncidentTold)),
        outages=tuple(outages[:MOST_OUTAGES_A_DAY]),
        maintenance=tuple(each for each in found if isinstance(each, MaintenanceTold)),
        left_out=max(0, len(outages) - MOST_OUTAGES_A_DAY),
    )


def _all(plan: MaintenancePlan) -> tuple[MaintenanceTold, ...]:
    return (*plan.under_way, *plan.upcoming, *plan.past)


def last_days(now: datetime, count: int) -> list[date]:
    """The last `count` days of UTC, the oldest first; the last is today."""
    today = now.astimezone(UTC).date()
    return [today - timedelta(days=ago) for ago in reversed(range(count))]

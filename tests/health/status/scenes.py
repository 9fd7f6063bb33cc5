"""Services that the public knows, with checks, outages and ninety days, all of it under names that
the public must not see."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import connection

from health.domain.availability import COLUMNS
from health.models import Check, CheckStatus, Maintenance, Outage, Service
from health.models import partitions as tables
from resilience_site.core import partitions
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind

ANA = Actor(ActorKind.USER, "ana")
DAY = timedelta(days=1)


def service(name: str, public_name: str, now: datetime, criticality: str = "") -> Service:
    return Service.objects.create(
        name=name, public_name=public_name, criticality=criticality,
        first_seen=now, last_seen=now,
    )  # fmt: skip


def check(
    of: Service, now: datetime, state: str = "up", *, name: str = "", critical: bool = True
) -> Check:
    """A check whose runs have come to `state`."""
    made = Check.objects.create(
        name=name or f"check-{uuid.uuid4().hex[:8]}", service=of, kind="tcp",
        target={"host": "db-7.internal", "port": 5432}, sealed_target="",
        interval_seconds=30, timeout_seconds=5, critical=critical, created_at=now, updated_at=now,
    )  # fmt: skip
    CheckStatus.objects.create(
        check_row=made, own_state=state, own_since=now, state=state, since=now,
        minutes_from=now, hours_from=now, last_output="connection refused by db-7.internal",
    )  # fmt: skip
    return made


def turn(made: Check, state: str) -> None:
    CheckStatus.objects.filter(check_row=made).update(state=state, own_state=state)


def outage(
    of: Check, started_at: datetime, minutes: float | None, *, held_by: str = "", culprit: str = ""
) -> Outage:
    """A failure of so many minutes; None: it goes on."""
    return Outage.objects.create(
        check_row=of, started_at=started_at, confirmed_at=started_at, announce_at=started_at,
        ended_at=None if minutes is None else started_at + timedelta(minutes=minutes),
        held_by=held_by, culprit=culprit, output="connection refused by db-7.internal",
    )  # fmt: skip


def hours(of: Service, day: datetime, **seconds: float) -> None:
    """The seconds by state of the first hour of a day of UTC."""
    hour = day.replace(hour=0, minute=0, second=0, microsecond=0)
    partitions.ensure(tables.SERVICE_HOURS, hour, hour)
    values = [seconds.get(column, 0.0) for column in COLUMNS]
    marks = ", ".join(["%s"] * (2 + len(COLUMNS)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO health_servicehour (service, hour, {', '.join(COLUMNS)}) VALUES ({marks})",
            [of.name, hour, *values],
        )


def window(
    now: datetime, text: str, *services: Service, starts: timedelta, lasts: timedelta, name: str
) -> Maintenance:
    """A single window that begins `starts` from now."""
    made = Maintenance.objects.create(
        name=name, kind="single", starts_at=now + starts, ends_at=now + starts + lasts,
        reason="the reason is ours", public_text=text, actor="ana", created_at=now - 20 * DAY,
        everything=not services,
    )  # fmt: skip
    made.services.set(services)
    return made

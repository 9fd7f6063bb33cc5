"""Services that the public knows, with checks, outages and ninety days, all of it under names that
the public must not see."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import connection

from breakers.models import Notice
from health.domain.availability import COLUMNS
from health.models import Check, CheckStatus, Maintenance, Outage, PublicIncident, Service
from health.models import partitions as tables
from health.services.incidents import incident_open, incident_resolve, incident_update
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


def everything(now: datetime) -> PublicIncident:
    """A bad day of four public services: one of each thing that the page tells. Returns the open
    incident."""
    hour = timedelta(hours=1)
    planner = service("planner-srv", "Planner", now, "critical")
    mail = service("mail-srv", "Mail delivery", now, "high")
    slow = service("import-srv", "Calendar import with a rather long name", now)
    check(service("new-srv", "Search", now), now, "unknown")
    failing, sound = check(planner, now, "down"), check(mail, now)
    check(slow, now, "degraded")
    days = ({"up": 3_600.0}, {"up": 3_480.0, "down": 120.0}, {"up": 3_600.0}, {"degraded": 3_600.0},
            {"up": 1_800.0, "unreachable": 1_800.0}, {"maintenance_down": 3_600.0}, {})  # fmt: skip
    for each, known in ((planner, 90), (mail, 90), (slow, 40)):
        for day in range(2, known):
            hours(each, now - day * DAY, **days[day % 7 if day % 3 else 0])
    outage(failing, now - hour, None)
    outage(sound, now - DAY, 6)
    outage(sound, now - DAY + 3 * hour, 80)
    window(now, "The database moves to a larger machine.", planner,
           starts=2 * DAY, lasts=hour, name="pg-7")  # fmt: skip
    window(now, "Certificates are renewed.", mail, starts=-hour, lasts=2 * hour, name="tls")
    window(now, "A new release.", starts=-3 * DAY, lasts=hour, name="r7")
    opened = incident_open(
        title="Plans cannot be loaded", impact="major_outage", services=[planner.name],
        text="Plans do not load for most people. We look into it.", actor=ANA, now=now - hour,
    )  # fmt: skip
    incident_update(
        incident_id=opened.id, stage="identified", actor=ANA, now=now - hour / 2,
        text="The store of plans does not answer.\n\nWe are switching to its twin.",
    )  # fmt: skip
    late = incident_open(
        title="Mails were late", impact="degraded", services=[mail.name],
        text="Mails are late by some minutes.", actor=ANA, now=now - 5 * DAY,
    )  # fmt: skip
    incident_resolve(
        incident_id=late.id, text="All mails are out.", actor=ANA, now=now - 5 * DAY + hour
    )
    for each, text, began, ended in (
        (slow, "Imports run every hour instead of at once.", 3 * hour, None),
        (mail, "Mails were without pictures.", 8 * DAY, now - 8 * DAY + hour),
    ):
        Notice.objects.create(
            service=each.name, level="reduced", text=text, started_at=now - began, ended_at=ended
        )
    return opened

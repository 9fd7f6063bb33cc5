"""Checks with a history, as rows: what tests of sums begin with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from health.models import Check, CheckStatus, Outage, Service, StateChange
from health.models.partitions import RESULTS
from resilience_site.core import partitions
from resilience_site.core.audit import Actor

NOON = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
ACTOR = Actor.system("tests")
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3_600, 86_400))


def make_check(
    name: str, *, service: str = "planner", since: datetime = NOON, **fields: Any
) -> Check:
    """A check of which nothing is known yet."""
    known, _ = Service.objects.get_or_create(
        name=service, defaults={"first_seen": since, "last_seen": since}
    )
    check = Check.objects.create(
        name=name, service=known, kind="memory", sealed_target="x", interval_seconds=30,
        timeout_seconds=10, created_at=since, updated_at=since, **fields,
    )  # fmt: skip
    CheckStatus.objects.create(check_row=check, own_since=since, since=since, minutes_from=since)
    return check


def change(check: Check, state: str, since: datetime, **fields: Any) -> None:
    """As the evaluation writes it: the row, the status, and where the sums stand."""
    status = CheckStatus.objects.get(check_row=check)
    own = fields.pop("own_state", "down" if state == "unreachable" else state)
    StateChange.objects.create(
        check_row=check, at=fields.pop("at", since), since=since, from_state=status.state,
        state=state, own_state=own, **fields,
    )  # fmt: skip
    status.state, status.own_state, status.since = state, own, since
    status.minutes_from = min(status.minutes_from, since.replace(second=0, microsecond=0))
    status.save()


def outage(check: Check, start: datetime, end: datetime | None, held_by: str = "") -> None:
    Outage.objects.create(
        check_row=check, started_at=start, confirmed_at=start, ended_at=end, announce_at=start,
        held_by=held_by,
    )  # fmt: skip


def results(check: Check, rows: Iterable[tuple[datetime, str, float | None]]) -> None:
    """Runs: when, with which status, how many ms."""
    for at, status, latency_ms in rows:
        partitions.ensure(RESULTS, at, at)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO health_checkresult (at, check_id, latency_ms, status, cause, output) "
                "VALUES (%s, %s, %s, %s, 'scheduled', '')",
                [at, check.id, latency_ms, status],
            )


def minutes_of(check: Check) -> dict[datetime, dict[str, float]]:
    """The stored minutes, each with what is not zero."""
    return _stored("health_checkminute", "minute", "check_id", check.id)


def hours_of(check: Check) -> dict[datetime, dict[str, float]]:
    return _stored("health_checkhour", "hour", "check_id", check.id)


def service_hours_of(service: str) -> dict[datetime, dict[str, float]]:
    return _stored("health_servicehour", "hour", "service", service)


def _stored(table: str, at: str, by: str, key: UUID | str) -> dict[datetime, dict[str, float]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} WHERE {by} = %s ORDER BY {at}", [key])
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    left_out = {at, by, "runs", "latency_sum", "latency_counts", "maintenance_latency_counts"}
    return {
        row[at]: {name: value for name, value in row.items() if value and name not in left_out}
        for row in rows
    }

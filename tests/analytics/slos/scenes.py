"""Objectives, and services with a history of calls or of checks behind them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from analytics.domain.histogram import bucket, empty
from analytics.models import Slo
from analytics.models.partitions import CALL_ROLLUPS
from analytics.services.call_hours import call_hours_sum
from health.models import Check, Service
from health.models.partitions import RESULTS
from health.services.hours import hours_sum
from health.services.minutes import minutes_sum
from resilience_site.core import partitions
from tests.health.availability.fleet import change, make_check

NOW = datetime(2026, 6, 10, 12, 34, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def slo(service: str = "planner", **fields: Any) -> Slo:
    """An availability objective of 99.9 % over 30 days."""
    given: dict[str, Any] = {
        "objective": 0.999, "min_bad": 10, "created_at": NOW, "created_by": "ann",
        "changed_at": NOW, "changed_by": "ann",
    }  # fmt: skip
    return Slo.objects.create(service=service, **given | fields)


def known(service: str, at: datetime = NOW) -> Service:
    """A service of the catalogue."""
    found, _ = Service.objects.get_or_create(
        name=service, defaults={"first_seen": at - 40 * DAY, "last_seen": at}
    )
    return found


def calls(
    service: str,
    since: datetime,
    until: datetime,
    of: Callable[[datetime], tuple[int, int] | None],
    *,
    every: timedelta = MINUTE,
    slow: int = 0,
    slow_ms: float = 900.0,
    now: datetime | None = None,
) -> None:
    """Calls and failed ones of each step; `slow` of the calls take `slow_ms`, the others 20 ms.
    With `now`, what is over by then is summed up into hours."""
    partitions.ensure(CALL_ROLLUPS, since, until)
    rows = []
    at = since
    while at < until:
        found = of(at)
        if found is not None:
            total, failed = found
            buckets = empty()
            buckets[bucket(20_000_000)] += total - min(slow, total)
            buckets[bucket(int(slow_ms * 1e6))] += min(slow, total)
            rows.append((at, service, total, failed, "{" + ",".join(map(str, buckets)) + "}"))
        at += every
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_callrollup (minute, service, operation, kind, calls, errors, "
            "duration_ns, duration_max_ns, buckets) SELECT at, service, '', 0, calls, errors, 0, 0, "
            "buckets::integer[] FROM unnest(%s::timestamptz[], %s::text[], %s::bigint[], "
            "%s::bigint[], %s::text[]) AS rows (at, service, calls, errors, buckets)",
            [list(column) for column in zip(*rows, strict=True)],
        )
    if now is not None:
        call_hours_sum(now=now)


def runs(
    check: Check,
    since: datetime,
    until: datetime,
    ms: Callable[[datetime], float | None],
    *,
    every: timedelta = timedelta(seconds=30),
    now: datetime | None = None,
) -> None:
    """Runs of a check, each by how long it took; those without that failed. With `now`, hours that
    are over by then are summed up."""
    partitions.ensure(RESULTS, since, until)
    moments = [since + number * every for number in range((until - since) // every)]
    took = [ms(at) for at in moments]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO health_checkresult (at, check_id, latency_ms, status, cause, output) "
            "SELECT at, %s, ms, CASE WHEN ms IS NULL THEN 'down' ELSE 'up' END, 'scheduled', '' "
            "FROM unnest(%s::timestamptz[], %s::float8[]) AS rows (at, ms)",
            [check.id, moments, took],
        )
    if now is not None:
        minutes_sum(now=now)
        hours_sum(now=now)


def probed(now: datetime, service: str = "search") -> tuple[Check, Slo]:
    """An objective that 99 % of the runs of a check take no longer than 300 ms, and a day of them:
    of the last hour, each fifth was too slow."""
    end = now.replace(second=0, microsecond=0)
    check = make_check(f"{service}-http", service=service, since=end - DAY)
    change(check, "up", end - DAY)
    began = end - HOUR
    runs(
        check, end - DAY, end,
        lambda at: 900.0 if at >= began and (at - began) // timedelta(seconds=30) % 5 == 4 else 40.0,
        now=now,
    )  # fmt: skip
    return check, slo(
        service, kind="latency", source="checks", objective=0.99, threshold_ms=300.0, min_bad=3,
        created_at=now, changed_at=now,
    )  # fmt: skip


def fleet(now: datetime) -> dict[str, Slo]:
    """Objectives in each state, of services with three days behind them."""
    end = now.replace(second=0, microsecond=0)
    since = end - 3 * DAY
    for name, failed in (("planner-mcp-server", 0), ("mail", 2), ("calendar", 60)):
        known(name, now)
        calls(name, since, end, lambda at, failed=failed: (3_000, failed), every=HOUR)  # type: ignore[misc]
    calls("mail", end - 5 * DAY, end - 4 * DAY, lambda at: (30_000, 0), every=HOUR)
    known("reports", now)
    calls("reports", since, end - 3 * HOUR, lambda at: (9_000, 0), every=HOUR)
    calls("reports", end - 3 * HOUR, end, lambda at: (60, 3 if at > end - 90 * MINUTE else 0))
    check = make_check("pg", service="store", since=end - 20 * HOUR)
    change(check, "up", end - 20 * HOUR)
    change(check, "down", end - 9 * HOUR)
    change(check, "up", end - 9 * HOUR + 11 * MINUTE)
    made = {"created_at": now, "changed_at": now}
    return {
        "ok": slo("planner-mcp-server", **made),
        "spending": slo("mail", objective=0.9995, **made),
        "exhausted": slo("calendar", min_bad=100_000, **made),
        "burning": slo("reports", objective=0.998, **made),
        "checks": slo("store", source="checks", objective=0.98, min_bad=90, **made),
        "latency": slo(
            "planner-mcp-server", kind="latency", objective=0.99, threshold_ms=300.0,
            window_days=7, **made,
        ),
        "no_data": slo("silent", **made),
        "off": slo("old", enabled=False, **made),
    }  # fmt: skip

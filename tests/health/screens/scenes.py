"""The checks of a small company whose database has died: history of a day, graph, maintenance."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from health.choices import DependencyStatus, HealthState, MaintenanceKind
from health.models import (
    Check,
    CheckResult,
    CheckStatus,
    Dependency,
    Maintenance,
    Outage,
    Service,
    StateChange,
)
from health.models.partitions import HOURS, MINUTES, RESULTS, SERVICE_HOURS
from health.services.hours import hours_sum
from health.services.minutes import minutes_sum
from resilience_site.core import journal, partitions

DAY: Final = timedelta(hours=24)
INTERVAL: Final = 30.0
# Sums of minutes and hours go back so far; a whole day of them takes seconds to write.
SUMMED: Final = timedelta(hours=2)
SERVICES: Final = {
    "planner-mcp-server": "high",
    "planning-agent": "critical",
    "web-portal": "high",
    "task-sync": "medium",
    "platform": "critical",
    "microsoft-graph": "high",
}
POSTGRES, PLANNER, AGENT = "postgres-main", "planner-mcp", "planning-agent"
REFUSED: Final = "connection refused by 10.0.3.14:5432"


@dataclass(frozen=True)
class Sketch:
    """A check as the scene draws it; `state` holds since `ago` before now, `own` if it differs."""

    name: str
    kind: str
    service: str
    state: str = "up"
    ago: timedelta = timedelta(days=3)
    own: str = ""
    culprit: str = ""
    output: str = ""
    latency: float = 20.0
    critical: bool = True
    enabled: bool = True
    flapping: bool = False
    observed: Mapping[str, Any] | None = None


MINUTE: Final = timedelta(minutes=1)
INCIDENT: Final = [
    Sketch(POSTGRES, "postgres", "platform", "down", 12 * MINUTE, output=REFUSED, latency=2.4),
    Sketch("valkey-cache", "redis", "platform", output="PONG in 0.4 ms, 212 MiB of 1 GiB used",
           latency=0.4, observed={"used_memory": {"value": 222298112, "unit": "bytes"},
                                  "connected_clients": {"value": 41, "unit": "1"}}),
    Sketch("egress-network", "tcp", "platform", output="connected to 1.1.1.1:443", latency=8.1),
    Sketch("disk-data", "disk", "platform", "degraded", 95 * MINUTE,
           output="91.4 % of /var/lib used, above 90 %", critical=False,
           observed={"used": {"value": 91.4, "unit": "percent"}}),
    Sketch("graph-api", "microsoft_graph", "microsoft-graph", output="token and 3 plans in 212 ms",
           latency=212),
    Sketch("graph-token", "http", "microsoft-graph", output="200 OK", latency=96),
    Sketch(PLANNER, "mcp", "planner-mcp-server", "unreachable", 11 * MINUTE, "down", POSTGRES,
           "initialize timed out after 10 s"),
    Sketch("planner-queue", "celery", "planner-mcp-server", "unreachable", 10 * MINUTE, "down",
           POSTGRES, "oldest task waits for 9 min 40 s"),
    Sketch(AGENT, "http", "planning-agent", "unreachable", 10 * MINUTE, "down", POSTGRES,
           "503 Service Unavailable"),
    Sketch("agent-memory", "memory", "planning-agent", output="61.2 % used", critical=False),
    Sketch("portal-home", "http", "web-portal", "degraded", 9 * MINUTE, "up", POSTGRES,
           "200 OK, 1.9 s", latency=1900),
    Sketch("portal-certificate", "tls", "web-portal", output="expires in 61 d", latency=31,
           observed={"expires_in": {"value": 5270400, "unit": "s"}}),
    Sketch("nightly-export", "push", "task-sync", "maintenance", 40 * MINUTE, "up",
           output="pushed: 4,211 rows"),
    Sketch("mail-relay", "smtp", "task-sync", "up", 4 * MINUTE, flapping=True, latency=140,
           output="220 mail.example.org ready", critical=False),
    Sketch("legacy-import", "http", "task-sync", "unknown", timedelta(days=9), enabled=False),
    Sketch("sync-worker", "celery", "task-sync", "unknown", 20 * timedelta(seconds=1)),
]  # fmt: skip
EDGES: Final = [
    (PLANNER, POSTGRES, True), ("planner-queue", "valkey-cache", True),
    ("planner-queue", POSTGRES, True), (PLANNER, "graph-api", False), (AGENT, PLANNER, True),
    ("portal-home", AGENT, False), ("portal-home", "valkey-cache", True),
    ("graph-api", "graph-token", True), ("graph-token", "egress-network", True),
    ("mail-relay", "egress-network", True), ("nightly-export", POSTGRES, True),
    (POSTGRES, "disk-data", False), ("sync-worker", "valkey-cache", True),
]  # fmt: skip


def make_room(now: datetime) -> None:
    """The partitions that a day of history needs."""
    for table in (RESULTS, MINUTES, HOURS, SERVICE_HOURS):
        partitions.ensure(table, now - 2 * DAY, now + timedelta(minutes=1))


def catalogue(now: datetime) -> None:
    """The services of the company."""
    for name, criticality in SERVICES.items():
        Service.objects.get_or_create(
            name=name,
            defaults={"criticality": criticality, "first_seen": now - 9 * DAY, "last_seen": now},
        )


def add(sketch: Sketch, now: datetime) -> Check:
    """One check with its status, and nothing that it has seen."""
    made = now - 10 * DAY
    check = Check.objects.create(
        name=sketch.name,
        kind=sketch.kind,
        service_id=sketch.service,
        target={"host": f"{sketch.name}.internal", "password": "***"},
        sealed_target="",
        interval_seconds=INTERVAL,
        timeout_seconds=10.0,
        critical=sketch.critical,
        enabled=sketch.enabled,
        created_at=made,
        updated_at=made,
    )
    own = sketch.own or sketch.state
    since, down = now - sketch.ago, own == HealthState.DOWN
    runs = max(1, int(sketch.ago.total_seconds() / INTERVAL))
    ran = sketch.enabled and own != HealthState.UNKNOWN
    CheckStatus.objects.create(
        check_row=check,
        next_due_at=now + timedelta(seconds=17) if sketch.enabled else None,
        own_state=own,
        own_since=since,
        failures=runs if ran and down else 0,
        successes=0 if down or not ran else runs,
        streak_since=since if ran else None,
        history=("d" if down else "u") * 21 if ran else "",
        flapping=sketch.flapping,
        state=sketch.state,
        since=since,
        last_run_at=now - timedelta(seconds=13) if ran else None,
        last_conclusive_at=now - timedelta(seconds=13) if ran else None,
        last_status=own if ran else "",
        last_latency_ms=sketch.latency if ran and not down else None,
        last_output=sketch.output,
        last_observed=dict(sketch.observed or {}),
        minutes_from=(now - SUMMED).replace(second=0, microsecond=0),
    )
    return check


def store(
    sketches: Iterable[Sketch], edges: Iterable[tuple[str, str, bool]], now: datetime
) -> dict[str, Check]:
    """These checks with their graph and what they say of the last day, by name."""
    catalogue(now)
    make_room(now)
    drawn = list(sketches)
    checks = {sketch.name: add(sketch, now) for sketch in drawn}
    for sketch in drawn:
        if sketch.culprit:
            CheckStatus.objects.filter(check_row=checks[sketch.name]).update(
                culprit=checks[sketch.culprit]
            )
        past(checks[sketch.name], sketch, now)
    for child, parent, hard in edges:
        Dependency.objects.create(
            child_check=checks[child],
            parent_check=checks[parent],
            hard=hard,
            status=DependencyStatus.DECLARED,
            created_at=now - 9 * DAY,
        )
    return checks


def past(check: Check, sketch: Sketch, now: datetime) -> None:
    """The changes, results and outages that led to what a check says now."""
    if not sketch.enabled or sketch.state == HealthState.UNKNOWN:
        return
    rng = random.Random(sketch.name)
    since = now - sketch.ago
    change(check, now - 10 * DAY, "unknown", "up", reason="its first success")
    began = now - timedelta(hours=7, minutes=rng.randrange(40))
    if sketch.kind in ("http", "postgres", "smtp"):
        outage(check, began, began + timedelta(minutes=rng.randrange(2, 9)), "timed out after 10 s")
    if sketch.state != HealthState.UP:
        own = sketch.own or sketch.state
        change(check, since, "up", sketch.state, own=own, culprit=sketch.culprit,
               reason=sketch.output)  # fmt: skip
        if own == HealthState.DOWN:
            held = "" if sketch.state == HealthState.DOWN else "unreachable"
            Outage.objects.create(
                check_row=check, started_at=since, confirmed_at=since + 2 * MINUTE,
                announce_at=since + 3 * MINUTE, announced_at=None if held else since + 3 * MINUTE,
                held_by=held, culprit=sketch.culprit, output=sketch.output,
            )  # fmt: skip
    CheckResult.objects.bulk_create(_results(check, sketch, since, now, rng))


def change(
    check: Check, at: datetime, before: str, state: str, *, own: str = "", culprit: str = "",
    reason: str = "",
) -> None:  # fmt: skip
    """A change of state."""
    StateChange.objects.create(
        check_row=check, at=at + MINUTE, since=at, from_state=before, state=state,
        own_state=own or state, culprit=culprit, reason=reason,
    )  # fmt: skip


def outage(check: Check, start: datetime, end: datetime, output: str) -> None:
    """A failure that is over, of which somebody was told."""
    change(check, start, "up", "down", reason=output)
    change(check, end, "down", "up", reason="2 successes in a row")
    Outage.objects.create(
        check_row=check, started_at=start, confirmed_at=start + MINUTE, ended_at=end,
        announce_at=start + MINUTE, announced_at=start + MINUTE, output=output,
    )  # fmt: skip


def _results(
    check: Check, sketch: Sketch, since: datetime, now: datetime, rng: random.Random
) -> list[CheckResult]:
    """A run every 30 s of the last two hours, with two minutes of silence among them."""
    found = []
    at = now - timedelta(hours=2)
    silence = now - timedelta(minutes=41)
    down = (sketch.own or sketch.state) == HealthState.DOWN
    while at < now:
        at += timedelta(seconds=INTERVAL * rng.uniform(0.95, 1.05))
        if at >= now or silence < at < silence + timedelta(minutes=4):
            continue
        failed = (down and at >= since) or rng.random() < 0.01
        latency = None if failed else round(sketch.latency * rng.lognormvariate(0, 0.25), 3)
        found.append(
            CheckResult(
                check_id=check.id,
                at=at,
                status="down" if failed else "up",
                cause="scheduled",
                latency_ms=latency,
                output=sketch.output if failed or not down else "",
                observed=sketch.observed,
            )
        )
    return found


def maintenance(now: datetime) -> None:
    """The window that the nightly export is in."""
    window = Maintenance.objects.create(
        name="Storage migration", kind=MaintenanceKind.SINGLE, starts_at=now - 40 * MINUTE,
        ends_at=now + 80 * MINUTE, reason="moving to the new array", actor="ana",
        created_at=now - DAY,
    )  # fmt: skip
    window.checks.add(Check.objects.get(name="nightly-export"))


def incident(now: datetime) -> dict[str, Check]:
    """The database died twelve minutes ago."""
    checks = store(INCIDENT, EDGES, now)
    maintenance(now)
    minutes_sum(now=now)
    hours_sum(now=now)
    return checks


def more(parent: Check, count: int, now: datetime) -> None:
    """As many checks that fail because of `parent`, in services of their own."""
    for number in range(count):
        name = f"service-{number}"
        Service.objects.create(name=name, first_seen=now, last_seen=now)
        check = add(Sketch(f"more-{number}", "http", name, "unreachable", MINUTE, "down"), now)
        CheckStatus.objects.filter(check_row=check).update(culprit=parent)
        outage(check, now - 30 * MINUTE, now - 28 * MINUTE, "timed out")
        Dependency.objects.create(
            child_check=check, parent_check=parent, hard=True,
            status=DependencyStatus.DECLARED, created_at=now,
        )  # fmt: skip


def fleet(count: int, now: datetime) -> None:
    """Many checks that are up, without history."""
    catalogue(now)
    make_room(now)
    for number in range(count):
        add(Sketch(f"check-{number:03}", "http", "web-portal"), now)


def move(check: Check, state: str, now: datetime, own: str = "") -> None:
    """A check comes into a state, as one evaluation of the graph would write it."""
    with transaction.atomic():
        before = check.status.state
        CheckStatus.objects.filter(check_row=check).update(
            state=state, since=now, own_state=own or state, own_since=now
        )
        change(check, now, before, state, reason="told by a test")
        journal.append([journal.Entry("health", "state_changed", str(check.id), state)])

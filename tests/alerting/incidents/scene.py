"""Alerts as rules leave them, and what the journal tells of their services."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from alerting.domain.alerts import labels_fingerprint
from alerting.models import Alert, Incident
from alerting.services.incident_follow import Followed, incidents_follow
from analytics.models import CorrelationChain
from breakers.domain.keys import breaker_key
from breakers.models import Breaker
from health.models import Check, CheckStatus, Service
from resilience_site.core import journal, partitions
from resilience_site.core.journal import Entry
from resilience_site.core.sealing import seal

# The journal writes its own clock's time, so what is looked for in it is near that.
NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = timedelta(minutes=1)

# What was found out about the impact of an incident.
IMPACT = {
    "service": "graph", "errors": 50, "requests": 40, "requests_lost": 31, "served_degraded": 9,
    "examined": 40, "approximate": False, "users": 12, "tiers": ["gold"],
    "requests_by_tier": {"gold": 20}, "services": ["graph", "planner"], "calls": 400,
    "share_of_traffic": 0.1, "error_budget_spent": 0.31, "blast_radius": ["agent"],
    "budget": {"service": "graph", "days": 30, "target": 0.999, "calls": 100_000,
               "allowed": 100.0, "failed": 31},
    "words": {"share": "10 %", "spent": "31 %", "allowed": "100", "target": "99.9 %"},
}  # fmt: skip


def at(minutes: float) -> datetime:
    """So many minutes after now; before it where negative."""
    return NOW + minutes * MINUTE


def fire(
    rule: str = "breaker-open",
    service: str = "planner",
    *,
    minute: float = 0,
    severity: str = "page",
    summary: str = "",
    facts: dict[str, Any] | None = None,
    **labels: str,
) -> Alert:
    """An alert that fires since `minute`."""
    every = {"alertname": rule, "service": service, **labels}
    return Alert.objects.create(
        rule_name=rule,
        fingerprint=labels_fingerprint({**every, "n": str(uuid4())}),
        labels=every,
        annotations={"summary": summary} if summary else {},
        facts=facts or {},
        severity=severity,
        state="firing",
        service=service,
        started_at=at(minute),
        fired_at=at(minute),
        changed_at=at(minute),
    )


def over(alert: Alert, minute: float) -> None:
    """The alert ends."""
    Alert.objects.filter(id=alert.id).update(
        state="resolved", ended_at=at(minute), changed_at=at(minute)
    )


def follow(minute: float = 0) -> Followed:
    return incidents_follow(now=at(minute))


def incident_of(alert: Alert) -> Incident:
    alert.refresh_from_db()
    assert alert.incident is not None
    return alert.incident


def tell(*entries: Entry) -> None:
    """Write to the journal."""
    with transaction.atomic():
        journal.append(entries)


def opened(service: str = "planner", name: str = "graph", **more: Any) -> Entry:
    """The breaker of a service opens."""
    payload = {"name": name, "instance": "a-1", "from_state": "closed", **more}
    key = breaker_key(service, name)
    return Entry("breakers", "breaker.transition", key, "open", service, payload)


def chains(count: int, *services: str, root: str, minute: float = -1) -> list[str]:
    """Chains that began in `root` and crossed `services`; their trace ids."""
    began = at(minute)
    table = next(
        each for each in partitions.registered() if each.table == "analytics_correlationchain"
    )
    partitions.ensure(table, began, began)
    ids = [uuid4().hex for _ in range(count)]
    with connection.cursor() as cursor:
        for trace in ids:
            cursor.execute(
                "INSERT INTO analytics_correlationchain (id, opened_on, kind, trace_id, "
                "correlation_id, root_cause_id, root_cause_service, root_cause_type, "
                "root_cause_message, root_cause_operation, services, error_count, span_count, "
                "gap_count, started_at, ended_at, updated_at, confidence, error_ids) VALUES "
                "(%s, %s, 'trace', %s, '', %s, %s, 'HTTPError', '503', 'GET /tasks', %s, 2, 4, 0, "
                "%s, %s, %s, 1, '{}')",
                [
                    UUID(trace), began.date(), trace, uuid4(), root, list(services), began, began,
                    began,
                ],
            )  # fmt: skip
    assert CorrelationChain.objects.filter(trace_id__in=ids).count() == count
    return ids


def check(name: str, service: str, state: str = "up", culprit: Check | None = None) -> Check:
    """A check in a state of the graph."""
    of, _ = Service.objects.get_or_create(
        name=service, defaults={"first_seen": NOW, "last_seen": NOW}
    )
    made = Check.objects.create(
        name=name, service=of, kind="memory", sealed_target=seal("{}"), interval_seconds=30,
        timeout_seconds=10, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    CheckStatus.objects.create(
        check_row=made, own_since=NOW, since=NOW, minutes_from=NOW, state=state,
        own_state="down" if state in ("down", "unreachable") else state, culprit=culprit,
    )  # fmt: skip
    return made


def texts(lines: Iterable[Any]) -> list[str]:
    return [each.text for each in lines]


def breakers(service: str, *names: str) -> None:
    """The breakers that a process of the service has reported."""
    for name in names:
        Breaker.objects.create(
            service=service, name=name, instance="a-1", key=breaker_key(service, name),
            state="closed", since=at(-60), first_seen=at(-60), last_seen=at(0),
        )  # fmt: skip


def of_check(of: Check, minute: float, output: str) -> Alert:
    facts = {"check": {"id": str(of.id), "name": of.name}, "output": output}
    return fire(
        "critical_check_failed", of.service_id, minute=minute, facts=facts, check=of.name,
        check_id=str(of.id),
    )  # fmt: skip

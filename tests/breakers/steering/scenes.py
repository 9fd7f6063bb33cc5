"""A fleet to steer: the planner with three instances, its retries, fallbacks and bulkheads."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from breakers.domain.keys import breaker_key
from breakers.models import (
    Breaker,
    Bulkhead,
    BulkheadBreach,
    BulkheadRollup,
    CallMinute,
    DomainMember,
    FallbackRollup,
    Instance,
    RetryBudget,
    RetryRollup,
)
from breakers.models import partitions as tables
from breakers.services.degraded import degraded_set
from breakers.services.documents import document_register
from breakers.services.toggles import toggle_set
from health.models import Service
from resilience_site.core import partitions
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role

PLANNER, AGENT = "planner-mcp-server", "planning-agent"
GRAPH, REDIS = "microsoft_graph", "redis"
ANA = Actor(ActorKind.USER, "ana")
FAR = timedelta(days=2)


def make_room(now: datetime) -> None:
    """The partitions that rows of the last days need."""
    for table in (tables.CALL_MINUTES, tables.RETRIES, tables.FALLBACKS, tables.BULKHEADS):
        partitions.ensure(table, now - FAR, now + timedelta(minutes=1))


def catalogue(now: datetime) -> None:
    """Two services, of which users know one by name."""
    for name, public in ((PLANNER, "Planner"), (AGENT, "")):
        Service.objects.get_or_create(
            name=name, defaults={"public_name": public, "first_seen": now, "last_seen": now}
        )
    with transaction.atomic():
        document_register(services=[PLANNER, AGENT], now=now)


def instance(service: str, name: str, now: datetime, *, ago: float = 1, applied: int = 0) -> None:
    """A process of a service that was heard of `ago` seconds before."""
    seen = now - timedelta(seconds=ago)
    Instance.objects.update_or_create(
        service=service,
        instance=name,
        defaults={
            "version": "1.4.0",
            "first_seen": now - timedelta(hours=5),
            "last_seen": seen,
            "polled_at": seen,
            "applied_version": applied,
            "applied_at": seen,
        },
    )


def retries(minute: datetime, classification: str, outcome: str, attempts: int) -> None:
    """Records of the planner's retries of Graph in one minute; each waited half a second."""
    RetryRollup.objects.create(
        minute=minute.replace(second=0, microsecond=0),
        service=PLANNER,
        dependency=GRAPH,
        classification=classification,
        outcome=outcome,
        attempts=attempts,
        delay_ms=attempts * 500.0 if outcome == "retried" else 0.0,
    )


def budget(name: str, now: datetime, calls: int, further: int, left: int, ago: float = 1) -> None:
    RetryBudget.objects.create(
        service=PLANNER,
        dependency=GRAPH,
        instance=name,
        calls=calls,
        retries=further,
        left=left,
        last_seen=now - timedelta(seconds=ago),
    )


def served(
    minute: datetime, source: str, count: int, ages: tuple[float, float] | None = None
) -> None:
    """Fallback answers in one minute; `ages` are their mean and the largest, in seconds."""
    FallbackRollup.objects.create(
        minute=minute.replace(second=0, microsecond=0),
        service=PLANNER,
        dependency=GRAPH,
        source=source,
        served=count,
        aged=count if ages else 0,
        age_sum=ages[0] * count if ages else 0.0,
        age_max=ages[1] if ages else None,
    )


def calls(minute: datetime, count: int, rejected: int = 0) -> None:
    """Calls that the planner's breaker of Graph saw in one minute."""
    CallMinute.objects.create(
        minute=minute.replace(second=0, microsecond=0),
        service=PLANNER,
        name=GRAPH,
        calls=count,
        failures=count // 10,
        ignored=0,
        slow=0,
        rejected=rejected,
        seconds=count * 0.1,
    )


def bulkhead(name: str, of: str, now: datetime, used: tuple[int, int, int], ago: float = 1) -> None:
    """`used` is active, queued and limit."""
    Bulkhead.objects.create(
        service=PLANNER,
        name=name,
        instance=of,
        active=used[0],
        queued=used[1],
        limit=used[2],
        last_seen=now - timedelta(seconds=ago),
    )


def rejected(minute: datetime, name: str, tier: str, reason: str, count: int) -> None:
    """Calls that one of the planner's bulkheads rejected in one minute."""
    BulkheadRollup.objects.create(
        minute=minute.replace(second=0, microsecond=0),
        service=PLANNER,
        name=name,
        tier=tier,
        reason=reason,
        rejected=count,
    )


def breach(at: datetime, name: str, kind: str, mitigation: str) -> None:
    BulkheadBreach.objects.create(
        id=uuid.uuid4(),
        at=at,
        service=PLANNER,
        name=name,
        instance="planner-1",
        kind=kind,
        mitigation=mitigation,
    )


def breaker(name: str, of: str, now: datetime, state: str = "closed") -> Breaker:
    """A breaker of the planner in one instance."""
    return Breaker.objects.create(
        service=PLANNER,
        name=name,
        instance=of,
        key=breaker_key(PLANNER, name),
        state=state,
        since=now - timedelta(minutes=5),
        first_seen=now - timedelta(hours=5),
        last_seen=now - timedelta(seconds=1),
    )


def fleet(now: datetime) -> None:
    """Services, instances and a failure domain; nothing decided yet."""
    make_room(now)
    catalogue(now)
    for name, ago in (("planner-1", 1), ("planner-2", 2), ("planner-3", 600)):
        instance(PLANNER, name, now, ago=ago)
    instance(AGENT, "agent-1", now)
    for name in (GRAPH, REDIS):
        for of in ("planner-1", "planner-2"):
            breaker(name, of, now)
    DomainMember.objects.create(domain="graph-eu", service=PLANNER, name=GRAPH, source="reported")


def traffic(now: datetime) -> None:
    """Half an hour in which Graph throttled, and what protected the planner from it."""
    for ago in range(30, 0, -1):
        minute = now - timedelta(minutes=ago)
        calls(minute, 120, rejected=10 if ago < 10 else 0)
        if ago < 15:
            retries(minute, "rate_limited", "retried", 9)
            retries(minute, "transient", "retried", 2)
            retries(minute, "rate_limited", "succeeded", 6)
            retries(minute, "rate_limited", "exhausted", 1)
        if ago < 4:
            retries(minute, "rate_limited", "budget_exhausted", 3)
        if ago < 10:
            served(minute, "stale_cache", 9, (240.0, 900.0))
            served(minute, "fallback:tasks_of_yesterday", 2)
            rejected(minute, "plans", "free", "queue_full", 4)
            rejected(minute, "plans", "premium", "timeout", 1)
    for of in ("planner-1", "planner-2"):
        budget(of, now, 118, 14, 7)
    budget("planner-3", now, 999, 999, 0, ago=600)
    bulkhead("plans", "planner-1", now, (9, 3, 10))
    bulkhead("plans", "planner-2", now, (4, 0, 10))
    bulkhead("plans", "planner-3", now, (10, 10, 10), ago=600)
    bulkhead("reports", "planner-1", now, (0, 0, 4))
    breach(now - timedelta(minutes=6), "plans", "slot_overdue", "reclaim")
    breach(now - timedelta(minutes=3), "plans", "queue_saturation", "shed")


def stay_heard_of(now: datetime) -> None:
    """Let no stall of a busy machine make those silent that are heard of."""
    models: tuple[type[Breaker | Bulkhead | Instance], ...] = (Breaker, Bulkhead, Instance)
    for model in models:
        heard = model.objects.filter(last_seen__gt=now - timedelta(minutes=5))
        heard.update(last_seen=now + timedelta(minutes=10))


def decisions(now: datetime) -> None:
    """What people have switched: three toggles, one degraded service."""
    shared = {"actor": ANA, "role": Role.ADMIN, "now": now}
    toggle_set(
        key="planner.write", value=True, reason="writes are safe again", owner="planner team",
        description="Whether the planner may change plans.", **shared,
    )  # fmt: skip
    toggle_set(
        key="planner.write", value=False, reason="Graph loses writes", expires_in=3_600, **shared
    )
    toggle_set(
        key="planner.suggestions", value=True, rollout=0.25, services=[PLANNER],
        reason="try them on a quarter", **shared,
    )  # fmt: skip
    toggle_set(
        key="planner.page_size", value=50, otherwise=100, instances=["planner-1"],
        reason="smaller pages under load", services=[PLANNER], **shared,
    )  # fmt: skip
    degraded_set(
        service=PLANNER, level="reduced", notice="Plans may be a few minutes old.",
        reason="Graph throttles us", expires_in=3_600, **shared,
    )  # fmt: skip

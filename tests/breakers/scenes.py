"""Breakers to look at: a fleet of services, each in several instances, with two minutes of calls."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from breakers.domain.keys import breaker_key
from breakers.models import (
    Breaker,
    BreakerTransition,
    CallMinute,
    CallRollup,
    ControlDocument,
    DomainMember,
    Instance,
    Override,
)
from breakers.models import partitions as tables
from resilience_site.core import partitions

GRAPH = ("planner-mcp-server", "microsoft_graph")
GRAPH_KEY = breaker_key(*GRAPH)
POLICY = {
    "failure_threshold": 5,
    "timeout": 30.0,
    "sliding_window_type": "count",
    "sliding_window_size": 100,
    "minimum_number_of_calls": 10,
    "failure_rate_threshold": 0.5,
    "slow_call_duration_threshold": 2.0,
    "slow_call_rate_threshold": 0.8,
    "permitted_calls_in_half_open_state": 3,
    "max_wait_duration_in_half_open_state": None,
    "timeout_multiplier": 1.0,
    "max_timeout": None,
    "timeout_jitter": 0.0,
}
_SERVICES = (
    "planner-mcp-server", "billing-api", "checkout", "catalogue", "search-indexer",
    "notification-worker", "identity", "report-builder", "media-gateway", "sync-agent",
)  # fmt: skip
_DEPENDENCIES = (
    "microsoft_graph", "redis", "postgresql", "payment_provider", "smtp_relay", "object_storage",
    "search_cluster", "ldap", "fx_rates", "webhook_out", "feature_flags", "geo_lookup",
    "ocr_service", "pdf_renderer", "tax_service", "crm", "message_broker", "audit_sink",
    "model_gateway", "calendar_api",
)  # fmt: skip


@dataclass
class Scene:
    """One breaker: the state of each instance, and its calls in ten seconds and instance.

    `gaps` are the bins of two minutes, oldest first, in which nothing came in.
    """

    service: str
    name: str
    states: Sequence[str] = ("closed", "closed", "closed")
    calls: int = 20
    failures: int = 0
    slow: int = 0
    rejected: int = 0
    gaps: Sequence[int] = ()
    age: timedelta = timedelta(seconds=2)
    policy: dict[str, Any] | None = field(default_factory=lambda: dict(POLICY))

    @property
    def key(self) -> str:
        return breaker_key(self.service, self.name)


def clear() -> None:
    """Empty the partitioned tables, in which rows of an earlier test that committed stay."""
    with connection.cursor() as cursor:
        for each in partitions.registered():
            cursor.execute(f"DELETE FROM {each.table}")


def instance_name(service: str, number: int) -> str:
    return f"{service}-{number}"


def store(
    scenes: Iterable[Scene], now: datetime, *, version: int = 4, applied: Sequence[int] = ()
) -> None:
    """Store the scenes; `applied` are the versions that the instances acknowledged, all of them
    the present one by default."""
    scenes = list(scenes)
    instances: dict[tuple[str, str], Instance] = {}
    breakers, calls = [], []
    for scene in scenes:
        for number, state in enumerate(scene.states, 1):
            name = instance_name(scene.service, number)
            instances[scene.service, name] = Instance(
                service=scene.service,
                instance=name,
                version="1.4.2",
                first_seen=now - timedelta(hours=5),
                last_seen=now - scene.age,
                started_at=now - timedelta(hours=5),
                polled_at=now - scene.age,
                applied_version=applied[number - 1] if len(applied) >= number else version,
                applied_at=now - scene.age,
            )
            breakers.append(_breaker(scene, name, state, now, number))
            calls += _calls(scene, name, state, now)
    Instance.objects.bulk_create(instances.values(), ignore_conflicts=True)
    Breaker.objects.bulk_create(breakers)
    first = now - timedelta(minutes=3)
    partitions.ensure(tables.CALLS, first, now)
    CallRollup.objects.bulk_create(calls)
    ControlDocument.objects.bulk_create(
        [
            ControlDocument(service=service, version=version, document={}, changed_at=now)
            for service in sorted({scene.service for scene in scenes})
        ],
        ignore_conflicts=True,
    )


def _breaker(scene: Scene, instance: str, state: str, now: datetime, number: int) -> Breaker:
    since = now - timedelta(seconds=100 * number if state == "closed" else 12 * number)
    opened = state == "open"
    return Breaker(
        service=scene.service,
        name=scene.name,
        instance=instance,
        key=scene.key,
        state=state,
        since=since,
        reason="failure_rate" if opened else "recovered",
        failure_rate=0.62 if opened else None,
        window_calls=100 if opened else None,
        next_probe_at=since + timedelta(seconds=60) if opened else None,
        policy=scene.policy,
        policy_at=now - timedelta(hours=1),
        first_seen=now - timedelta(hours=5),
        last_seen=now - scene.age,
    )


def _calls(scene: Scene, instance: str, state: str, now: datetime) -> Iterable[CallRollup]:
    newest = now.timestamp() // 10 * 10
    for number in range(12):
        if number in scene.gaps:
            continue
        blocked = state in ("open", "forced_open")
        yield CallRollup(
            at=datetime.fromtimestamp(newest - 10 * (11 - number), UTC),
            service=scene.service,
            name=scene.name,
            instance=instance,
            calls=0 if blocked and number > 8 else scene.calls,
            failures=0 if blocked and number > 8 else scene.failures,
            ignored=0,
            slow=scene.slow,
            rejected=scene.calls if blocked and number > 8 else scene.rejected,
            seconds=scene.calls * 0.08,
        )


def fleet(breakers: int = 200, instances: int = 3, seed: int = 5) -> list[Scene]:
    """Breakers of ten services; most of them work."""
    chance = random.Random(seed)
    scenes = []
    for number in range(breakers):
        service = _SERVICES[number // 20 % len(_SERVICES)]
        name = _DEPENDENCIES[number % 20] + ("" if number < 200 else f"_{number // 200}")
        scene = Scene(service, name, ("closed",) * instances, calls=chance.randint(2, 60))
        if number % 9 == 4:
            scene.failures = max(1, scene.calls // 12)
        if number % 23 == 7:
            scene.calls, scene.failures = 1, 0
        if number % 31 == 11:
            scene.gaps = (4, 5)
        scenes.append(scene)
    return scenes


def incident(now: datetime, breakers: int = 24) -> list[Scene]:
    """A fleet in trouble: Graph is down for a service, people have stepped in, one went silent."""
    scenes = fleet(breakers)
    first, redis, postgres, payment, smtp = scenes[:5]
    first.states, first.calls, first.failures = ("open", "open", "closed"), 40, 17
    redis.states, redis.failures = ("half_open",) * 3, 4
    postgres.states = ("forced_open",) * 3
    payment.states = ("forced_closed",) * 3
    payment.failures = payment.calls // 3
    smtp.age = timedelta(minutes=4)
    scenes[5].states = ("disabled",) * 3
    scenes[6].states = ("metrics_only",) * 3
    scenes[7].calls, scenes[7].failures = 50, 9
    store(scenes, now)
    Override.objects.create(
        scope="service", service=postgres.service, name=postgres.name, state="forced_open",
        reason="Failing over to the standby", actor="ana", created_at=now - timedelta(minutes=6),
        expires_at=now + timedelta(minutes=54),
    )  # fmt: skip
    Override.objects.create(
        scope="service", service=payment.service, name=payment.name, state="forced_closed",
        reason="Provider confirmed: their 500s are answers", actor="ben",
        created_at=now - timedelta(minutes=2), expires_at=now + timedelta(minutes=13),
    )  # fmt: skip
    for scene in scenes[:2]:
        DomainMember.objects.create(
            domain="graph-eu", service=scene.service, name=scene.name, source="reported"
        )
    history(first, now)
    return scenes


def history(scene: Scene, now: datetime) -> None:
    """Three hours in which a breaker opened, probed and closed again, and its calls a minute."""
    steps = [
        (57, "closed", "open", "failure_rate", 0.55), (56, "open", "half_open", "timeout", None),
        (55, "half_open", "closed", "recovered", None), (44, "closed", "open", "failure_rate", 0.71),
        (43, "open", "half_open", "timeout", None), (42, "half_open", "open", "failure_rate", 1.0),
        (41, "open", "half_open", "timeout", None), (40, "half_open", "closed", "recovered", None),
        (0.3, "closed", "open", "failure_rate", 0.62),
    ]  # fmt: skip
    BreakerTransition.objects.bulk_create(
        [
            transition(
                scene, now - timedelta(minutes=minutes), before, after, reason=reason, rate=rate
            )
            for minutes, before, after, reason, rate in steps
        ]
    )
    first = (now - timedelta(hours=3)).replace(second=0, microsecond=0)
    partitions.ensure(tables.CALL_MINUTES, first, now)
    chance = random.Random(3)
    CallMinute.objects.bulk_create(
        [
            CallMinute(
                minute=first + timedelta(minutes=n), service=scene.service, name=scene.name,
                calls=120, failures=(70 if n in (123, 124, 136, 137, 138, 179) else chance.randint(0, 3)),
                ignored=0, slow=2, rejected=60 if n in (125, 138, 139, 179) else 0, seconds=9.5,
            )
            for n in range(181)
            if not 150 <= n < 154
        ]
    )  # fmt: skip


def transition(
    scene: Scene,
    at: datetime,
    before: str,
    after: str,
    *,
    reason: str = "failure_rate",
    rate: float | None = 0.62,
    number: int = 1,
) -> BreakerTransition:
    """One transition of an instance, not stored yet."""
    return BreakerTransition(
        id=uuid.uuid4(), at=at, service=scene.service, name=scene.name,
        instance=instance_name(scene.service, number), from_state=before, to_state=after,
        reason=reason, failure_rate=rate, calls=100, trace_id="", received_at=at,
    )  # fmt: skip

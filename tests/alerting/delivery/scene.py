"""Channels and messages for tests of delivery."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from alerting.channels import kind_named
from alerting.choices import Purpose
from alerting.domain.messages import AlertTold, IncidentTold, Message, Why
from alerting.models import AlertGroup, Channel, Delivery, Route
from alerting.services.outbox import delivery_enqueue
from health.services.masks import mask
from resilience_site.core.sealing import seal

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0yNC1ieXRlcw=="
_names = itertools.count(1)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def channel(kind: str, target: dict[str, Any], name: str = "", **more: Any) -> Channel:
    """A channel as a person's act would leave it."""
    known = kind_named(kind)
    assert known is not None
    return Channel.objects.create(
        kind=kind,
        target=mask(known, target),
        name=name or f"{kind}-{next(_names)}",
        sealed=seal(orjson.dumps(target).decode()),
        created_at=NOW,
        changed_at=NOW,
        **more,
    )


def webhook(url: str, name: str = "", **more: Any) -> Channel:
    return channel("webhook", {"url": url, "secret": SECRET}, name, **more)


def told(**more: Any) -> AlertTold:
    fields: dict[str, Any] = {
        "id": "5f0c9d2e-0000-4000-8000-000000000001",
        "rule": "breaker-open",
        "status": "firing",
        "severity": "page",
        "labels": {"alertname": "breaker-open", "service": "planner", "severity": "page"},
        "summary": "The breaker graph-calendar of planner is open",
        "started_at": NOW,
        "fingerprint": "ab" * 32,
        "details": "3 of 4 calls failed within 60 s.",
        "runbook_url": "https://runbooks.example.com/breaker",
        "url": "http://127.0.0.1:8000/alerts/5f0c9d2e-0000-4000-8000-000000000001",
        "incident_url": "http://127.0.0.1:8000/incidents/1",
        "facts": {"failures": 3},
    }
    return AlertTold(**fields | more)


INCIDENT = IncidentTold(
    title="Graph <fails>",
    url="http://127.0.0.1:8000/incidents/1",
    cause="It probably began in graph: check graph-ping fails.",
    evidence=("31 chains of errors began there",),
    impact="1,031 requests of graph lost, 12 users",
)


def message(**more: Any) -> Message:
    fields: dict[str, Any] = {
        "title": "Firing: breaker-open of planner",
        "text": "The breaker graph-calendar of planner is open.",
        "severity": "page",
        "url": "http://127.0.0.1:8000/incidents/1",
        "group_key": "default:breaker-open",
        "alerts": (told(),),
        "why": Why("first", "The first alert of its group.", "default", {"service": "planner"}),
    }
    return Message(**fields | more)


def group() -> AlertGroup:
    route, _ = Route.objects.get_or_create(name="delivery", defaults={"position": 1})
    return AlertGroup.objects.create(
        route=route, key=f"{next(_names)}".zfill(64), created_at=NOW, due_at=None
    )


def enqueue(to: Channel, told: Message | None = None, **more: Any) -> Delivery:
    fields: dict[str, Any] = {"purpose": Purpose.ALERTS, "now": NOW}
    return delivery_enqueue(channel=to, message=told or message(), **fields | more)

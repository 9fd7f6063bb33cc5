"""Rules over the journal, live: an entry becomes an alert within one turn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from alerting.models import Alert, AlertRule
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from resilience_site.core import journal

pytestmark = pytest.mark.django_db


@pytest.fixture
def shipped() -> Iterator[None]:
    rules_ship(now=datetime.now(UTC))
    rules_evaluate(now=datetime.now(UTC))
    yield
    assert not AlertRule.objects.exclude(fault="").exists()


def tell(topic: str, kind: str, key: str, state: str = "", service: str = "planner", **more: Any):
    with transaction.atomic():
        journal.append([journal.Entry(topic, kind, key, state, service, more)])


def turn() -> None:
    rules_evaluate(now=datetime.now(UTC))


def breaker(state: str, instance: str = "planner-1", **more: Any) -> None:
    tell(
        "breakers", "breaker.transition", "0123456789abcdef", state,
        name="graph", instance=instance, from_state="closed", reason="failure_rate", **more,
    )  # fmt: skip


def states(rule: str) -> list[str]:
    return [each.state for each in Alert.objects.filter(rule_name=rule).order_by("started_at")]


def test_an_opening_breaker_is_an_alert_until_it_has_closed(shipped: None) -> None:
    breaker("open")
    turn()
    alert = Alert.objects.get()
    assert (alert.state, alert.severity, alert.service) == ("firing", "page", "planner")
    assert alert.labels == {
        "alertname": "breaker_open",
        "severity": "page",
        "service": "planner",
        "breaker": "graph",
    }
    assert alert.annotations["summary"] == "Breaker graph of planner is open"
    assert "on planner-1" in alert.annotations["details"]
    assert alert.facts["link"] == "/breakers/0123456789abcdef"
    breaker("closed")
    closed = journal.read(0, ["breakers"])[-1].at
    rules_evaluate(now=closed + timedelta(seconds=20))
    assert states("breaker_open") == ["firing"]
    rules_evaluate(now=closed + timedelta(seconds=60))
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert alert.ended_at - closed == timedelta(seconds=30)

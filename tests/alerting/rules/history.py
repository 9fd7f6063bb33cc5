"""Histories for rules: entries and figures at chosen times, and a live evaluation through them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from alerting.models import Alert, AlertRule
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.trial import rule_trial
from resilience_site.core import journal, partitions

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
# Labels, and when it began, fired and ended.
Told = tuple[tuple[tuple[str, str], ...], datetime, datetime, datetime | None]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def write(
    seconds: float, topic: str, kind: str, key: str = "k", state: str = "",
    service: str = "planner", **payload: Any,
) -> None:  # fmt: skip
    """An entry of the journal that was written so long after `START`."""
    moment = at(seconds)
    partitions.ensure(journal.TABLE, moment, moment)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_journalentry (at, topic, kind, key, state, service, payload) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [moment, topic, kind, key, state, service, json.dumps(payload)],
        )


def breaker(seconds: float, state: str, name: str = "graph", instance: str = "i-1") -> None:
    write(
        seconds, "breakers", "breaker.transition", f"key-of-{name}", state,
        name=name, instance=instance, from_state="closed", reason="failure_rate",
    )  # fmt: skip


def live(seconds: Iterable[float]) -> None:
    """One turn of the live evaluation at each of these times."""
    for each in seconds:
        rules_evaluate(now=at(each))


def alerts_live(rule: str, until: float) -> list[Told]:
    """What the live evaluation made and told, as of a time."""
    rows = Alert.objects.filter(rule_name=rule, fired_at__isnull=False).order_by("fired_at", "pk")
    found = [(_labels(each.labels), each.started_at, each.fired_at, each.ended_at) for each in rows]
    return sorted(each for each in found if each[2] < at(until))  # type: ignore[type-var, return-value]


def alerts_tried(rule: str, since: float, until: float, now: float) -> list[Told]:
    """What a trial of the range says."""
    row = AlertRule.objects.get(name=rule)
    trial = rule_trial(row, since=at(since), until=at(until), now=at(now))
    return sorted(
        (_labels(each.labels), each.started_at, each.fired_at, each.ended_at)
        for each in trial.alerts
    )


def only(*names: str) -> None:
    """Other rules are out of the way."""
    AlertRule.objects.exclude(name__in=names).update(enabled=False)


def _labels(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))

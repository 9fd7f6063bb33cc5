"""The one door for alerts: what begins, fires and ends, and what the journal says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerting.domain.alerts import AlertChange, Happening
from alerting.models import Alert
from alerting.services.alerts import KEPT, alerts_apply, alerts_prune
from resilience_site.core import journal

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def change(happening: Happening, seconds: int = 0, **fields: Any) -> AlertChange:
    given: dict[str, Any] = {
        "labels": {"alertname": "breaker_open", "service": "planner", "breaker": "graph"},
        "rule_name": "breaker_open",
        "severity": "page",
        "started_at": NOW,
        "service": "planner",
        **fields,
    }
    return AlertChange(happening=happening, at=NOW + timedelta(seconds=seconds), **given)


def kinds() -> list[str]:
    return [each.kind for each in journal.read(0, ["alerts"])]


def test_an_alert_pends_fires_and_ends_as_one_row_and_three_journal_entries() -> None:
    alerts_apply([change("begin")], now=NOW)
    alerts_apply([change("fire", 60, annotations={"summary": "open"})], now=NOW)
    alerts_apply([change("refresh", 70, facts={"value": 3})], now=NOW)
    (ended,) = alerts_apply([change("resolve", 120)], now=NOW)
    alert = Alert.objects.get()
    assert (alert.pk, alert.state) == (ended.pk, "resolved")
    assert alert.fired_at == NOW + timedelta(seconds=60)
    assert alert.ended_at == NOW + timedelta(seconds=120)
    assert (alert.facts, alert.annotations) == ({"value": 3}, {"summary": "open"})
    assert kinds() == ["alert.pending", "alert.firing", "alert.resolved"]
    last = journal.read(0, ["alerts"])[-1]
    assert (last.key, last.state, last.service) == (str(alert.pk), "resolved", "planner")
    assert last.payload["labels"]["breaker"] == "graph"


def test_what_has_happened_already_changes_nothing() -> None:
    alerts_apply([change("resolve"), change("refresh"), change("fire")], now=NOW)
    assert alerts_apply([change("fire", 5), change("begin", 5)], now=NOW) == []
    alerts_apply([change("resolve", 6), change("resolve", 7)], now=NOW)
    assert Alert.objects.get().ended_at == NOW + timedelta(seconds=6)
    assert kinds() == ["alert.firing", "alert.resolved"]


def test_the_texts_of_a_rule_stay_what_they_were_when_the_alert_began_to_fire() -> None:
    alerts_apply([change("fire", annotations={"summary": "3 calls failed"})], now=NOW)
    alerts_apply([change("fire", 5, annotations={"summary": "9 calls failed"})], now=NOW)
    assert Alert.objects.get().annotations == {"summary": "3 calls failed"}


def test_an_alert_that_ends_before_it_fired_leaves_no_row() -> None:
    alerts_apply([change("begin")], now=NOW)
    alerts_apply([change("resolve", 5), change("begin", 6)], now=NOW)
    assert [each.state for each in Alert.objects.all()] == ["pending"]
    assert kinds() == ["alert.pending", "alert.resolved", "alert.pending"]
    assert journal.read(0, ["alerts"])[1].payload["fired_at"] is None


def test_what_ends_and_comes_again_in_one_call_is_two_alerts() -> None:
    alerts_apply([change("fire")], now=NOW)
    alerts_apply([change("resolve", 5), change("fire", 6), change("resolve", 7)], now=NOW)
    assert [each.state for each in Alert.objects.all()] == ["resolved", "resolved"]


def test_alerts_of_other_labels_stay_apart_and_thousands_need_few_queries(
    django_assert_max_num_queries: Any,
) -> None:
    many = [change("fire", labels={"alertname": "x", "n": str(n)}) for n in range(2000)]
    with django_assert_max_num_queries(16):
        assert len(alerts_apply(many, now=NOW)) == 2000
    assert Alert.objects.filter(state="firing").count() == 2000


def test_an_end_before_the_beginning_is_the_beginning() -> None:
    alerts_apply([change("fire", 60)], now=NOW)
    alerts_apply([change("resolve", -60)], now=NOW)
    alert = Alert.objects.get()
    assert alert.ended_at == alert.fired_at


def test_alerts_that_are_long_over_are_deleted_and_open_ones_stay() -> None:
    alerts_apply([change("fire"), change("resolve", 5)], now=NOW)
    alerts_apply([change("fire", 10)], now=NOW)
    assert alerts_prune(now=NOW + KEPT) == 0
    assert alerts_prune(now=NOW + KEPT + timedelta(minutes=1)) == 1
    assert Alert.objects.get().state == "firing"

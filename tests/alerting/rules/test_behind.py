"""An evaluation that is behind, beside one that fails, against a person's act, and clocks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from alerting.domain.rules.lifecycle import Emission
from alerting.models import Alert, AlertRule, RuleProgress
from alerting.services.rules import evaluate, machines
from alerting.services.rules.shipped import rules_ship
from tests.alerting.rules.history import (
    alerts_live,
    alerts_tried,
    at,
    breaker,
    live,
    only,
    write,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shipped() -> None:
    rules_ship(now=at(-10))


def test_time_stands_still_between_the_pages_of_an_evaluation_that_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate, "_PAGE", 2)
    only("ingest_key_silent", "breaker_open")
    live([0])
    for minute in range(0, 60, 10):
        write(minute * 60 + 1, "ingest", "key.heard", "7", "", "", name="planner's")
    breaker(3010, "open")
    live([3600])
    assert alerts_live("ingest_key_silent", 3600) == []
    assert alerts_tried("ingest_key_silent", 0, 3600, 3610) == []
    assert [each[2] for each in alerts_live("breaker_open", 3600)] == [at(3010)]


def test_a_rule_that_fails_with_others_holds_none_of_them_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only("breaker_open", "fallback_activated")
    live([0])
    whole = machines.changes_of

    def fails(rule: AlertRule, emissions: Iterable[Emission]) -> Any:
        if rule.name == "fallback_activated":
            raise ValueError("nobody can say this")
        return whole(rule, emissions)

    monkeypatch.setattr(evaluate, "changes_of", fails)
    breaker(10, "open")
    live([20])
    assert set(Alert.objects.values_list("rule_name", flat=True)) == {"breaker_open", "rule_faulty"}
    assert "nobody can say this" in AlertRule.objects.get(name="fallback_activated").fault
    monkeypatch.undo()
    live([30])
    assert AlertRule.objects.get(name="fallback_activated").fault == ""


def test_a_rule_that_is_switched_off_in_the_middle_of_a_turn_begins_nothing() -> None:
    only("breaker_open")
    breaker(10, "open")
    stale = AlertRule.objects.get(name="breaker_open")
    AlertRule.objects.filter(pk=stale.pk).update(enabled=False, version=stale.version + 1)
    evaluate._begin(stale, at(60), evaluate.Evaluated())
    assert not RuleProgress.objects.exists()
    assert not Alert.objects.exists()


def test_figures_read_by_a_clock_that_was_ahead_are_read_again() -> None:
    only("error_correlation_spike")
    live([3 * 86_400, 3600])
    progress = RuleProgress.objects.get()
    assert progress.evaluated_until == at(3600) - timedelta(seconds=120)
    live([3720])
    progress.refresh_from_db()
    assert progress.evaluated_until == at(3600)

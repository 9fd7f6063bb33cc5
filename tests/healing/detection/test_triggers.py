"""Triggers beside checks: breakers, patterns, predictions, alerts, and heals that were verified."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from alerting.models import Alert
from analytics.models import ErrorPattern, ObservedFailure, Prediction
from breakers.domain.keys import breaker_key
from breakers.models import Breaker, BreakerTransition, Instance
from healing.models import HealingRun, Opportunity
from healing.services.failure_detector import failures_look
from health.models import Service
from tests.healing.detection.scene import opportunities, reached, workflow

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def quiet(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    reached("planner")


def look(minutes: float = 0) -> None:
    failures_look(now=NOW + minutes * MINUTE)


def breaker(state: str, *, instance: str = "a-1", heard: float = 0) -> Breaker:
    seen = NOW + heard * MINUTE
    Instance.objects.update_or_create(
        service="planner", instance=instance, defaults={"first_seen": NOW, "last_seen": seen}
    )
    return Breaker.objects.update_or_create(
        service="planner", name="graph", instance=instance,
        defaults={
            "key": breaker_key("planner", "graph"), "state": state, "since": NOW,
            "reason": "too many failed", "first_seen": NOW, "last_seen": seen,
        },
    )[0]  # fmt: skip


def pattern(state: str = "escalating", **more: Any) -> ErrorPattern:
    fields = {
        "service": "planner", "type": "PoolTimeout", "template": "no connection", "rule": "type",
        "version": 1, "state": state, "count": 9, "first_seen": NOW, "last_seen": NOW,
        "last_error_id": uuid4(), "state_changed_at": NOW, **more,
    }  # fmt: skip
    return ErrorPattern.objects.create(id=uuid4(), **fields)


def healed(**more: Any) -> HealingRun:
    fields = {
        "workflow": "restart_service", "version": 1, "definition": {}, "target_kind": "service",
        "target": "planner", "service": "planner", "mode": "auto", "state": "succeeded",
        "trigger_kind": "check_failed", "requested_by": "healing", "created_at": NOW,
        "trigger": {"since": NOW.isoformat()}, "started_at": NOW, "ended_at": NOW + MINUTE,
        "deadline": NOW + 30 * MINUTE, **more,
    }  # fmt: skip
    return HealingRun.objects.create(**fields)


# --- Breakers ------------------------------------------------------------------------------------


def test_a_trigger_may_wait_until_a_failure_has_lasted() -> None:
    workflow("reset", target="breaker", trigger={"type": "breaker_open", "for_seconds": 45})
    breaker("open", heard=2)
    look(0.7)
    assert opportunities() == []
    look(1)
    assert opportunities() == [("reset", "planner/graph", "open")]


def test_an_open_breaker_is_a_target_of_its_own_until_it_closes() -> None:
    trigger = {"type": "breaker_open", "names": ["gr*"]}
    workflow("reset", trigger=trigger, target="breaker")
    workflow("degrade", trigger=trigger)
    breaker("open")
    breaker("closed", instance="a-2")
    look()
    assert opportunities() == [("degrade", "planner", "open"), ("reset", "planner/graph", "open")]
    # It tries whether it may close, which is no end yet.
    breaker("half_open")
    look(1 / 6)
    breaker("open")
    look(2 / 6)
    assert {state for *_, state in opportunities()} == {"open"}
    assert Opportunity.objects.count() == 2
    breaker("closed")
    look(3 / 6)
    assert {state for *_, state in opportunities()} == {"ended"}


def test_a_breaker_that_only_tries_to_close_does_not_begin_one() -> None:
    workflow("reset", trigger={"type": "breaker_open"}, target="breaker")
    breaker("half_open")
    look()
    assert opportunities() == []


def test_what_a_silent_instance_said_last_is_nothing_that_fails() -> None:
    workflow("reset", trigger={"type": "breaker_open"}, target="breaker")
    breaker("open", heard=-1)
    look()
    assert opportunities() == []


# --- Patterns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "count"), [("escalating", 1), ("regressed", 1), ("new", 0), ("resolved", 0)]
)
def test_patterns_that_spike_are_opportunities(state: str, count: int) -> None:
    workflow("calm", trigger={"type": "pattern_spiking", "names": ["Pool*"]}, target="pattern")
    made = pattern(state)
    pattern(state, type="Other")
    pattern(state, type="breakers.runtime.errors.CallNotPermitted")
    look()
    assert opportunities() == [("calm", str(made.pk), "open")] * count


def test_a_pattern_that_is_seen_no_more_spikes_no_more() -> None:
    workflow("calm", trigger={"type": "pattern_spiking"}, target="pattern")
    pattern()
    look()
    look(11)
    assert [state for *_, state in opportunities()] == ["ended"]


# --- Predictions and alerts ----------------------------------------------------------------------


def prediction(probability: float, kind: str = "health_down") -> Prediction:
    return Prediction.objects.create(
        id=uuid4(), service="planner", kind=kind, probability=probability, confidence=0.5,
        horizon_seconds=1800, made_at=NOW, due_at=NOW + 30 * MINUTE, reasons=["errors grow"],
        method="rules", outcome="pending",
    )  # fmt: skip


def test_a_failure_that_is_likely_enough_is_answered_before_it_comes() -> None:
    workflow("early", trigger={"type": "prediction", "probability": 0.8})
    workflow("eager", trigger={"type": "prediction", "probability": 0.5})
    prediction(0.6)
    look()
    assert opportunities() == [("eager", "planner", "open")]
    look(31)
    assert opportunities() == [("eager", "planner", "ended")]


def test_a_service_is_as_critical_to_every_trigger_as_the_catalogue_says() -> None:
    wanted = {"criticality": ["critical", "high"]}
    workflow("early", trigger={"type": "prediction", **wanted})
    workflow("answer", trigger={"type": "alert", **wanted})
    service = Service.objects.create(name="planner", first_seen=NOW, last_seen=NOW)
    prediction(0.9)
    alert()
    look()
    assert opportunities() == []
    Service.objects.filter(pk=service.pk).update(criticality="high")
    look(1)
    assert [name for name, *_ in opportunities()] == ["answer", "early"]


def alert(rule: str = "slo_burn_fast", **more: Any) -> Alert:
    fields = {
        "rule_name": rule, "fingerprint": uuid4().hex, "labels": {}, "severity": "page",
        "annotations": {"summary": "it burns"}, "state": "firing", "service": "planner",
        "started_at": NOW, "fired_at": NOW, "changed_at": NOW, **more,
    }  # fmt: skip
    return Alert.objects.create(**fields)


def test_an_alert_that_fires_is_an_opportunity_unless_it_is_about_healing() -> None:
    workflow("answer", trigger={"type": "alert"})
    fired = alert()
    alert("healing_failed")
    alert("about_nothing", service="")
    look()
    assert opportunities() == [("answer", "planner", "open")]
    assert Opportunity.objects.get().trigger["text"] == "Alert slo_burn_fast of planner: it burns"
    Alert.objects.filter(pk=fired.pk).update(state="resolved")
    look(1)
    assert opportunities() == [("answer", "planner", "ended")]


def test_nothing_with_a_name_that_no_table_holds_stops_the_others() -> None:
    workflow("reset", trigger={"type": "alert"}, target="breaker")
    alert(labels={"breaker": "x" * 500})
    alert(labels={"breaker": "graph"})
    look()
    assert opportunities() == [("reset", "planner/graph", "open")]


# --- After a heal --------------------------------------------------------------------------------

QUIET = {"type": "healed", "quiet_seconds": 600}


def test_a_pattern_that_began_with_the_failure_is_cleared_once_all_is_quiet() -> None:
    workflow("auto_resolve", trigger=QUIET, target="pattern")
    made = pattern("regressed")
    pattern("new", first_seen=NOW - 60 * MINUTE, state_changed_at=None)
    pattern("regressed", service="graph")
    pattern("ongoing")
    healed()
    look(10)
    assert opportunities() == []
    look(11)
    assert opportunities() == [("auto_resolve", str(made.pk), "open")]
    ErrorPattern.objects.filter(pk=made.pk).update(state="resolved")
    look(12)
    assert opportunities() == [("auto_resolve", str(made.pk), "ended")]


def test_errors_after_the_heal_put_it_off() -> None:
    workflow("auto_resolve", trigger=QUIET, target="pattern")
    pattern("regressed", last_seen=NOW + 5 * MINUTE)
    healed()
    look(14)
    assert opportunities() == []
    look(15)
    assert len(opportunities()) == 1


def test_a_heal_that_did_not_hold_clears_nothing() -> None:
    workflow("auto_resolve", trigger=QUIET, target="pattern")
    pattern("regressed")
    healed(failed_again_at=NOW + 3 * MINUTE)
    look(20)
    assert opportunities() == []


def test_a_service_is_followed_up_once_and_by_nothing_that_healed_it() -> None:
    workflow("restore", trigger=QUIET | {"workflows": ["restart_*"]})
    workflow("other", trigger=QUIET | {"workflows": ["warm_*"]})
    workflow("restart_service", trigger=QUIET)
    run = healed()
    look(11)
    assert opportunities() == [("restore", "planner", "open")]
    healed(workflow="restore", trigger_kind="healed", trigger_key=str(run.pk))
    look(12)
    assert opportunities() == [("restore", "planner", "ended")]


# --- Heals that did not hold ---------------------------------------------------------------------


def again(run: HealingRun) -> datetime | None:
    look(20)
    run.refresh_from_db()
    return run.failed_again_at


def test_a_breaker_that_opens_again_was_not_healed() -> None:
    breaker("closed", heard=20)
    run = healed(trigger_kind="breaker_open", trigger_key=breaker_key("planner", "graph"))
    opened = NOW + 10 * MINUTE
    for minute, state in ((0, "open"), (10, "open"), (40, "open")):
        BreakerTransition.objects.create(
            id=uuid4(), at=NOW + minute * MINUTE, service="planner", name="graph", instance="a-1",
            from_state="closed", to_state=state, received_at=NOW,
        )  # fmt: skip
    look()
    assert again(run) == opened


def test_a_pattern_that_comes_back_was_not_healed() -> None:
    came = NOW + 15 * MINUTE
    made = pattern("regressed", state_changed_at=came, last_seen=came)
    run = healed(trigger_kind="healed", trigger_key=str(made.pk), target_kind="pattern")
    look()
    assert again(run) == came


def test_a_failure_that_came_though_it_was_answered_early_was_not_prevented() -> None:
    run = healed(trigger_kind="prediction", trigger_key="planner:health_down")
    Service.objects.get_or_create(name="planner", defaults={"first_seen": NOW, "last_seen": NOW})
    ObservedFailure.objects.create(
        service="planner", kind="health_down", subject="api", at=NOW + 9 * MINUTE
    )
    look()
    assert again(run) == NOW + 9 * MINUTE


def test_an_alert_that_fires_again_was_not_healed() -> None:
    fired = alert(state="resolved", started_at=NOW + 9 * MINUTE)
    run = healed(trigger_kind="alert", trigger_key=fired.fingerprint)
    look()
    assert again(run) == NOW + 9 * MINUTE


def test_what_stays_well_has_held() -> None:
    keys = {"breaker_open": "0" * 16, "pattern_spiking": str(UUID(int=0)), "alert": "0" * 64}
    runs = [healed(trigger_kind=kind, trigger_key=key) for kind, key in keys.items()]
    runs.append(healed(trigger_kind="manual", trigger_key=""))
    look()
    assert [again(run) for run in runs] == [None] * 4

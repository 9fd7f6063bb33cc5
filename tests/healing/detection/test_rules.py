"""Alerts about healing itself: whom they call, what they say, and when they are over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from alerting.models import Alert
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from healing.actions.base import Subject
from healing.selectors.standing import failures_standing
from healing.services.quarantine import quarantine_begin, quarantine_release
from healing.services.switches import automation_stop, switch_set
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role

pytestmark = pytest.mark.django_db
SITE = Actor.system("healing")
ANN = Actor(ActorKind.USER, "ann")


@pytest.fixture(autouse=True)
def shipped(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
    rules_ship(now=datetime.now(UTC))
    rules_evaluate(now=datetime.now(UTC))


def tell(kind: str, key: str, state: str = "", **payload: Any) -> None:
    with transaction.atomic():
        journal.append([journal.Entry("healing", kind, key, state, "planner", payload)])


def alert(name: str) -> Alert:
    rules_evaluate(now=datetime.now(UTC) + timedelta(seconds=1))
    return Alert.objects.get(rule_name=name)


def test_a_quarantined_target_pages_until_a_person_releases_it() -> None:
    subject = Subject("service", "planner", "planner")
    with transaction.atomic():
        row = quarantine_begin(subject=subject, reason="3 runs an hour.", actor=SITE)
    found = alert("healing_quarantine")
    assert (found.severity, found.state) == ("page", "firing")
    assert found.annotations["summary"] == "planner is in quarantine: healing does not hold"
    assert found.annotations["details"].startswith("3 runs an hour. Find out why")
    quarantine_release(quarantine_id=row.pk, reason="mended", actor=ANN, role=Role.OPERATOR)
    assert alert("healing_quarantine").state == "resolved"


def test_automation_that_stopped_itself_pages_until_it_is_started() -> None:
    with transaction.atomic():
        automation_stop(group="", reason="4 of 6 services fail.", now=datetime.now(UTC))
    found = alert("healing_stopped")
    assert (found.severity, found.state) == ("page", "firing")
    assert "4 of 6 services fail." in found.annotations["summary"]
    switch_set(stopped=False, group="", reason="it was the network", actor=ANN, role=Role.OPERATOR)
    assert alert("healing_stopped").state == "resolved"


def test_due_runs_that_nobody_looks_at_page() -> None:
    tell("audit.overdue", "auditor", text="2 due healing runs were not looked at for 70 s")
    found = alert("healing_unwatched")
    assert (found.severity, found.state) == ("page", "firing")
    assert found.annotations["summary"] == "2 due healing runs were not looked at for 70 s"
    tell("audit.well", "auditor")
    assert alert("healing_unwatched").state == "resolved"


def test_chronic_healing_is_a_ticket_though_each_run_succeeded() -> None:
    tell("healing.chronic", "planner", target="planner", heals=5, workflow="warm_cache", reason="x")
    found = alert("healing_chronic")
    assert (found.severity, found.state) == ("ticket", "firing")
    assert found.annotations["summary"] == "planner was healed 5 times in a day"


def test_a_run_that_waits_for_a_yes_is_told_until_it_has_it() -> None:
    told = {
        "workflow": "warm_cache",
        "target": "planner",
        "text": "Warm",
        "link": "/healing/runs/1",
    }
    tell("run.created", "1", "pending", **told | {"target": "other"})
    tell("run.created", "1", "waiting_approval", **told)
    found = alert("healing_waits")
    assert (found.severity, found.state) == ("ticket", "firing")
    assert found.annotations["summary"] == "warm_cache on planner waits for your yes"
    assert found.annotations["details"] == (
        "Warm. Approve or refuse it; it lapses if nobody answers."
    )
    tell("run.approved", "1", "pending", **told)
    assert alert("healing_waits").state == "resolved"


def test_a_failed_run_says_what_it_answered_to_and_where_it_stands() -> None:
    tell(
        "run.escalated", "1", "escalated", workflow="warm_cache", target="planner",
        text="It was not well in time.", trigger="Check a is down", link="/healing/runs/1",
    )  # fmt: skip
    found = alert("healing_failed")
    assert found.facts["link"] == "/healing/runs/1"
    assert found.annotations["details"] == (
        "It was not well in time. It answered to: Check a is down. "
        "What it should have mended still needs somebody."
    )


def test_alerts_about_healing_are_healed_by_nothing() -> None:
    tell("run.failed", "1", "failed", workflow="warm_cache", target="planner")
    tell("healing.chronic", "planner", target="planner", heals=5, workflow="warm_cache", reason="x")
    rules_evaluate(now=datetime.now(UTC))
    assert Alert.objects.filter(state="firing").count() == 2
    assert failures_standing(datetime.now(UTC)) == []


@pytest.mark.parametrize(
    ("rule", "kind", "state", "summary"),
    [
        (
            "healing_waits", "run.created", "waiting_approval",
            "resolve_pattern on a pattern of planner waits for your yes: DeadlineExceeded spikes",
        ),
        (
            "healing_failed", "run.failed", "failed",
            "Healing of a pattern of planner by resolve_pattern failed",
        ),
        (
            "healing_quarantine", "target.quarantined", "quarantined",
            "A pattern of planner is in quarantine: healing does not hold",
        ),
    ],
)  # fmt: skip
def test_a_pattern_is_named_by_its_service_and_not_by_its_id(
    rule: str, kind: str, state: str, summary: str
) -> None:
    tell(
        kind, "1", state, workflow="resolve_pattern", target=str(UUID(int=7)),
        target_kind="pattern", trigger="DeadlineExceeded spikes", text="x", reason="y",
    )  # fmt: skip
    assert alert(rule).annotations["summary"] == summary

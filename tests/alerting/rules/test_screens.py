"""The screens of alert rules."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerting.models import AlertRule
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship, rules_shipped
from tests.alerting.rules.history import at, breaker
from tests.alerting.rules.test_setting import EVENT, fields
from tests.queries import pinned, queries_of

pytestmark = pytest.mark.django_db
PINNED = pinned(__file__)


@pytest.fixture(autouse=True)
def shipped() -> None:
    rules_ship(now=at(0))


def form(**changed: Any) -> dict[str, Any]:
    given = {"for_seconds": "0", "keep_firing_seconds": "0", "labels": "{}", "enabled": "on"}
    return {**given, **fields(), "condition": json.dumps(EVENT), "act": "save", **changed}


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_list_shows_each_rule_with_its_state(viewer: Client) -> None:
    AlertRule.objects.filter(name="anomaly").update(enabled=False)
    AlertRule.objects.filter(name="slo_burn").update(fault="It broke.", faulty_since=at(0))
    page = text(viewer.get("/alerts/rules"))
    assert page.count("shipped") == len(rules_shipped())
    assert "It broke." in page
    assert "New rule" not in page


def test_a_rule_says_in_words_what_it_watches_and_what_a_trial_found(viewer: Client) -> None:
    now = datetime.now(UTC)
    breaker((now - timedelta(minutes=20) - at(0)).total_seconds(), "open")
    rules_evaluate(now=now)
    page = text(viewer.get("/alerts/rules/breaker_open?since=7d"))
    assert "breaker.transition (breakers where state = open) comes once" in page
    assert "It would have fired once." in page
    assert "Breaker graph of planner is open" in page
    assert "The alert" in page
    assert viewer.get("/alerts/rules/none").status_code == 404


def test_a_rule_is_tried_on_the_time_that_was_chosen(viewer: Client) -> None:
    now = datetime.now(UTC)
    breaker((now - timedelta(minutes=20) - at(0)).total_seconds(), "open")
    rules_evaluate(now=now)
    page = text(viewer.get("/alerts/rules/breaker_open?since=2d&until=1h"))
    assert "It would not have fired." in page
    # Each end alone says enough.
    for asked in ("since=1h&until=", "since=&until=now"):
        assert "It would have fired once." in text(
            viewer.get(f"/alerts/rules/breaker_open?{asked}")
        )


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("soon", "", "is not a time"),
        ("1h", "2h", "must lie before"),
        ("9d", "now", "at most 7 days at once"),
    ],
)
def test_a_time_that_cannot_be_tried_leaves_the_page_and_what_was_written(
    viewer: Client, since: str, until: str, said: str
) -> None:
    answer = viewer.get(f"/alerts/rules/breaker_open?since={since}&until={until}")
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "It was not tried" in page
    assert said in page
    assert "What it watches" in page
    assert f'name="since" value="{since}"' in page
    assert f'name="until" value="{until}"' in page


def test_every_shipped_rule_has_a_page_without_a_trial(viewer: Client) -> None:
    for rule in AlertRule.objects.all():
        answer = viewer.get(f"/alerts/rules/{rule.name}")
        assert answer.status_code == 200, rule.name


def test_a_rule_is_tried_then_made_changed_switched_and_deleted(operator: Client) -> None:
    breaker(100, "open")
    tried = operator.post("/alerts/rules/new", form(act="try"))
    assert "It would have fired once." in text(tried)
    assert not AlertRule.objects.filter(name="mine").exists()
    made = operator.post("/alerts/rules/new", form())
    assert made.url == "/alerts/rules/mine"
    operator.post("/alerts/rules/mine/edit", form(version="1", severity="page"))
    rule = AlertRule.objects.get(name="mine")
    assert (rule.severity, rule.version) == ("page", 2)
    sent = form(version="1", severity="info", title="Mine", for_seconds="60")
    stale = operator.post("/alerts/rules/mine/edit", sent)
    assert stale.status_code == 409
    told = stale.content.decode()
    # Both sides of what differs, and who changed what of it; sending it again takes its place.
    assert re.search(
        r"What stands now.*Severity</dt><dd>page<.*For seconds</dt><dd>0<"
        r".*What you asked for.*Severity</dt><dd>info<.*For seconds</dt><dd>60<", told, re.S,
    )  # fmt: skip
    assert "<dt>Name</dt>" not in told
    assert re.search(r"a-operator made the last change, .*Severity: <del>ticket</del>", told)
    assert "it takes the place of what stands now" in told
    assert 'name="version" value="2"' in told
    # An act that asks for one field is told of that one, and of what was changed.
    answer = operator.post("/alerts/rules/mine/switch", {"version": "1", "enabled": "false"})
    switched = answer.content.decode()
    assert "<dt>Enabled</dt><dd>yes</dd>" in switched
    assert "<dt>Title</dt>" not in switched
    assert "Severity: <del>ticket</del> <ins>page</ins>" in switched
    operator.post("/alerts/rules/mine/switch", {"version": "2", "enabled": "false"})
    rule.refresh_from_db()
    assert not rule.enabled
    assert operator.post("/alerts/rules/mine/delete", {}).url == "/alerts/rules"
    assert not AlertRule.objects.filter(name="mine").exists()


def test_a_form_that_is_wrong_comes_back_with_the_reasons(operator: Client) -> None:
    for changed, reason in (
        ({"condition": "{"}, "no JSON"),
        ({"condition": json.dumps({**EVENT, "topic": "x"})}, "no topic"),
        ({"condition": "[" * 5_000}, "no JSON"),
        ({"for_seconds": "soon"}, "whole number"),
        ({"for_seconds": "1" * 5_000}, "whole number"),
        ({"summary": "{{ facts.nothing }}"}, "no facts.nothing here"),
    ):
        answer = operator.post("/alerts/rules/new", form(**changed))
        assert answer.status_code == 422
        assert reason in text(answer)
        assert 'value="A breaker opens"' in answer.content.decode()


def test_each_screen_takes_its_pinned_number_of_queries(viewer: Client) -> None:
    breaker(100, "open")
    rules_evaluate(now=datetime.now(UTC))
    assert {line: queries_of(viewer, line) for line in PINNED} == PINNED

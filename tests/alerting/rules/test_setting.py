"""Rules as people set them: what is refused and why, and what becomes of their alerts."""

from __future__ import annotations

from typing import Any

import pytest

from alerting.models import Alert, AlertRule
from alerting.services.rules import shipped
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from alerting.services.rules.store import rule_create, rule_delete, rule_update
from alerting.services.rules.texts import TextFailed, text_render
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid
from tests.alerting.rules.history import at, breaker, write

pytestmark = pytest.mark.django_db
ANN = Actor.system("ann")
EVENT = {
    "type": "event", "topic": "breakers", "kinds": ["breaker.transition"],
    "where": [{"field": "state", "value": "open"}], "labels": {"breaker": "payload.name"},
}  # fmt: skip


def fields(**changed: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "title": "A breaker opens",
        "severity": "ticket",
        "condition": EVENT,
        "summary": "{{ labels.breaker }} opened",
        **changed,
    }


def make(**changed: Any) -> AlertRule:
    return rule_create(fields=fields(**changed), actor=ANN, now=at(0))


def figure(metric: str, op: str, threshold: float, **more: Any) -> dict[str, Any]:
    return {
        "type": "figure", "metric": metric, "op": op, "threshold": threshold,
        "window_seconds": 300, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    "condition",
    [
        figure("error_rate", ">=", 1),
        figure("error_rate", ">", 0),
        figure("calls", "<=", 0),
        figure("errors", ">=", 0, baseline={"ratio": 3, "days": 7}),
    ],
)
def test_a_threshold_that_some_values_meet_is_taken(condition: dict[str, Any]) -> None:
    make(condition=condition, summary="so it is", details="")
    assert AlertRule.objects.get().condition["threshold"] == condition["threshold"]


def test_a_text_may_ask_for_what_some_alerts_alone_have_and_quote_what_looks_like_a_name() -> None:
    details = '{% if labels.team == "facts.nothing" %}{{ facts.reason|words }}{% endif %}'
    make(labels={"team": "mine"}, details=details)
    assert AlertRule.objects.get().details == details


def test_single_braces_notes_and_quoted_marks_are_as_legal_as_they_are_harmless() -> None:
    details = 'pool {main} { } %{x} {# a note with {{ #}{% if labels.service == "{{" %}{{ "%}" }}{% endif %}'
    make(details=details)
    assert AlertRule.objects.get().details == details


def test_a_rule_that_cannot_work_any_more_can_be_switched_off_and_not_on() -> None:
    make()
    AlertRule.objects.update(summary="{{ labels.x")
    rule = rule_update(name="mine", fields={"enabled": False}, actor=ANN, now=at(1))
    assert not rule.enabled
    with pytest.raises(Invalid, match="not closed"):
        rule_update(name="mine", fields={"enabled": True}, actor=ANN, now=at(2))


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"condition": {**EVENT, "topic": "breaker"}}, "condition.topic", "no topic 'breaker'"),
        ({"condition": {**EVENT, "kinds": ["opened"]}}, "condition.kinds", "no kind 'opened'"),
        (
            {"condition": {**EVENT, "where": [{"field": "payload.rate", "value": 1}]}},
            "condition.where.0.field", "no field payload.rate",
        ),
        (
            {"condition": {**EVENT, "labels": {"zone": "payload.zone"}}},
            "condition.labels.zone", "no value",
        ),
        (
            {"condition": {"type": "figure", "metric": "cpu", "threshold": 1}},
            "condition.metric", "no figure 'cpu'",
        ),
        ({"condition": {"type": "figure", "metric": "errors"}}, "condition.threshold", "needed"),
        ({"condition": {"type": "burn", "long_seconds": 60}}, "condition.long_seconds", "Input"),
        ({"condition": "up == 0"}, "condition", "dictionary"),
        ({"condition": figure("error_rate", ">=", 5)}, "condition.threshold", "5 % is 0.05"),
        ({"condition": figure("error_rate", ">", 1)}, "condition.threshold", "> 1 never holds"),
        ({"condition": figure("error_rate", "<=", 1)}, "condition.threshold", "always holds"),
        ({"condition": figure("errors", ">=", 0)}, "condition.threshold", "always holds"),
        ({"condition": figure("errors", "<", -1)}, "condition.threshold", "never holds"),
        ({"condition": figure("calls", "<", 0)}, "condition.threshold", "from 0 on"),
        ({"summary": "{{ facts.rate }} opened"}, "summary", "no facts.rate here"),
        ({"summary": "{% load static %}"}, "summary", "Invalid block tag"),
        ({"summary": "{% include 'a' %}"}, "summary", "Invalid block tag"),
        ({"details": "{{ labels.breaker|safe }}"}, "details", "Invalid filter"),
        ({"details": "{% if facts.reason %}"}, "details", "Unclosed tag"),
        ({"summary": "{% if facts.resaon %}why{% endif %} opened"}, "summary", "no facts.resaon"),
        ({"details": "{% if 0 %}{{ labels.braeker }}{% endif %}"}, "details", "no labels.braeker"),
        ({"summary": "{{ labels.x"}, "summary", "{{ is not closed by }} on its line (character 1:"),
        (
            {"summary": "Breaker of {{ labels.service } opened"},
            "summary", "(character 12: Breaker of {{ labels.service } opened)",
        ),
        ({"details": "a\n  {% if labels.service opened"}, "details", "(line 2, character 3:   {% if"),
        ({"details": "{{ labels.a } of {{ labels.service }}"}, "details", "(character 1: "),
        ({"details": "{{ labels.service\n}}"}, "details", "{{ is not closed by }} on its line"),
        ({"details": "half {# a note"}, "details", "{# is not closed by #}"),
        ({"details": "labels.service }} opened"}, "details", "}} ends what no {{ begins"),
        ({"details": "down to 5 %} of it"}, "details", "%} ends what no {% begins"),
        ({"labels": {"team": "{{ labels.service }"}}, "labels.team", "{{ is not closed by }}"),
        ({"labels": {"team": "{{ facts.reason }}"}}, "labels.team", "labels alone"),
        ({"labels": {"team": " "}}, "labels.team", "no value"),
        ({"labels": {"severity": "page"}}, "labels.severity", "itself sets"),
        ({"runbook_url": "javascript:alert(1)"}, "runbook_url", "whole URL"),
        ({"runbook_url": "/runbooks/nothing"}, "runbook_url", "no runbook /runbooks/nothing"),
        ({"runbook_url": "/runbooks/../admin"}, "runbook_url", "no runbook"),
        ({"runbook_url": "//evil.example/runbooks/anomaly"}, "runbook_url", "no runbook"),
        ({"severity": "urgent"}, "severity", "Input"),
        ({"for_seconds": -1}, "for_seconds", "greater"),
        ({"name": "Not a slug"}, "name", "pattern"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)  # fmt: skip
def test_a_rule_that_could_not_work_is_refused_with_the_reason(
    changed: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        make(**changed)
    told = [error.message for error in refused.value.errors if error.field == field]
    assert reason in " ".join(told)
    assert AuditEntry.objects.get().action == "rule.create.refused"
    assert not AlertRule.objects.exists()


def test_a_change_ends_what_does_not_hold_any_more_and_keeps_the_rest() -> None:
    make()
    breaker(10, "open", "graph")
    breaker(10, "open", "redis")
    rules_evaluate(now=at(20))
    assert Alert.objects.filter(state="firing").count() == 2
    narrow = {**EVENT, "where": [*EVENT["where"], {"field": "payload.name", "value": "redis"}]}  # type: ignore[misc]
    rule_update(name="mine", fields={"condition": narrow}, actor=ANN, now=at(30))
    rules_evaluate(now=at(31))
    (ended,) = Alert.objects.filter(state="resolved")
    assert ended.labels["breaker"] == "graph"
    assert ended.facts["ended_because"] == "the rule was changed"
    assert Alert.objects.get(state="firing").labels["breaker"] == "redis"


def test_what_is_switched_off_ends_and_what_is_shipped_cannot_be_deleted() -> None:
    rules_ship(now=at(0))
    breaker(10, "open")
    rules_evaluate(now=at(20))
    assert Alert.objects.get().state == "firing"
    rule_update(name="breaker_open", fields={"enabled": False}, actor=ANN, now=at(30))
    assert Alert.objects.get().state == "resolved"
    rules_evaluate(now=at(40))
    assert Alert.objects.count() == 1
    with pytest.raises(Invalid, match="switched off, not deleted"):
        rule_delete(name="breaker_open", actor=ANN, now=at(50))
    make()
    rule_delete(name="mine", actor=ANN, now=at(50))
    assert not AlertRule.objects.filter(name="mine").exists()


def test_a_stale_change_is_refused_with_both_sides() -> None:
    rule = make()
    rule_update(name="mine", fields={"severity": "page"}, if_match=1, actor=ANN, now=at(1))
    with pytest.raises(Conflict) as refused:
        rule_update(name="mine", fields={"severity": "info"}, if_match=1, actor=ANN, now=at(2))
    assert refused.value.current["severity"] == "page"
    rule.refresh_from_db()
    assert (rule.version, rule.changed_by_person) == (2, True)
    kinds = [(each.kind, each.state) for each in journal.read(0, ["alerts"])]
    assert kinds == [("rule.changed", "created"), ("rule.changed", "changed")]


def test_a_start_brings_shipped_rules_up_to_date_and_leaves_those_of_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = len(shipped.rules_shipped())
    assert len(rules_ship(now=at(0))) == known > 10
    assert rules_ship(now=at(1)) == []
    rule_update(name="anomaly", fields={"severity": "info"}, actor=ANN, now=at(2))
    newer = {
        name: form.model_copy(update={"title": "Newer"})
        for name, form in shipped.rules_shipped().items()
    }
    monkeypatch.setattr(shipped, "rules_shipped", lambda: newer)
    changes = rules_ship(now=at(3))
    assert len(changes) == known - 1
    kept = AlertRule.objects.get(name="anomaly")
    assert (kept.title, kept.severity) == ("A figure stands out", "info")
    assert AlertRule.objects.get(name="pattern_new").version == 2


def test_a_text_that_fails_later_goes_out_plain_and_is_itself_alerted() -> None:
    rule = make(summary="{% if facts.count %}{{ facts.from_state }}{% endif %} opened")
    write(10, "breakers", "breaker.transition", "k", "open", name="graph")
    rules_evaluate(now=at(20))
    alert = Alert.objects.get(rule_name="mine")
    assert alert.annotations["summary"] == "A breaker opens: breaker graph, service planner"
    rule.refresh_from_db()
    assert "There is no facts.from_state here" in rule.fault
    faulty = Alert.objects.get(rule_name="rule_faulty")
    assert (faulty.state, faulty.source, faulty.labels["rule"]) == ("firing", "site", "mine")
    # It is over once a text succeeds again.
    breaker(400, "open", "redis")
    rules_evaluate(now=at(410))
    faulty.refresh_from_db()
    rule.refresh_from_db()
    assert (faulty.state, rule.fault) == ("resolved", "")


def test_a_rule_that_cannot_be_evaluated_is_alerted_and_holds_up_no_other() -> None:
    make()
    make(name="broken")
    AlertRule.objects.filter(name="broken").update(condition={"type": "gone"})
    breaker(10, "open")
    done = rules_evaluate(now=at(20))
    assert done.faulty == ["broken"]
    assert Alert.objects.get(rule_name="mine").state == "firing"
    assert "cannot be evaluated" in AlertRule.objects.get(name="broken").fault
    assert Alert.objects.get(rule_name="rule_faulty").labels["rule"] == "broken"
    rules_evaluate(now=at(25))
    rule_update(name="broken", fields={"condition": EVENT}, actor=ANN, now=at(30))
    rules_evaluate(now=at(40))
    assert Alert.objects.get(rule_name="rule_faulty").state == "resolved"


def test_two_evaluators_do_the_work_of_a_turn_once() -> None:
    make()
    breaker(10, "open")
    first = rules_evaluate(now=at(20))
    second = rules_evaluate(now=at(20))
    assert (first.changes, second.changes) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "{{ facts.members|join:facts.count }}",
        "{{ facts.huge|duration }}",
        "{{ facts.members.popitem.nothing }}",
    ],
)
def test_a_text_that_fails_in_whatever_way_says_so(text: str) -> None:
    with pytest.raises(TextFailed):
        text_render(text, {}, {"members": ["a"], "count": 3, "huge": 10**400})


def test_a_text_cannot_change_what_the_alert_holds() -> None:
    facts = {"members": ["a", "b"], "payload": {"name": "calendar"}}
    text_render("{{ facts.members.clear }} {{ facts.payload.popitem }}", {}, facts)
    assert facts == {"members": ["a", "b"], "payload": {"name": "calendar"}}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"title": "a\0b"}, "title"),
        (
            {
                "condition": {
                    **EVENT,
                    "where": [
                        {
                            "field": "state",
                            "op": "in",
                            "value": [f"state {n}" for n in range(2_000)],
                        }
                    ],
                }
            },
            "condition",
        ),
        ({"details": "\0"}, "details"),
        ({"name": "\0"}, "name"),
        ({"labels": {"a": "\0"}}, "labels"),
        ({"condition": {**EVENT, "where": [{"field": "state", "value": "\0"}]}}, "condition"),
        ({"condition": {**EVENT, "where": [{"field": "state", "value": 2**64}]}}, "condition"),
        ({"condition": {"type": "figure", "metric": "errors", "threshold": 1e308}}, "condition"),
        ({"condition": {"type": "figure", "metric": "errors", "threshold": -1e16}}, "condition"),
    ],
)
def test_what_could_not_be_kept_or_shown_again_is_refused(
    changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        make(**changed)
    assert [each.field for each in refused.value.errors] == [field]
    assert AuditEntry.objects.filter(action="rule.create.refused").count() == 1

"""Bodies of other systems are read whole, or refused with the place of each fault."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.domain.inbound import terms
from alerting.domain.inbound.posts import (
    LEFT_OUT,
    LONGEST_VALUE,
    MOST_ALERTS,
    MOST_ANNOTATIONS,
    MOST_LABELS,
    PostedAlert,
    Unreadable,
    post_read,
)
from tests.alerting.inbound.bodies import alertmanager_post, grafana_post, prometheus_alert

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=12,
)
ALERTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]) | JSON,
        "labels": st.dictionaries(st.text(max_size=8), st.text(max_size=1_200) | JSON) | JSON,
    },
    optional={"annotations": JSON, "startsAt": st.text() | JSON, "endsAt": JSON, "values": JSON},
)


@settings(max_examples=50)
@given(st.fixed_dictionaries({"alerts": st.lists(ALERTS, max_size=4) | JSON}) | JSON)
def test_whatever_is_posted_is_read_or_refused(document: Any) -> None:
    try:
        alerts = post_read(document).alerts
    except Unreadable as refused:
        alerts, faults = (), len(refused.faults)
    else:
        faults = 1
    assert 1 <= faults <= 20
    for alert in alerts:
        assert len(alert.labels) <= MOST_LABELS + bool(alert.labels_left_out)
        for text in (*alert.labels, *alert.labels.values(), *alert.annotations.values()):
            assert "\0" not in text
            text.encode()
        assert all(len(value) <= LONGEST_VALUE for value in alert.labels.values())
        assert all(
            moment is None or moment.tzinfo == UTC for moment in (alert.started_at, alert.ended_at)
        )
        json.dumps([dict(alert.labels), dict(alert.values), terms.texts_of(alert)])


def test_an_alertmanager_post_is_read() -> None:
    post = post_read(alertmanager_post(prometheus_alert(), truncatedAlerts=3))
    (alert,) = post.alerts
    assert (post.left_out, post.receiver) == (3, "resilience")
    assert alert.started_at == datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
    assert alert.ended_at is None
    assert alert.links == {"generator_url": "http://prometheus.example.com:9090/graph?g0.expr=up"}
    assert terms.texts_of(alert) == {
        "summary": "Planner fails",
        "details": "8 % of the requests of 5 min failed.",
        "runbook_url": "https://runbooks.example.com/errors",
    }


def test_a_grafana_post_is_read_without_links_that_are_none() -> None:
    (alert,) = post_read(grafana_post()).alerts
    assert alert.started_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert alert.values == {"B": 2.4, "C": 1.0}
    assert set(alert.links) == {"generator_url", "dashboard_url", "silence_url"}


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ([], ["body"]),
        ({}, ["alerts"]),
        ({"alerts": {}}, ["alerts"]),
        ({"alerts": [1]}, ["alerts.0"]),
        ({"alerts": [{"status": "ok", "labels": {"a": "b"}}]}, ["alerts.0.status"]),
        ({"alerts": [{"status": "firing"}]}, ["alerts.0.labels"]),
        ({"alerts": [{"status": "firing", "labels": {}}]}, ["alerts.0.labels"]),
        ({"alerts": [{"status": "firing", "labels": {"a": 1}}]}, ["alerts.0.labels.a"]),
        (
            {"alerts": [{"status": "firing", "labels": {"a": "b"}, "startsAt": "yesterday"}]},
            ["alerts.0.startsAt"],
        ),
        (
            {"alerts": [{"status": "firing", "labels": {"a": "b"}, "endsAt": "2026-13-01T00:00:00Z"}]},
            ["alerts.0.endsAt"],
        ),
        ({"alerts": [{}] * (MOST_ALERTS + 1)}, ["alerts"]),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_place(document: Any, places: list[str]) -> None:
    with pytest.raises(Unreadable) as refused:
        post_read(document)
    assert [fault.place for fault in refused.value.faults] == places


def test_the_form_of_grafanas_legacy_alerting_is_named() -> None:
    with pytest.raises(Unreadable, match="legacy alerting"):
        post_read({"ruleName": "Slow", "state": "alerting", "evalMatches": []})


def test_long_values_of_labels_stay_apart() -> None:
    one, two = (prometheus_alert(path="x" * 5_000 + end) for end in "ab")
    read = post_read(alertmanager_post(one, two)).alerts
    assert len({each.labels["path"] for each in read}) == 2


def test_of_too_many_labels_those_that_say_what_it_is_are_kept_and_the_rest_stand_for_themselves() -> (
    None
):
    many = {f"kube_label_{n:02}": "x" for n in range(80)}
    told = {"severity": "critical", "service": "planner", "namespace": "shop", "alertname": "Slow"}
    one, two = (
        prometheus_alert(**many, **told, zone=zone, **{"app.kubernetes.io/name": "planner"})
        for zone in "ab"
    )
    read = post_read(alertmanager_post(one, two)).alerts
    for alert in read:
        assert {name: alert.labels[name] for name in told} == told
        assert alert.labels["app.kubernetes.io/name"] == "planner"
        assert len(alert.labels) == MOST_LABELS + 1
        assert alert.labels_left_out == len(one["labels"]) - MOST_LABELS == 24
        assert alert.labels[LEFT_OUT].startswith("24 (")
    # They differ in a label that is not kept, and are two alerts all the same.
    assert terms.sender_key("alertmanager", read[0].labels) != terms.sender_key(
        "alertmanager", read[1].labels
    )
    (again,) = post_read(alertmanager_post(dict(one))).alerts
    assert again.labels == read[0].labels


def test_labels_that_are_not_too_many_are_kept_as_they_are() -> None:
    labels = {f"l{n:02}": "x" for n in range(MOST_LABELS)} | {"empty": ""}
    (alert,) = post_read(alertmanager_post({**prometheus_alert(), "labels": labels})).alerts
    assert (len(alert.labels), alert.labels_left_out) == (MOST_LABELS, 0)
    assert LEFT_OUT not in alert.labels


def test_of_too_many_annotations_the_texts_are_kept() -> None:
    given = {f"a{n:02}": "x" for n in range(80)} | prometheus_alert()["annotations"]
    (alert,) = post_read(alertmanager_post({**prometheus_alert(), "annotations": given})).alerts
    assert len(alert.annotations) == MOST_ANNOTATIONS
    assert terms.texts_of(alert) == {
        "summary": "Planner fails",
        "details": "8 % of the requests of 5 min failed.",
        "runbook_url": "https://runbooks.example.com/errors",
    }


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("critical", "page"), ("Page", "page"), ("warning", "ticket"), ("error", "ticket"),
        ("something", "ticket"), ("", "ticket"), ("none", "info"), (" INFO ", "info"),
    ],
)  # fmt: skip
def test_severities_are_translated(said: str, meant: str) -> None:
    assert terms.severity_of({"severity": said}) == meant


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"service": "planner"}, "planner"),
        ({"job": "shop/planner"}, "planner"),
        ({"service": "unheard", "job": "planner"}, "planner"),
        ({"app": "agent", "job": "planner"}, "agent"),
        ({"job": "node"}, ""),
        ({}, ""),
    ],
)
def test_a_service_is_one_of_the_catalogue(labels: dict[str, str], service: str) -> None:
    assert terms.service_of(labels, {"planner", "agent"}) == service


def test_labels_of_ours_stand_beside_what_the_sender_said() -> None:
    posted = {"alertname": "A", "severity": "critical", "job": "shop/planner", "service": "x"}
    found = terms.labels_here(posted, source="alertmanager", severity="page", service="planner")
    assert found == {
        "alertname": "A",
        "severity": "page",
        "severity_sent": "critical",
        "service": "planner",
        "service_sent": "x",
        "source": "alertmanager",
        "job": "shop/planner",
    }


def test_an_incident_of_the_senders_is_none_of_this_site() -> None:
    found = terms.labels_here(
        {"alertname": "A", "incident": "INC-7"}, source="grafana", severity="page", service=""
    )
    assert "incident" not in found
    assert found["incident_sent"] == "INC-7"


def test_a_rule_of_grafana_without_data_keeps_its_name() -> None:
    assert terms.rule_name_of({"alertname": "DatasourceNoData", "rulename": "Slow"}) == "Slow"
    assert terms.rule_name_of({"alertname": "Slow", "rulename": "other"}) == "Slow"
    assert terms.rule_name_of({"job": "a"}) == "unnamed"


def test_a_runbook_that_is_no_link_is_left_out() -> None:
    alert = PostedAlert("firing", {"a": "b"}, {"runbook": "javascript:alert(1)"})
    assert terms.texts_of(alert) == {"summary": "unnamed", "details": "", "runbook_url": ""}

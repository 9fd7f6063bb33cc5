"""Alerts of other systems begin, go on and end here as their posts say."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerting.choices import AlertSource, AlertState
from alerting.domain.alerts import AlertChange
from alerting.models import Alert, Incident
from alerting.selectors.inbound import senders_heard
from alerting.services.alerts import alerts_apply
from alerting.services.inbound import SOURCES, Taken, inbound_expire, inbound_take
from alerting.services.incident_examine import incidents_examine
from alerting.services.incident_follow import incidents_follow
from health.models import Service
from resilience_site.config import config
from resilience_site.core import journal, keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from tests.alerting.inbound.bodies import (
    alertmanager_post,
    grafana_post,
    prometheus_alert,
    resolved,
)
from tests.pages.html import PARTIAL, text_of

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
LATER = NOW + timedelta(minutes=7)


@pytest.fixture(autouse=True)
def planner() -> None:
    Service.objects.create(name="planner", first_seen=NOW, last_seen=NOW)


def take(
    document: dict[str, Any], now: datetime = NOW, source: AlertSource = AlertSource.ALERTMANAGER
) -> Taken:
    return inbound_take(document=document, source=source, sender="prometheus", now=now)


def test_a_posted_alert_fires_under_our_labels_and_in_the_journal() -> None:
    cursor = journal.latest_cursor()
    assert take(alertmanager_post(prometheus_alert())) == Taken(1, 0, 0, 0)
    alert = Alert.objects.get()
    assert (alert.state, alert.severity, alert.service) == ("firing", "page", "planner")
    assert (alert.rule_name, alert.source, alert.rule_id) == ("HighErrorRate", "alertmanager", None)
    assert (alert.started_at.minute, alert.fired_at) == (0, NOW)
    assert alert.labels["service"] == "planner"
    assert alert.labels["severity_sent"] == "critical"
    assert alert.annotations["summary"] == "Planner fails"
    assert alert.facts["received_from"] == "prometheus"
    told = journal.read(cursor, ["alerts"])
    assert [(each.kind, each.key, each.service) for each in told] == [
        ("alert.firing", str(alert.id), "planner")
    ]


def test_the_same_post_again_changes_nothing_but_when_it_was_heard() -> None:
    take(alertmanager_post(prometheus_alert()))
    cursor = journal.latest_cursor()
    take(alertmanager_post(prometheus_alert(), prometheus_alert()), LATER)
    alert = Alert.objects.get()
    assert (alert.fired_at, alert.changed_at) == (NOW, NOW)
    assert alert.facts["last_received_at"] == LATER.isoformat()
    assert journal.latest_cursor() == cursor


def test_a_post_with_other_texts_renews_those_of_the_alert() -> None:
    def said(summary: str, **more: str) -> dict[str, Any]:
        return {**prometheus_alert(), "annotations": {"summary": summary, **more}}

    take(alertmanager_post(said("5 % of the requests fail")))
    cursor = journal.latest_cursor()
    take(alertmanager_post(said("95 % of the requests fail", description="It grows.")), LATER)
    alert = Alert.objects.get()
    assert alert.annotations["summary"] == "95 % of the requests fail"
    assert alert.annotations["details"] == "It grows."
    # It goes on, and began when it began.
    assert (alert.fired_at, alert.changed_at) == (NOW, NOW)
    assert journal.latest_cursor() == cursor
    # An end has no news of how things stand.
    over = resolved(said("All is well"), "2026-11-20T10:09:30Z")
    take(alertmanager_post(over), LATER)
    alert.refresh_from_db()
    assert (alert.state, alert.annotations["summary"]) == ("resolved", "95 % of the requests fail")


def test_a_resolved_one_ends_when_the_sender_says() -> None:
    take(alertmanager_post(prometheus_alert()))
    over = resolved(prometheus_alert(), "2026-11-20T10:09:30Z")
    assert take(alertmanager_post(over), LATER) == Taken(0, 1, 0, 0)
    alert = Alert.objects.get()
    assert alert.state == AlertState.RESOLVED
    assert alert.ended_at == datetime(2026, 11, 20, 10, 9, 30, tzinfo=UTC)
    assert alert.facts["ended_because"] == "told by the sender"
    assert take(alertmanager_post(over), LATER) == Taken(0, 0, 1, 0)


def test_an_end_in_the_future_is_now() -> None:
    take(alertmanager_post(prometheus_alert()))
    take(alertmanager_post(resolved(prometheus_alert(), "2027-01-01T00:00:00Z")), LATER)
    assert Alert.objects.get().ended_at == LATER


def test_an_end_told_late_does_not_end_the_alert_that_came_after() -> None:
    again = {**prometheus_alert(), "startsAt": "2026-11-20T10:04:00Z"}
    take(alertmanager_post(again))
    late = resolved(prometheus_alert(), "2026-11-20T10:02:00Z")
    assert take(alertmanager_post(late), LATER) == Taken(0, 0, 1, 0)
    assert Alert.objects.get().state == AlertState.FIRING


def test_firing_after_its_end_is_a_new_alert_also_with_the_old_start() -> None:
    # Alertmanager ends what Prometheus cannot repeat for a while; it comes back with its old start.
    for document, now in (
        (alertmanager_post(prometheus_alert()), NOW),
        (alertmanager_post(resolved(prometheus_alert(), "2026-11-20T10:06:00Z")), LATER),
        (alertmanager_post(prometheus_alert()), LATER),
    ):
        take(document, now)
    assert sorted(Alert.objects.values_list("state", flat=True)) == ["firing", "resolved"]


def test_both_in_one_post_end_as_the_last_says() -> None:
    over = resolved(prometheus_alert(), "2026-11-20T10:03:00Z")
    assert take(alertmanager_post(prometheus_alert(), over)) == Taken(1, 1, 0, 0)
    assert Alert.objects.get().state == AlertState.RESOLVED


def test_an_alert_stays_the_same_when_its_service_enters_the_catalogue() -> None:
    alert = prometheus_alert(job="shop/agent")
    take(alertmanager_post(alert))
    Service.objects.create(name="agent", first_seen=NOW, last_seen=NOW)
    take(alertmanager_post(alert), LATER)
    take(alertmanager_post(resolved(alert, "2026-11-20T10:11:00Z")), LATER)
    assert [(each.state, each.service) for each in Alert.objects.all()] == [("resolved", "")]


def test_a_service_that_the_catalogue_does_not_have_is_found_by_its_name_and_becomes_none_of_it(
    viewer: Client,
) -> None:
    labels = {"job": "shop/any", "container": "any"}
    take(alertmanager_post(prometheus_alert(**labels, service="ex-edge", instance="1")))
    take(alertmanager_post(prometheus_alert(**labels, service_name="ex-mail", instance="2")))
    take(alertmanager_post(prometheus_alert(**labels, instance="3")))
    take(alertmanager_post(prometheus_alert(service="ex-edge", job="planner", instance="4")))
    alerts = {each.labels["instance"]: each for each in Alert.objects.all()}
    assert {key: each.service for key, each in alerts.items()} == {
        "1": "ex-edge", "2": "ex-mail", "3": "", "4": "planner",
    }  # fmt: skip
    assert alerts["2"].labels["service"] == "ex-mail"
    assert list(Service.objects.values_list("name", flat=True)) == ["planner"]
    listed = text_of(viewer, "/alerts", headers=PARTIAL)
    assert "ex-edge" in listed
    narrowed = text_of(viewer, "/alerts?service=ex-edge", headers=PARTIAL)
    assert "ex-edge" in narrowed
    assert "ex-mail" not in narrowed
    page = text_of(viewer, f"/alerts/{alerts['1'].pk}")
    assert "/services/ex-edge" not in page
    assert "not in the catalogue" in page
    assert "/services/planner" in text_of(viewer, f"/alerts/{alerts['4'].pk}")


def test_of_an_incident_of_such_a_service_nothing_is_known_and_nothing_is_linked(
    viewer: Client,
) -> None:
    take(alertmanager_post(prometheus_alert(service="ex-edge", job="other")))
    incidents_follow(now=LATER)
    assert incidents_examine(now=LATER) == 1
    incident = Incident.objects.get()
    assert (incident.services, incident.impact) == (["ex-edge"], {})
    page = text_of(viewer, f"/incidents/{incident.pk}")
    assert "/services/ex-edge" not in page
    assert 'Nothing is known here of <span class="break">ex-edge</span>' in page
    assert "Requests lost" not in page
    Service.objects.create(name="ex-edge", first_seen=NOW, last_seen=NOW)
    page = text_of(viewer, f"/incidents/{incident.pk}")
    assert "Nothing is known here of" not in page
    assert "/services/ex-edge" in page


def test_two_systems_do_not_end_each_others_alerts() -> None:
    take(alertmanager_post(prometheus_alert()))
    take(alertmanager_post(prometheus_alert()), source=AlertSource.GRAFANA)
    take(alertmanager_post(resolved(prometheus_alert(), "2026-11-20T10:06:00Z")), LATER)
    states = dict(Alert.objects.values_list("source", "state"))
    assert states == {"alertmanager": "resolved", "grafana": "firing"}


def test_grafanas_values_and_links_are_kept_as_facts() -> None:
    take(grafana_post(), source=AlertSource.GRAFANA)
    alert = Alert.objects.get()
    assert (alert.service, alert.severity) == ("planner", "ticket")
    assert alert.facts["values"] == {"B": 2.4, "C": 1.0}
    assert alert.facts["dashboard_url"] == "https://grafana.example.com/d/abc?orgId=1"
    assert "panel_url" not in alert.facts


def test_numbers_beyond_64_bits_are_not_kept_as_the_database_gives_them_back_whole() -> None:
    post = grafana_post()
    post["alerts"][0]["values"] = {"A": 1e20, "B": 2.0**63, "C": 9e18, "D": -1e300}
    take(post, source=AlertSource.GRAFANA)
    alert = Alert.objects.get()
    assert alert.facts["values"] == {"C": 9e18}


def test_what_is_not_repeated_for_the_configured_time_ends() -> None:
    take(alertmanager_post(prometheus_alert(), prometheus_alert(instance="b")))
    take(alertmanager_post(prometheus_alert(instance="b")), NOW + timedelta(hours=1))
    with config.override(resilience_inbound_alert_hours=2):
        assert inbound_expire(now=NOW + timedelta(hours=2)) == 0
        assert inbound_expire(now=NOW + timedelta(hours=2, minutes=1)) == 1
        assert inbound_expire(now=NOW + timedelta(hours=2, minutes=2)) == 0
    ended = Alert.objects.get(state="resolved")
    assert ended.facts["ended_because"] == "not repeated for 2 h"
    assert ended.labels["instance"] == "10.0.0.7:9100"


def test_it_joins_the_incident_of_the_sites_own_alert_of_that_service() -> None:
    labels = {"alertname": "breaker_open", "service": "planner", "severity": "page"}
    own = AlertChange("fire", NOW, labels, "breaker_open", "page", NOW, service="planner")
    alerts_apply([own], now=NOW)
    take(alertmanager_post(prometheus_alert()), LATER)
    incidents_follow(now=LATER)
    incident = Incident.objects.get()
    assert set(incident.alerts.values_list("source", flat=True)) == {"rule", "alertmanager"}


def test_a_large_post_takes_few_queries(
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    alerts = [prometheus_alert(instance=str(n)) for n in range(2_000)]
    with django_assert_max_num_queries(16):
        assert take(alertmanager_post(*alerts)).firing == 2_000


def test_the_screen_says_what_to_paste_and_what_has_come(viewer: Client) -> None:
    empty = text_of(viewer, "/alerts/inbound")
    assert "http://testserver/api/v1/alerts/inbound/alertmanager" in empty
    assert empty.count("nothing yet") == 2
    now = datetime.now(UTC)
    take(alertmanager_post(prometheus_alert(), prometheus_alert(instance="b")), now)
    take(alertmanager_post(resolved(prometheus_alert(), now.isoformat())), now)
    assert [
        (each.open, each.alerts, each.last_at)
        for each in senders_heard(SOURCES, now - timedelta(days=7))
    ] == [(1, 2, now), (0, 0, None)]
    assert text_of(viewer, "/alerts/inbound", headers=PARTIAL).count("nothing yet") == 1


# --- over HTTP ---


def post(scope: Scope, sender: str, body: bytes, **headers: str) -> Any:
    _, token = keys.key_create(name="prometheus", scope=scope, actor=Actor.system("test"))
    return Client().post(
        f"/api/v1/alerts/inbound/{sender}",
        data=body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", **headers},
    )


@pytest.mark.parametrize(
    ("sender", "document"),
    [("alertmanager", alertmanager_post(prometheus_alert())), ("grafana", grafana_post())],
)
def test_a_post_with_a_key_is_answered_by_what_it_came_to(
    sender: str, document: dict[str, Any]
) -> None:
    answer = post(Scope.OPERATE, sender, json.dumps(document).encode())
    assert answer.json() == {
        "firing": 1, "resolved": 0, "unknown": 0, "left_out": 0, "labels_left_out": 0,
    }  # fmt: skip
    assert Alert.objects.get().source == sender


def test_a_post_with_too_many_labels_keeps_severity_and_service_and_says_how_many_are_left_out() -> (
    None
):
    many = {f"kube_label_{n:02}": "x" for n in range(80)}
    document = alertmanager_post(prometheus_alert(**many, service="planner"))
    answer = post(Scope.OPERATE, "alertmanager", json.dumps(document).encode())
    assert answer.json()["labels_left_out"] == 21
    alert = Alert.objects.get()
    assert (alert.severity, alert.service, alert.rule_name) == ("page", "planner", "HighErrorRate")


def test_a_packed_body_is_read() -> None:
    body = gzip.compress(json.dumps(alertmanager_post(prometheus_alert())).encode())
    answer = post(Scope.OPERATE, "alertmanager", body, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 200


def test_a_bad_body_is_refused_with_its_place_and_nothing_of_it_is_taken() -> None:
    document = alertmanager_post(prometheus_alert(), {"status": "firing", "labels": {"a": 1}})
    answer = post(Scope.OPERATE, "alertmanager", json.dumps(document).encode())
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "body.alerts.1.labels.a", "message": "must be a text."}
    ]
    assert not Alert.objects.exists()
    # What is missing is named as the sender's own documentation calls it.
    for sender, named in (("alertmanager", "Alertmanager"), ("grafana", "Grafana")):
        (error,) = post(Scope.OPERATE, sender, b"{}").json()["errors"]
        assert f"a list of alerts, as in {named}'s" in error["message"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b" " * ((16 << 20) + 1), 413), (b"", 400)]
)
def test_what_is_no_json_or_too_large_is_refused(body: bytes, status: int) -> None:
    assert post(Scope.OPERATE, "grafana", body).status_code == status


def test_an_alert_is_ended_by_the_key_that_told_last_that_it_fires() -> None:
    alert = prometheus_alert()
    take(alertmanager_post(alert))
    over = alertmanager_post(resolved(alert, LATER.isoformat()))

    def take_of(sender: str, document: dict[str, Any]) -> Taken:
        return inbound_take(
            document=document, source=AlertSource.ALERTMANAGER, sender=sender, now=LATER
        )

    assert take_of("staging", over) == Taken(0, 0, 1, 0)
    assert Alert.objects.get().state == AlertState.FIRING
    # Another one of a pair goes on with what the first began.
    assert take_of("prometheus-2", alertmanager_post(alert)) == Taken(1, 0, 0, 0)
    assert take_of("prometheus", over) == Taken(0, 0, 1, 0)
    assert take_of("prometheus-2", over) == Taken(0, 1, 0, 0)
    assert Alert.objects.get().state == AlertState.RESOLVED

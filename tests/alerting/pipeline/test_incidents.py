"""What messages say of the incident of their alerts, and alerts that are told together by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from alerting.domain.messages import Message
from alerting.models import Alert, AlertGroup, Incident, Silence
from alerting.services.incident_examine import incidents_examine
from alerting.services.incident_follow import incidents_follow
from alerting.services.shipped_routing import routing_ship
from alerting.views.alerts import silence_query
from tests.alerting.pipeline.scene import (
    INTERVAL,
    WAIT,
    Scene,
    channel_made,
    names_of,
    route_made,
    why_of,
)

pytestmark = pytest.mark.django_db

CAUSE = {
    "text": "It probably began in graph: check graph-ping fails since 12:00:00.",
    "service": "graph",
    "confidence": 0.7,
    "evidence": [
        {"kind": "check", "text": "check graph-ping fails since 12:00:00", "link": "/a"},
        {"kind": "chains", "text": "31 of 40 chains of errors in its time began there", "link": ""},
    ],
}
IMPACT: dict[str, Any] = {
    "service": "graph", "requests_lost": 1_031, "approximate": True, "users": 12,
    "services": ["graph", "planner"], "error_budget_spent": 0.31,
    "words": {"spent": "31 %"}, "budget": {"days": 30},
}  # fmt: skip


def incident_made(*alerts: Alert, title: str = "Graph fails", **fields: Any) -> Incident:
    """An incident that the alerts are part of, as following and examining leave it."""
    at = alerts[0].started_at
    made = Incident.objects.create(
        title=title, severity="page", started_at=at, changed_at=at, **fields
    )
    Alert.objects.filter(pk__in=[each.pk for each in alerts]).update(incident=made)
    return made


def told_once(scene: Scene, seconds: float) -> Message:
    ((_, message),) = scene.wait(seconds)
    return message


@pytest.mark.parametrize(
    ("spent", "budget", "said"),
    [
        ("31 %", {}, "31 % of the error budget of 30 days of graph spent"),
        ("122 times the budget", {}, "122 times the error budget of 30 days of graph spent"),
        (
            "122 times the budget", {"allowed": 61.0, "calls": 61_000, "unit": "calls"},
            "122 times the error budget of 30 days of graph spent",
        ),
        # A young service has failed "259 times the budget" once it is called a few hundred times.
        (
            "259 times the budget", {"allowed": 0.44, "calls": 440, "unit": "calls"},
            "all of the error budget of 30 days of graph spent, which is small: 440 calls yet",
        ),
        (
            "31 %", {"allowed": 0.44, "calls": 440, "unit": "calls"},
            "31 % of the error budget of 30 days of graph spent",
        ),
    ],
)  # fmt: skip
def test_a_budget_that_is_spent_several_times_is_told_in_plain_words(
    spent: str, budget: dict[str, Any], said: str
) -> None:
    route_made("all", channel_made())
    scene = Scene()
    incident_made(*scene.fire("a"), impact={
        **IMPACT, "words": {"spent": spent}, "budget": {"days": 30, **budget},
    })  # fmt: skip
    scene.turn()
    (told,) = told_once(scene, WAIT).incidents
    assert told.impact.endswith(f", {said}")


def test_a_message_says_the_probable_cause_with_its_evidence_and_the_impact() -> None:
    route_made("all", channel_made())
    scene = Scene()
    incident = incident_made(*scene.fire("a", "b"), cause=CAUSE, impact=IMPACT)
    scene.turn()
    message = told_once(scene, WAIT)
    (told,) = message.incidents
    assert told.url.endswith(f"/incidents/{incident.pk}")
    account = message.text.split("\n\n")[1].splitlines()
    assert account == [
        "Incident: Graph fails",
        "Probable cause: It probably began in graph: check graph-ping fails since 12:00:00. "
        "Also: 31 of 40 chains of errors in its time began there.",
        "Impact: at least 1,031 requests of graph lost, at least 12 users, failures in graph, "
        "planner, 31 % of the error budget of 30 days of graph spent",
        told.url,
    ]


def test_a_cause_that_is_not_known_yet_is_said_to_be_so_and_told_by_the_next_message() -> None:
    route_made("all", channel_made())
    scene = Scene()
    incident_made(*scene.fire("a", "b"))
    scene.turn()
    first = told_once(scene, WAIT)
    assert "Probable cause: not known yet" in first.text
    assert "Impact" not in first.text
    Incident.objects.update(cause=CAUSE)
    scene.resolve("a")
    later = told_once(scene, INTERVAL)
    assert why_of(later) == "shrunk"
    assert "Probable cause: It probably began in graph" in later.text


def test_what_is_over_without_a_cause_says_that_none_was_found() -> None:
    route_made("all", channel_made())
    scene = Scene()
    incident_made(*scene.fire("a"))
    scene.turn()
    scene.wait(WAIT)
    scene.resolve("a")
    Incident.objects.update(state="resolved", ended_at=scene.now)
    assert "Probable cause: none was found" in told_once(scene, INTERVAL).text


def test_three_incidents_are_told_of_and_the_rest_counted() -> None:
    route_made("all", channel_made())
    scene = Scene()
    for n, alert in enumerate(scene.fire("a", "b", "c", "d", "e")):
        incident_made(alert, title=f"no. {n}")
    scene.turn()
    message = told_once(scene, WAIT)
    assert len(message.incidents) == 3
    assert message.text.count("Incident: no. ") == 3
    assert "… and 2 more incidents." in message.text


def test_alerts_of_no_incident_are_told_without_a_word_of_one() -> None:
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("a")
    scene.turn()
    message = told_once(scene, WAIT)
    assert message.incidents == ()
    assert "ncident" not in message.text


# --- Told together by their incident


BY_INCIDENT = ["incident", "severity"]


def firing_told(scene: Scene, seconds: float) -> list[list[str]]:
    """The alerts of each message that was sent after so long."""
    return sorted(sorted(names_of(each, "firing")) for _, each in scene.wait(seconds))


def joined(incident: Incident, *alerts: Alert) -> None:
    Alert.objects.filter(pk__in=[each.pk for each in alerts]).update(incident=incident)


def test_as_shipped_an_outage_is_one_message_of_what_must_be_looked_at_and_one_of_the_rest() -> (
    None
):
    routing_ship()
    channel_made()
    scene = Scene()
    outage = [
        *scene.fire("breaker_open", service="planner"),
        *scene.fire("slo_burn_fast", service="graph"),
        *scene.fire("error_correlation_spike", service=""),
        *scene.fire("slo_burn_slow", service="planner", slo="1", severity="ticket"),
        *scene.fire("slo_burn_slow", service="agent", slo="2", severity="ticket"),
    ]
    scene.fire("check_failed", service="mail")
    # The pipeline looks at them before it is known what they have in common.
    scene.turn()
    scene.wait(5)
    incident = incident_made(*outage)
    # They have waited already, and do not begin to wait again.
    assert firing_told(scene, 2) == []
    assert firing_told(scene, WAIT - 8) == []
    assert firing_told(scene, 1) == [
        ["breaker_open", "error_correlation_spike", "slo_burn_fast"],
        ["check_failed"],
        ["slo_burn_slow"],
    ]
    pages = next(each for _, each in scene.told if len(names_of(each, "firing")) == 3)
    assert pages.title.startswith("3 alerts of one incident fire: ")
    assert pages.why is not None
    assert dict(pages.why.group_labels) == {"incident": str(incident.pk), "severity": "page"}
    # Whatever joins the incident later is told in the same place.
    joined(incident, *scene.fire("anomaly", service="agent"))
    ((_, grown),) = scene.wait(INTERVAL)
    assert (why_of(grown), grown.group_key) == ("grown", pages.group_key)


def test_an_outage_is_told_once_in_time_and_with_its_cause() -> None:
    """All parts as they run: alerts become an incident, which is examined before it is told."""
    routing_ship()
    channel_made()
    scene = Scene()
    began = scene.now
    scene.fire("breaker_open", breaker="graph")
    for _ in range(6):
        scene.turn()
        incidents_follow(now=scene.now)
        incidents_examine(now=scene.now)
        if scene.now == began + timedelta(seconds=15):
            scene.fire("slo_burn_fast", slo="1", kind="availability")
        scene.now += timedelta(seconds=5)
    assert scene.told == []
    message = told_once(scene, 0)
    assert scene.now == began + timedelta(seconds=WAIT)
    assert names_of(message, "firing") == {"breaker_open", "slo_burn_fast"}
    assert message.incidents[0].cause.startswith("It may have begun in planner: ")
    assert message.incidents[0].url == message.alerts[0].incident_url
    scene.wait(INTERVAL)
    assert len(scene.told) == 1


def test_an_alert_that_was_told_before_its_incident_was_known_is_told_once() -> None:
    route_made("all", channel_made(), group_by=BY_INCIDENT)
    scene = Scene()
    (alert,) = scene.fire("a")
    scene.turn()
    assert firing_told(scene, WAIT) == [["a"]]
    incident = incident_made(alert)
    joined(incident, *scene.fire("b", service="graph"))
    assert firing_told(scene, WAIT) == []
    assert firing_told(scene, WAIT) == [["b"]]
    # And so is its end, where its beginning was.
    scene.resolve("a")
    ((_, over),) = scene.wait(INTERVAL)
    assert (why_of(over), names_of(over, "resolved")) == ("resolved", {"a"})
    assert over.why is not None
    assert dict(over.why.group_labels) == {"service": "planner", "severity": "page"}


def test_an_alert_whose_incident_becomes_part_of_another_is_not_told_again() -> None:
    route_made("all", channel_made(), group_by=BY_INCIDENT)
    scene = Scene()
    one = incident_made(*scene.fire("a"))
    younger = scene.fire("b", service="graph")
    incident_made(*younger)
    scene.turn()
    assert firing_told(scene, WAIT) == [["a"], ["b"]]
    joined(one, *younger)
    scene.turn()
    assert firing_told(scene, INTERVAL) == []
    scene.resolve("b", service="graph")
    assert [why_of(each) for _, each in scene.wait(INTERVAL)] == ["resolved"]


def test_alerts_of_two_incidents_of_one_service_are_told_apart() -> None:
    route_made("all", channel_made(), group_by=BY_INCIDENT)
    scene = Scene()
    incident_made(*scene.fire("a", "b"))
    incident_made(*scene.fire("c"))
    scene.turn()
    assert firing_told(scene, WAIT) == [["a", "b"], ["c"]]


def test_a_storm_that_turns_out_to_be_many_incidents_stays_as_many_messages() -> None:
    route_made("all", channel_made(), group_by=BY_INCIDENT)
    scene = Scene()
    alerts = [alert for n in range(24) for alert in scene.fire("a", service=f"svc{n:02}")]
    scene.turn()
    assert AlertGroup.objects.count() == 21
    for alert in alerts:
        incident_made(alert)
    scene.turn()
    told = [each for _, each in scene.wait(WAIT)]
    assert sorted(len(each.alerts) for each in told) == [1] * 20 + [4]


def test_a_route_and_a_silence_may_name_an_incident() -> None:
    scene = Scene()
    incident = incident_made(*scene.fire("a", "b"))
    scene.fire("c")
    named = [{"label": "incident", "op": "=", "value": str(incident.pk)}]
    route_made("its-room", channel_made("room"), matchers=named, group_by=[])
    scene.turn()
    assert firing_told(scene, WAIT) == [["a", "b"]]
    Silence.objects.create(
        matchers=named, starts_at=scene.now, ends_at=scene.now.replace(hour=23), reason="known",
        actor="anna", created_at=scene.now,
    )  # fmt: skip
    scene.turn()
    held = Alert.objects.exclude(suppressed_by=[]).values_list("rule_name", flat=True)
    assert sorted(held) == ["a", "b"]


def test_a_label_that_somebody_calls_incident_is_none_of_this_site() -> None:
    route_made("all", channel_made(), group_by=BY_INCIDENT)
    scene = Scene()
    scene.fire("a", incident="INC-1")
    scene.fire("b", incident="INC-2")
    scene.turn()
    assert firing_told(scene, WAIT) == [["a", "b"]]


def test_what_is_told_alert_by_alert_is_told_once_though_its_incident_comes_later() -> None:
    route_made("all", channel_made(), group_by=["..."])
    scene = Scene()
    alerts = scene.fire("a", "b")
    scene.turn()
    assert firing_told(scene, WAIT) == [["a"], ["b"]]
    incident_made(*alerts)
    scene.turn()
    assert firing_told(scene, INTERVAL) == []


def test_the_page_of_an_alert_leads_to_the_incident_by_which_it_is_told(viewer: Client) -> None:
    route_made("all", channel_made(), group_by=BY_INCIDENT)
    scene = Scene()
    (alert,) = scene.fire("a")
    incident = incident_made(alert)
    scene.turn()
    page = viewer.get(f"/alerts/{alert.pk}").content.decode()
    assert f'<a href="/incidents/{incident.pk}">its incident</a>, severity=page' in page
    # A silence made from here is of the alert, also when it comes again.
    alert.refresh_from_db()
    assert str(incident.pk) not in silence_query(alert)
    # Groups of other times may have been made by a label that somebody else called so.
    AlertGroup.objects.update(labels={"incident": "INC-1"})
    assert "incident=INC-1" in viewer.get(f"/alerts/{alert.pk}").content.decode()


# --- What messages of one incident are called


def test_all_messages_of_one_incident_bear_its_name() -> None:
    """Whatever of it fires or is over; what is told alone says what it is, too."""
    route_made("all", channel_made(), group_by=BY_INCIDENT)
    scene = Scene()
    outage = scene.fire("a", "b")
    incident_made(*outage, *scene.fire("c", severity="ticket"), title="graph burns its budget")
    scene.turn()
    titles = {each.severity: each.title for _, each in scene.wait(WAIT)}
    assert titles == {
        "page": "2 alerts of one incident fire: graph burns its budget",
        "ticket": "c of planner (part of: graph burns its budget)",
    }
    scene.resolve("a", "b")
    scene.resolve("c", severity="ticket")
    assert {each.severity: each.title for _, each in scene.wait(INTERVAL)} == {
        "page": "2 alerts of one incident are over: graph burns its budget",
        "ticket": "Over: c of planner (part of: graph burns its budget)",
    }


def test_a_message_of_two_incidents_bears_the_name_of_neither() -> None:
    route_made("all", channel_made())
    scene = Scene()
    first, second = scene.fire("a", "b")
    incident_made(first, title="graph burns its budget")
    incident_made(second, title="mail burns its budget")
    scene.turn()
    message = told_once(scene, WAIT)
    assert message.title.startswith("2 alerts of planner fire: ")
    assert "budget" not in message.title

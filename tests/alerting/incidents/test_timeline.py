"""One timeline of all that happened to the services of an incident, each thing once."""

from __future__ import annotations

from alerting import tasks
from alerting.models import Alert, AlertGroup, Channel, Delivery, Incident, Route
from alerting.selectors.incident_story import incident_story
from alerting.services.incident_timeline import timelines_follow
from breakers.domain.keys import breaker_key
from breakers.services.toggles import toggle_set
from health.models import Maintenance
from health.services.maintenance import maintenance_create, maintenance_update
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from resilience_site.core.journal import Entry
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import (
    chains,
    check,
    fire,
    follow,
    incident_of,
    opened,
    over,
    tell,
)


def lines(incident: Incident) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in incident.entries.order_by("at", "id")]


def test_everything_that_happened_to_its_services_stands_in_it_once() -> None:
    key = breaker_key("planner", "graph")
    release = {"version": "1.5", "previous": "1.4", "environment": "prod"}
    check = {"name": "planner-http", "from_state": "up", "culprit": "pg"}
    forced = {"name": "graph", "actor": "ada", "reason": "Graph is down"}
    toggled = {"actor": "bo", "reason": "stop writes"}
    anomaly = {"metric": "error_rate", "value": 0.31, "expected": 0.01}
    tell(
        Entry("releases", "release_first_seen", "planner", "", "planner", release),
        opened(reason="6 of 10 calls failed"),
        Entry("health", "state_changed", "c-1", "unreachable", "planner", check),
        Entry("breakers", "override.set", key, "forced_open", "planner", forced),
        Entry("toggles", "toggle.set", "planner.write", "set", "", toggled),
        Entry("anomalies", "anomaly_started", "planner", "error_rate", "planner", anomaly),
        Entry("degraded", "degraded.set", "planner", "reduced", "planner", {"actor": "ada"}),
        Entry("traffic", "traffic.changed", "planner"),
        Entry("patterns", "pattern.seen", "p", "ongoing", "planner"),
        opened("billing"),
    )
    alert = fire(summary="the breaker graph is open")
    follow()
    assert timelines_follow(now=scene.at(1)) == 7
    incident = incident_of(alert)
    told = lines(incident)
    assert set(told) == {
        ("alert", "Page: the breaker graph is open"),
        ("release", "planner runs version 1.5, after 1.4 in prod"),
        (
            "transition",
            "Breaker graph of planner went from closed to open in a-1: 6 of 10 calls failed",
        ),
        ("check", "Check planner-http of planner went from up to unreachable, as pg fails"),
        (
            "override",
            "Breaker graph of planner was set to forced open by ada: Graph is down",
        ),
        ("override", "Toggle planner.write was set by bo: stop writes"),
        ("anomaly", "Unusual error rate of planner: 0.31, 0.01 expected"),
        ("degraded", "planner is in the mode reduced by ada"),
    }
    transition = incident.entries.get(kind="transition")
    assert transition.link == f"/breakers/{key}"
    assert incident.entries.get(text__contains="Toggle").actor == "bo"
    assert timelines_follow(now=scene.at(1)) == 0
    # Read anew from the beginning, nothing is there twice.
    Incident.objects.update(cursor=0)
    assert timelines_follow(now=scene.at(1)) == 0
    tell(opened(name="redis"))
    assert timelines_follow(now=scene.at(2)) == 1
    assert len(lines(incident)) == len(told) + 1


def test_toggles_stand_in_it_that_hold_for_its_services_or_name_one() -> None:
    alert = fire(service="planner-mcp-server")
    follow()
    by: dict[str, object] = {"actor": "ada", "reason": "r", "services": []}

    def set_to(key: str, *services: str) -> Entry:
        return Entry("toggles", "toggle.set", key, "set", "", {**by, "services": list(services)})

    tell(
        set_to("cx.write"),
        set_to("planner.write"),
        set_to("new_planner_form"),
        set_to("dark", "billing", "planner-mcp-server"),
        set_to("planner.of.others", "billing"),
    )
    timelines_follow(now=scene.at(1))
    told = [text for kind, text in lines(incident_of(alert)) if kind == "override"]
    assert sorted(told) == [
        "Toggle dark of billing, planner-mcp-server was set by ada: r",
        "Toggle new_planner_form was set by ada: r",
        "Toggle planner.write was set by ada: r",
    ]


def test_a_toggle_says_itself_where_it_holds() -> None:
    alert = fire()
    follow()
    shared = {"value": True, "reason": "r", "actor": Actor(ActorKind.USER, "ada")}
    for key, service in (("dark", "planner"), ("planner.else", "billing")):
        check(service, service)
        toggle_set(key=key, services=[service], role=Role.ADMIN, **shared)
    timelines_follow(now=scene.at(1))
    told = [text for kind, text in lines(incident_of(alert)) if kind == "override"]
    assert told == ["Toggle dark of planner was set by ada: r"]


def test_maintenance_stands_in_it_that_covers_its_services_and_says_which() -> None:
    alert = fire()
    follow()
    check("planner-http", "planner")
    check("mail-smtp", "mail")
    times = {"starts_at": scene.NOW, "ends_at": scene.at(60)}
    ada = Actor(ActorKind.USER, "ada")

    def plan(name: str, **scope: object) -> Maintenance:
        return maintenance_create(
            name=name, kind="single", reason="r", actor=ada, now=scene.NOW, **times, **scope
        )

    plan("disk", services=["mail", "planner"])
    plan("one check", checks=["planner-http"])
    moved = plan("moved", services=["planner"])
    plan("elsewhere", services=["mail"])
    plan("check elsewhere", checks=["mail-smtp"])
    plan("house")
    # Those that it covered until then hear of it, too.
    maintenance_update(
        maintenance_id=moved.id, changes={"services": ["mail"]}, actor=ada, now=scene.NOW
    )
    timelines_follow(now=scene.at(1))
    told = [text for kind, text in lines(incident_of(alert)) if kind == "maintenance"]
    assert sorted(told) == [
        "Maintenance “disk” of mail, planner was created",
        "Maintenance “house” of everything was created",
        "Maintenance “moved” of mail, planner was updated",
        "Maintenance “moved” of planner was created",
        "Maintenance “one check” of planner was created",
    ]


def test_why_a_breaker_opened_is_said_in_words() -> None:
    tell(opened(reason="failure_threshold"))
    alert = fire()
    follow()
    timelines_follow(now=scene.at(1))
    line = incident_of(alert).entries.get(kind="transition")
    assert line.text.endswith("went from closed to open in a-1: too many failures in a row")


def test_as_it_is_read_one_message_is_one_line_and_an_alert_says_that_nobody_was_told() -> None:
    words = "planner burns its budget"
    sent, held = fire(summary=words), fire(summary=words)
    late = fire(summary=words, minute=1)
    why = {"kind": "inhibition", "id": "burn", "text": "slo_burn_fast says it already"}
    Alert.objects.filter(id__in=[held.id, late.id]).update(suppressed_by=[why])
    # Somebody was told before it was held back.
    Alert.objects.filter(id=late.id).update(told_at=scene.at(1))
    follow()
    over(held, 2)
    follow(2)
    tell(*(Entry("patterns", "pattern.new", f"p-{n}", "new", "planner", {"type": "NotPermitted"})
           for n in range(4)))  # fmt: skip
    route = Route.objects.create(name="all", position=1)
    group = AlertGroup.objects.create(route=route, key="k", created_at=scene.NOW, due_at=scene.NOW)
    group.alerts.add(sent)
    for name in ("ops", "mail"):
        channel = Channel.objects.create(
            kind="webhook", name=name, created_at=scene.NOW, changed_at=scene.NOW
        )
        Delivery.objects.create(
            channel=channel, channel_name=name, purpose="alerts", group=group, state="delivered",
            message={"title": words}, next_at=scene.NOW, created_at=scene.NOW, attempts=1,
            ended_at=scene.at(0.5),
        )  # fmt: skip
    timelines_follow(now=scene.at(2))
    story = incident_story(incident_of(sent).id)
    assert sorted((each.kind, each.text, each.held) for each in story) == [
        ("alert", f"Over after 2 min: {words} (nobody was told: {why['text']})", True),
        ("alert", f"Page: {words}", False),
        ("alert", f"Page: {words}", False),
        ("alert", f"Page: {words} (nobody was told: {why['text']})", True),
        ("delivery", f"mail and ops were told: {words}", False),
        ("errors", "A new kind of error of planner: NotPermitted (4 times)", False),
    ]
    only = incident_story(incident_of(sent).id, ["delivery"])
    assert [each.kind for each in only] == ["delivery"]


def test_a_service_that_it_turns_out_to_concern_is_read_from_the_beginning() -> None:
    tell(opened("graph", "pool"))
    alert = fire(service="planner", breaker="graph")
    follow()
    assert timelines_follow(now=scene.at(1)) == 0
    (trace,) = chains(1, "graph", "planner", root="graph")
    fire("slow", service="planner", facts={"trace_id": trace}, breaker="graph", minute=1)
    follow(1)
    assert timelines_follow(now=scene.at(1)) == 1
    assert ("transition" in dict(lines(incident_of(alert)))) is True


def test_who_was_told_stands_in_it() -> None:
    alert = fire()
    follow()
    channel = Channel.objects.create(
        kind="webhook", name="ops", created_at=scene.NOW, changed_at=scene.NOW
    )
    route = Route.objects.create(name="all", position=1)
    group = AlertGroup.objects.create(route=route, key="k", created_at=scene.NOW, due_at=scene.NOW)
    group.alerts.add(alert)
    for state, error in (("delivered", ""), ("failed", "410 Gone"), ("pending", "")):
        Delivery.objects.create(
            channel=channel, channel_name="ops", purpose="alerts", group=group, state=state,
            message={"title": "planner fails"}, next_at=scene.NOW, created_at=scene.NOW,
            attempts=2, last_error=error,
        )  # fmt: skip
    for _ in range(2):
        timelines_follow(now=scene.at(1))
    told = [text for kind, text in lines(incident_of(alert)) if kind == "delivery"]
    assert sorted(told) == [
        "ops could not be told (410 Gone): planner fails",
        "ops was told at attempt 2: planner fails",
    ]


def test_what_goes_up_and_down_all_the_time_does_not_drown_the_rest() -> None:
    alert = fire()
    follow()
    tell(*(opened(instance=f"a-{n}") for n in range(400)), opened())
    timelines_follow(now=scene.at(1))
    assert incident_of(alert).entries.filter(kind="transition").count() == 300


def test_the_task_follows_alerts_and_goes_on_with_the_timeline() -> None:
    tell(opened())
    alert = fire(breaker="graph")
    tasks.incidents_follow()
    tasks.incidents_examine()
    told = [kind for kind, _ in lines(incident_of(alert))]
    assert sorted(told) == ["alert", "transition"]


def test_a_silence_of_its_service_stands_in_it() -> None:
    alert = fire()
    follow()
    silence = {"actor": "ada", "reason": "we know", "ends_at": "2026-03-02T13:00:00+00:00"}
    tell(
        Entry("alerts", "silence.created", "s", "", "planner", silence),
        Entry("alerts", "alert.firing", str(alert.id), "firing", "planner", {}),
    )
    timelines_follow(now=scene.at(1))
    text = "Alerts of planner were silenced by ada until 2026-03-02 13:00 UTC: we know"
    assert ("override", text) in lines(incident_of(alert))
    assert incident_of(alert).entries.count() == 2


def test_what_leads_nowhere_is_no_link() -> None:
    alert = fire()
    follow()
    said = {"text": "Healing run 7 failed", "link": "javascript:alert(1)"}
    tell(Entry("healing", "run.failed", "7", "failed", "planner", said))
    timelines_follow(now=scene.at(1))
    line = incident_of(alert).entries.get(kind="healing")
    assert (line.text, line.link) == ("Healing run 7 failed", "")


def test_healing_is_told_by_its_steps_and_by_how_its_runs_end() -> None:
    alert = fire()
    follow()
    run = {"workflow": "warm_cache", "target": "planner", "link": "/healing/runs/7"}

    def said(kind: str, state: str, text: str) -> Entry:
        return Entry("healing", kind, "7", state, "planner", {**run, "text": text})

    tell(
        said("opportunity.opened", "open", "Warm the cache could heal planner"),
        said("run.created", "pending", "Warm the cache on planner: check redis is down"),
        said("run.step", "running", "Requests on planner"),
        said("run.step", "succeeded", "Requests on planner: 8 requests were answered"),
        said("run.succeeded", "succeeded", "The check passed twice in a row."),
        said("opportunity.ended", "ended", "Warm the cache need not heal planner any more"),
    )
    timelines_follow(now=scene.at(1))
    lines = incident_of(alert).entries.filter(kind="healing").order_by("at", "id")
    assert sorted(line.text for line in lines) == [
        "Requests on planner: 8 requests were answered",
        "Warm the cache on planner: check redis is down",
        "warm cache of planner: The check passed twice in a row.",
    ]
    assert {line.link for line in lines} == {"/healing/runs/7"}

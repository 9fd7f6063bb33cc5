"""Incidents over the API: reading them, and acting on them."""

from __future__ import annotations

from alerting.services.incident_timeline import timelines_follow
from resilience_site.core import journal
from resilience_site.core.models import AuditEntry
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import fire, follow, incident_of, opened, over, tell
from tests.health.api.conftest import Api


def test_two_alerts_of_one_cause_are_one_incident_with_its_timeline(read: Api) -> None:
    tell(opened())
    first = fire(minute=-3, breaker="graph", summary="The breaker graph of planner is open")
    second = fire("slo-burn", minute=-2, severity="ticket", breaker="graph")
    follow(-1)
    timelines_follow(now=scene.NOW)
    (item,) = read.get("incidents")["items"]
    assert item["title"] == "The breaker graph of planner is open"
    assert (item["state"], item["severity"], item["ended_at"]) == ("open", "page", None)
    assert (item["alert_count"], item["firing_count"]) == (2, 2)
    detail = read.get(f"incidents/{item['id']}")
    assert {each["id"] for each in detail["alerts"]} == {str(first.id), str(second.id)}
    assert [each["kind"] for each in detail["timeline"]] == ["alert", "alert", "transition"]
    assert set(detail["timeline"][0]) >= {"at", "kind", "text", "link"}
    assert detail["timeline"][0]["link"] == f"/alerts/{first.id}"
    assert detail["url"].endswith(f"/incidents/{item['id']}")
    assert detail["cause"] == {
        "text": "",
        "service": "",
        "confidence": None,
        "evidence": [],
        "missing": [],
    }


def test_the_list_is_filtered(read: Api) -> None:
    one, two = fire(), fire(service="billing", severity="ticket")
    follow()
    over(two, 1)
    follow(1)

    def found(query: str) -> set[str]:
        return {each["id"] for each in read.get(f"incidents?{query}")["items"]}

    open_one, ended = str(incident_of(one).id), str(incident_of(two).id)
    assert found("") == {open_one, ended}
    assert found("state=active") == found("state=open") == {open_one}
    assert found("state=resolved") == found("severity=ticket") == found("service=billing")
    assert found("service=billing") == {ended}
    assert found("q=planner") == {open_one}
    assert read("GET", "incidents?state=nonsense")[0] == 422


def test_one_that_is_open_is_listed_whenever_it_began(read: Api) -> None:
    """A ticket of six weeks ago needs somebody no less than one of today."""
    days = 24 * 60
    old, ended = fire(minute=-40 * days), fire(service="billing", minute=-40 * days)
    recent = fire(service="agent", minute=-29 * days)
    follow(-29 * days)
    over(ended, -39 * days)
    over(recent, -28 * days)
    follow(-28 * days)

    def found(query: str) -> list[str]:
        return [each["id"] for each in read.get(f"incidents?{query}")["items"]]

    old_one, recent_one, ended_one = (str(incident_of(each).id) for each in (old, recent, ended))
    assert found("") == [recent_one, old_one]
    assert found("state=open") == found("state=active") == [old_one]
    assert found("state=resolved") == [recent_one]
    # Who asks for a range gets that range.
    assert found("since=30d") == [recent_one]
    assert found("since=30d&state=open") == []
    assert set(found("since=41d&until=39d")) == {old_one, ended_one}
    # What is open began before the range of a month that ends then, too.
    assert found("until=5d&state=open") == [old_one]


def test_what_people_do_is_kept_audited_and_told(operate: Api) -> None:
    alert = fire()
    follow()
    path = f"incidents/{incident_of(alert).id}"
    cursor = journal.latest_cursor()
    status, shown = operate("POST", f"{path}/acknowledge", {"note": "on it"})
    assert (status, shown["state"], shown["acknowledged_by"]) == (
        200,
        "acknowledged",
        "a operate key",
    )
    assert operate("POST", f"{path}/assign", {"to": " ada  lovelace "})[1]["assigned_to"] == (
        "ada lovelace"
    )
    assert operate("POST", f"{path}/note", {"note": "restarted the pool"})[0] == 200
    status, shown = operate("POST", f"{path}/resolve", {"note": "the pool was full"})
    assert (status, shown["state"], shown["resolved_by"]) == (200, "resolved", "a operate key")
    assert shown["ended_at"] is not None
    notes = [each["text"] for each in shown["timeline"] if each["kind"] == "note"]
    assert notes == ["on it", "restarted the pool", "the pool was full"]
    assert [each.kind for each in journal.read(cursor, ["incidents"])] == [
        "incident.acknowledged",
        "incident.changed",
        "incident.changed",
        "incident.ended",
    ]
    audited = AuditEntry.objects.filter(object_type="incident").order_by("id")
    assert list(audited.values_list("action", "reason")) == [
        ("incident.acknowledge", "on it"),
        ("incident.assign", ""),
        ("incident.note", "restarted the pool"),
        ("incident.resolve", "the pool was full"),
    ]


def test_a_stale_version_is_refused_with_both_sides(operate: Api) -> None:
    alert = fire()
    follow()
    path = f"incidents/{incident_of(alert).id}"
    seen = operate.raw("GET", path).headers["ETag"]
    assert operate("POST", f"{path}/acknowledge", {}, If_Match=seen)[0] == 200
    status, problem = operate("POST", f"{path}/resolve", {"note": "done"}, If_Match=seen)
    assert (status, problem["current"]["state"]) == (409, "acknowledged")
    assert problem["proposed"] == {"act": "resolve", "note": "done"}
    assert operate("POST", f"{path}/resolve")[0] == 200


def test_what_is_impossible_is_refused_with_the_reason(operate: Api, read: Api) -> None:
    alert = fire()
    follow()
    path = f"incidents/{incident_of(alert).id}"
    assert operate("POST", f"{path}/note", {"note": "  "})[0] == 422
    assert operate("POST", f"{path}/note", {"note": 7})[0] == 422
    assert operate("POST", f"{path}/note", {"note": "x" * 2_001})[0] == 422
    assert operate("POST", f"{path}/assign", {"to": "x" * 200})[0] == 422
    # Whoever forgets the name takes the incident from nobody.
    operate("POST", f"{path}/assign", {"to": "ada"})
    status, wrong = operate("POST", f"{path}/assign", {})
    assert (status, wrong["errors"][0]["field"]) == (422, "body.to")
    assert incident_of(alert).assigned_to == "ada"
    assert operate("POST", f"{path}/assign", {"to": ""})[1]["assigned_to"] == ""
    operate("POST", f"{path}/resolve")
    assert operate("POST", f"{path}/resolve")[0] == 422
    assert operate("POST", f"{path}/acknowledge")[0] == 422
    assert operate("POST", f"{path}/acknowledge", b"{")[0] == 400
    assert read("POST", f"{path}/acknowledge")[0] == 403
    assert read("GET", "incidents/01890a5d-ac96-774b-bcce-b302099a8057")[0] == 404
    refused = AuditEntry.objects.filter(action="incident.resolve.refused")
    assert refused.get().reason == "The incident is resolved already."


def test_acknowledging_again_changes_nothing_but_adds_its_note(operate: Api) -> None:
    alert = fire()
    follow()
    path = f"incidents/{incident_of(alert).id}"
    first = operate("POST", f"{path}/acknowledge")[1]
    assert operate("POST", f"{path}/acknowledge")[1]["version"] == first["version"]
    again = operate("POST", f"{path}/acknowledge", {"note": "still"})[1]
    assert again["version"] == first["version"] + 1
    assert again["acknowledged_at"] == first["acknowledged_at"]


def test_the_address_of_a_joined_incident_leads_to_the_one_that_took_it_in(operate: Api) -> None:
    first, second = fire(minute=-2), fire(service="agent", minute=-1)
    follow(-1)
    younger = incident_of(second).id
    for service in ("planner", "agent"):
        scene.chains(4, "graph", service, root="graph")
    follow()
    older = str(incident_of(first).id)
    assert incident_of(second).id != younger
    assert operate.get(f"incidents/{younger}")["id"] == older
    assert operate("POST", f"incidents/{younger}/acknowledge")[1]["id"] == older

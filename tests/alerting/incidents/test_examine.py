"""The probable cause of an incident with its evidence, what it touched, and the rises of errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from alerting.models import Incident
from alerting.services import incident_examine
from alerting.services.incident_examine import incidents_examine
from resilience_site.core import journal
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import chains, check, fire, follow, incident_of, over
from tests.analytics.store.conftest import forget_all
from tests.pages import scenes


@pytest.fixture
def outage() -> Incident:
    """Graph throttles the planner for ten minutes, which raises an alert."""
    forget_all()
    now = datetime.now(UTC)
    scenes.store(list(scenes.hour(now, calls_a_minute=12)), now)
    fire("slo-burn", "planner-mcp-server", minute=-38, summary="planner burns its budget")
    follow(-1)
    return Incident.objects.get()


def test_the_culprit_is_found_with_its_evidence_and_what_it_touched(outage: Incident) -> None:
    cursor = journal.latest_cursor()
    assert incidents_examine(now=scene.at(2)) == 1
    outage.refresh_from_db()
    assert outage.cause["service"] == outage.culprit == "planner-mcp-server"
    assert outage.cause["text"].startswith("It began in planner-mcp-server: ")
    assert outage.cause["text"].endswith("chains of errors in its time began there.")
    assert {each["kind"] for each in outage.cause["evidence"]} == {"chains", "ranking", "alerts"}
    assert all(set(each) == {"kind", "text", "link"} for each in outage.cause["evidence"])
    assert outage.impact["requests_lost"] == outage.impact["requests"] > 0
    assert outage.impact["services"] == ["planner-mcp-server", "planning-agent"]
    assert {"users", "tiers", "services", "error_budget_spent", "blast_radius"} <= set(
        outage.impact
    )
    # Errors and calls are counted in the same whole minutes.
    ends = [datetime.fromisoformat(outage.impact[name]) for name in ("since", "until", "as_of")]
    assert ends[0] <= outage.started_at - timedelta(minutes=5) < ends[0] + timedelta(minutes=1)
    assert (ends[0].second, ends[1], ends[2]) == (0, scene.at(2), scene.at(2))
    assert outage.impact["budget"]["unit"] == "calls"
    assert [each.kind for each in journal.read(cursor, ["incidents"])] == ["incident.changed"]
    # Examined again only after a while, and told only when something is new.
    assert incidents_examine(now=scene.at(3)) == 0
    cursor = journal.latest_cursor()
    version = outage.version
    assert incidents_examine(now=scene.at(2) + incident_examine.EVERY) == 1
    outage.refresh_from_db()
    assert outage.version - version == len(journal.read(cursor, ["incidents"]))


def test_rises_of_errors_stand_in_the_timeline_and_grow(outage: Incident) -> None:
    incident_examine.incident_examine(outage, now=scene.at(0))
    lines = outage.entries.filter(kind="errors", ref__startswith="errors:")
    before = dict(lines.values_list("ref", "text"))
    assert before
    assert all(" a minute in the hour before" in text for text in before.values())
    incident_examine.incident_examine(outage, now=scene.at(1))
    assert set(dict(lines.values_list("ref", "text"))) >= set(before)


def test_a_failing_check_that_explains_others_is_the_cause() -> None:
    database = check("pg", "database", "down")
    check("planner", "planner", "unreachable", culprit=database)
    fire(service="planner", minute=-3)
    follow(-2)
    incidents_examine(now=scene.at(0))
    found = Incident.objects.get()
    assert found.culprit == "database"
    assert "check pg fails since" in found.cause["text"]
    assert "it explains 1 more failing check" in found.cause["text"]
    assert found.cause["evidence"][0]["link"] == f"/health/checks/{database.id}"


def test_a_silent_service_behind_a_breaker_is_the_cause_and_its_check_joins() -> None:
    check("graph-call", "microsoft-graph", "down")
    chains(30, "planner", root="planner", minute=-5)
    alert = fire("breaker_open", "planner", minute=-4, breaker="microsoft_graph")
    follow(-4)
    other = fire("critical_check_failed", "microsoft-graph", minute=-3)
    follow(-3)
    assert incident_of(other) == incident_of(alert)
    incidents_examine(now=scene.at(0))
    found = Incident.objects.get()
    assert found.culprit == "microsoft-graph"
    assert found.cause["confidence"] > 0.8
    assert "breaker" in {each["kind"] for each in found.cause["evidence"]}
    assert found.cause["others"][0]["service"] == "planner"


@pytest.mark.parametrize("service", ["", "resilience-site"])
def test_what_fails_elsewhere_is_no_cause_of_the_troubles_of_this_site(
    outage: Incident, service: str
) -> None:
    trouble = fire("site_trouble", service, minute=-30, part="worker")
    follow(-30)
    incident_examine.incident_examine(incident_of(trouble), now=scene.at(2))
    found = incident_of(trouble)
    assert found != outage
    assert (found.culprit, found.services) == (service, [service] if service else [])


def test_where_most_chains_began_joins_incidents() -> None:
    first = fire(service="planner", minute=-3, breaker="graph")
    follow(-3)
    second = fire(service="agent", minute=-2, breaker="other")
    follow(-2)
    assert incident_of(first) != incident_of(second)
    for service in ("planner", "agent"):
        (trace,) = chains(1, "graph", service, root="graph")
        assert trace
    chains(8, "graph", "planner", "agent", root="graph")
    incidents_examine(now=scene.at(1))
    follow(1)
    assert incident_of(first) == incident_of(second)
    assert incident_of(first).culprit == "graph"


def test_an_incident_that_alerts_keep_joining_is_examined_all_the_same() -> None:
    fire("breaker_open", "planner", minute=0, breaker="graph")
    follow(0)
    joined = timedelta(seconds=19) / scene.MINUTE
    fire("slo_burn_fast", "planner", minute=joined)
    follow(joined)
    assert incidents_examine(now=scene.at(0) + timedelta(seconds=19)) == 0
    assert incidents_examine(now=scene.at(0) + timedelta(seconds=20)) == 1


def test_an_incident_that_is_over_is_looked_at_once_more() -> None:
    alert = fire(minute=-30)
    follow(-30)
    incidents_examine(now=scene.at(-29))
    over(alert, -28)
    follow(-28)
    assert incidents_examine(now=scene.at(-27)) == 1
    assert incidents_examine(now=scene.at(-26)) == 0
    assert incidents_examine(now=scene.at(30)) == 0


def examined_in(turns: int, *, apart: timedelta) -> list[set[str]]:
    """The services whose incidents each of so many turns examines."""
    found = []
    for n in range(turns):
        now = scene.at(0) + n * apart
        incidents_examine(now=now)
        these = Incident.objects.filter(examined_at=now)
        found.append({service for each in these for service in each.services})
    return found


def test_a_page_that_somebody_works_on_is_examined_before_a_storm_of_tickets() -> None:
    page = fire(service="paying", minute=-20)
    taken = fire(service="shipping", minute=-20, severity="ticket")
    follow(-20)
    Incident.objects.update(examined_at=scene.at(-15))
    for alert in (page, taken):
        Incident.objects.filter(pk=incident_of(alert).pk).update(state="acknowledged")
    for n in range(6):
        fire(service=f"shop-{n}", minute=-3, severity="ticket")
    follow(-2)
    (first,) = examined_in(1, apart=timedelta())
    assert {"paying", "shipping"} < first
    assert len(first) == 3


def test_a_ticket_waits_for_pages_and_not_for_ever() -> None:
    pages, tickets = 4, 2
    for n in range(pages):
        fire(service=f"page-{n}", minute=-30)
    follow(-29)
    Incident.objects.update(examined_at=scene.at(-9))
    for n in range(tickets):
        fire(service=f"ticket-{n}", minute=-8, severity="ticket")
    follow(-7)
    # The pages are due again at each turn, and fill it by themselves.
    turns = examined_in(pages + tickets, apart=incident_examine.EVERY)
    assert all(len(each) == 3 for each in turns)
    assert all(sum("page" in name for name in each) >= 2 for each in turns)
    assert {"ticket-0", "ticket-1"} <= set().union(*turns)


def test_one_that_cannot_be_read_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = fire(minute=-5), fire(service="billing", minute=-3)
    follow(-2)
    read = incident_examine.clues_of

    def failing(incident: Incident, now: datetime) -> object:
        if incident.id == incident_of(first).id:
            raise OperationalError("the disk is full")
        return read(incident, now)

    monkeypatch.setattr(incident_examine, "clues_of", failing)
    assert incidents_examine(now=scene.at(0)) == 2
    assert "could not be examined" in caplog.text
    assert incident_of(first).cause == {
        "missing": ["It could not be worked out: OperationalError."]
    }
    assert incident_of(second).culprit == "billing"


def test_nothing_known_is_said_as_that() -> None:
    fire(service="", minute=-3)
    follow(-2)
    assert incidents_examine(now=scene.at(0) + timedelta(seconds=1)) == 1
    found = Incident.objects.get()
    assert (found.cause, found.culprit, found.impact) == ({}, "", {})
    assert found.examined_at is not None

"""What the public status page tells of health, incidents and maintenance."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from health.choices import IncidentStage
from health.models import PublicIncident, Service
from health.services.incidents import incident_open, incident_resolve, incident_update
from resilience_site.pages import status
from tests.health.status.scenes import ANA, DAY, check, hours, outage, service, turn, window

pytestmark = pytest.mark.usefixtures("empty_site")


def facts() -> dict[str, Any]:
    status.forget()
    document: dict[str, Any] = Client().get("/status.json").json()
    return document


def page() -> str:
    status.forget()
    return Client().get("/status").text


def items() -> list[ET.Element]:
    status.forget()
    return ET.fromstring(Client().get("/status/feed.rss").content).findall(".//item")


def opened(now: datetime, *services: Service, impact: str = "degraded") -> PublicIncident:
    return incident_open(
        title="Plans load slowly", impact=impact, services=[each.name for each in services],
        text="We look into it.", actor=ANA, now=now,
    )  # fmt: skip


# --- The five states --------------------------------------------------------------------------


def test_the_health_of_public_services_makes_the_state_of_the_whole(now: datetime) -> None:
    planner, mail = service("planner-srv", "Planner", now), service("mail-srv", "Mail", now)
    hidden = check(service("hidden-srv", "", now), now, "down")
    ours, theirs = check(planner, now), check(mail, now)
    assert facts()["status"] == "operational"
    turn(ours, "degraded")
    assert facts()["status"] == "degraded"
    turn(ours, "unreachable")
    assert facts()["status"] == "partial_outage"
    turn(theirs, "down")
    assert facts()["status"] == "major_outage"
    assert "Major outage" in page()
    turn(ours, "maintenance")
    turn(theirs, "up")
    assert facts()["status"] == "maintenance"
    assert [(each["name"], each["status"]) for each in facts()["services"]] == [
        ("Mail", "operational"),
        ("Planner", "maintenance"),
    ]
    assert hidden.service.name not in page()


def test_most_of_the_critical_services_make_it_a_major_outage(now: datetime) -> None:
    check(service("a", "A", now, "critical"), now, "down")
    check(service("b", "B", now, "high"), now, "up")
    check(service("c", "C", now), now, "down")
    assert facts()["status"] == "partial_outage"
    check(service("d", "D", now, "critical"), now, "down")
    assert facts()["status"] == "major_outage"


def test_a_failing_check_that_is_not_critical_only_degrades(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    check(planner, now, "up")
    check(planner, now, "down", critical=False)
    assert facts()["status"] == "degraded"


def test_services_of_one_public_name_are_one(now: datetime) -> None:
    check(service("planner-web", "Planner", now), now, "up")
    check(service("planner-worker", "Planner", now), now, "down")
    assert [each["status"] for each in facts()["services"]] == ["partial_outage"]


def test_what_is_not_measured_is_not_called_well(now: datetime) -> None:
    check(service("planner-srv", "Planner", now), now, "unknown")
    found = facts()
    assert found["sentence"] == "No problems known"
    [told] = found["services"]
    assert told["status"] is None
    assert told["availability"]["ratio"] is None
    text = page()
    assert "Not measured" in text
    assert "The state of 1 service is not known now" in text
    assert "100" not in text.split("Day by day")[1].split("</details>")[0]


# --- Incidents --------------------------------------------------------------------------------


def test_an_incident_is_told_with_its_account_until_it_is_past(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    began = now - timedelta(hours=2)
    incident = opened(began, planner, impact="major_outage")
    incident_update(
        incident_id=incident.id, stage="identified", text="A disk was full.\n\nIt is being grown.",
        impact="partial_outage", actor=ANA, now=began + timedelta(minutes=30),
    )  # fmt: skip
    found = facts()
    assert found["status"] == "partial_outage"
    assert found["services"][0]["status"] == "partial_outage"
    [told] = found["incidents"]
    assert (told["title"], told["services"], told["stage"]) == (
        "Plans load slowly", ["Planner"], "identified",
    )  # fmt: skip
    assert [each["stage"] for each in told["updates"]] == ["identified", "investigating"]
    text = page()
    assert "Affects Planner" in text
    assert "<p>It is being grown.</p>" in text
    assert "1 incident open" in text
    incident_resolve(incident_id=incident.id, text="It works again.", actor=ANA, now=now)
    found = facts()
    assert (found["status"], found["incidents"]) == ("operational", [])
    assert found["past_incidents"][0]["resolved_at"] is not None
    assert "It works again." in page()


def test_an_incident_leaves_the_page_after_fourteen_days(now: datetime) -> None:
    incident = opened(now - 16 * DAY)
    incident_resolve(incident_id=incident.id, actor=ANA, now=now - 15 * DAY)
    assert facts()["past_incidents"] == []


def test_past_days_are_told_by_day_the_newest_first(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    probe = check(planner, now)
    for days in (3, 1):
        outage(probe, now - days * DAY, 6)
    text = page()
    first, second = (f"{now - days * DAY:%Y-%m-%d}</time></h3>" for days in (1, 3))
    assert text.index(first) < text.index(second)


# --- Outages ----------------------------------------------------------------------------------


def test_an_outage_of_a_public_service_is_told_by_itself(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    probe, other = check(planner, now), check(planner, now)
    noon = (now - DAY).replace(hour=12, minute=1, second=0, microsecond=0)
    outage(probe, noon, 4)
    outage(other, noon + timedelta(minutes=2), 4)
    outage(check(planner, now, critical=False), noon + timedelta(hours=1), 10)
    outage(check(service("hidden-srv", "", now), now), noon, 30)
    outage(probe, noon + timedelta(hours=2), 30, held_by="maintenance")
    [told] = facts()["outages"]
    assert told["name"] == "Planner"
    text = page()
    assert "Planner: outage" in text
    assert ">12:01</time>–" in text
    assert ">12:07 UTC</time>, 6 min" in text
    outage(probe, now - timedelta(minutes=5), None)
    text = page()
    assert "Planner: outage since" in text
    assert "1 outage going on" in text


def test_a_service_that_fails_again_and_again_does_not_fill_the_page(now: datetime) -> None:
    probe = check(service("planner-srv", "Planner", now), now)
    midnight = (now - DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(25):
        outage(probe, midnight + timedelta(minutes=10 * number), 3)
    assert "and 5 more outages on this day" in page()


# --- Maintenance ------------------------------------------------------------------------------


def test_announced_maintenance_is_told_before_while_and_after(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    hour = timedelta(hours=1)
    window(now, "The database grows.", planner, starts=-hour, lasts=2 * hour, name="grow pg-7")
    window(now, "A new release.", starts=2 * DAY, lasts=hour, name="release 7")
    window(now, "It moved house.", planner, starts=-2 * DAY, lasts=hour, name="move")
    window(now, "", planner, starts=DAY, lasts=hour, name="of our own")
    window(now, "Far away.", planner, starts=60 * DAY, lasts=hour, name="later")
    found = facts()
    assert found["status"] == "maintenance"
    assert found["services"][0]["status"] == "maintenance"
    plan = found["maintenance"]
    assert [each["text"] for each in plan["under_way"]] == ["The database grows."]
    assert [(each["text"], each["all_services"]) for each in plan["upcoming"]] == [
        ("A new release.", True)
    ]
    assert [each["text"] for each in plan["past"]] == ["It moved house."]
    text = page()
    assert "Maintenance: Planner" in text
    assert "Maintenance: all services" in text
    assert "1 maintenance under way" in text


def test_maintenance_does_not_hide_worse(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    check(planner, now, "degraded")
    window(now, "Works.", planner, starts=-DAY, lasts=2 * DAY, name="w")
    assert facts()["status"] == "degraded"


# --- Days -------------------------------------------------------------------------------------


def test_days_are_told_as_bars_and_as_text_with_gaps_for_no_data(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    hours(planner, now - 5 * DAY, up=3_600)
    hours(planner, now - 4 * DAY, up=3_500, down=100)
    hours(planner, now - 3 * DAY, up=1_800, unreachable=1_800)
    hours(planner, now - 2 * DAY, up=600, degraded=3_000)
    hours(planner, now - 1 * DAY, maintenance_down=3_600)
    hours(planner, now - 200 * DAY, down=3_600)
    [told] = facts()["services"]
    assert [day["status"] for day in told["days"]] == [
        "operational", "partial_outage", "major_outage", "degraded", "maintenance",
    ]  # fmt: skip
    assert told["availability"]["measured_seconds"] == 4 * 3_600
    assert told["availability"]["unavailable_seconds"] == 1_900
    assert told["availability"]["ratio"] == int(12_500 / 14_400 * 1e6) / 1e6
    text = page()
    assert "Planner: 86.805 % available in the last 90 days" in text
    assert "85 days no data" in text
    assert "of 4 h measured on 4 of 90 days" in text
    assert f"<title>{now - 3 * DAY:%Y-%m-%d}: major outage, 50.000 % available" in text
    assert text.count('data-level="major_outage"') == 2  # its day, and the legend
    assert '<td>no data</td><td class="num">n/a</td>' in text


def test_a_day_is_as_bad_as_the_worst_part_of_a_service(now: datetime) -> None:
    web, worker = service("planner-web", "Planner", now), service("planner-job", "Planner", now)
    hours(web, now - DAY, up=3_600)
    hours(worker, now - DAY, up=1_800, down=1_800)
    [told] = facts()["services"]
    assert [(day["status"], day["ratio"]) for day in told["days"]] == [("major_outage", 0.5)]


# --- The feed ---------------------------------------------------------------------------------


def test_the_feed_keeps_the_identity_of_incidents_and_maintenance(now: datetime) -> None:
    planner = service("planner-srv", "Planner", now)
    incident = opened(now - timedelta(hours=2), planner)
    planned = window(
        now, "The database grows.", planner, starts=DAY, lasts=timedelta(hours=1), name="grow pg-7"
    )
    before = {str(each.findtext("guid")): each for each in items()}
    assert set(before) == {incident.id.urn, f"urn:maintenance:{planned.id}"}
    assert before[incident.id.urn].findtext("title") == "Incident: Plans load slowly (Planner)"
    assert before[incident.id.urn].findtext("category") == "ongoing"
    assert before[f"urn:maintenance:{planned.id}"].findtext("category") == "scheduled"
    incident_update(
        incident_id=incident.id, stage=IncidentStage.RESOLVED, text="Over.", actor=ANA, now=now
    )
    after = {str(each.findtext("guid")): each for each in items()}
    assert set(after) == set(before)
    told = after[incident.id.urn]
    assert told.findtext("category") == "resolved"
    assert "Resolved: Over." in str(told.findtext("description"))
    assert told.findtext("pubDate") == before[incident.id.urn].findtext("pubDate")
    link = str(told.findtext("link"))
    assert f'id="{link.partition("#")[2]}"' in page()

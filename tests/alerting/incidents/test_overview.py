"""Open incidents stand first on the overview."""

from __future__ import annotations

from django.test import Client

from alerting.models import Incident
from resilience_site.pages.incidents import incident_verdict
from resilience_site.pages.verdict import Verdict
from tests.alerting.incidents.scene import fire, follow, over

CALM = Verdict("ok", "check-circle", "All 3 services work", "0.1 % errors")
BAD = Verdict("bad", "x-circle", "1 of 3 services has errors above 5 %", "planner 12 %")


def incident(severity: str, title: str = "planner fails") -> Incident:
    return Incident(severity=severity, title=title)


def test_the_verdict_begins_with_the_most_urgent_incident() -> None:
    assert incident_verdict(CALM, []) == CALM
    found = incident_verdict(CALM, [incident("ticket")])
    assert (found.tone, found.sentence) == ("warn", "An incident is open: planner fails")
    assert found.detail == "All 3 services work: 0.1 % errors"
    paged = incident_verdict(CALM, [incident("page"), incident("ticket")])
    assert (paged.tone, paged.icon) == ("bad", "fire")
    assert paged.sentence == "2 incidents are open, the most urgent: planner fails"
    assert incident_verdict(BAD, [incident("ticket")]).tone == "bad"


def test_the_overview_leads_to_open_incidents(viewer: Client) -> None:
    ticket = fire("slow", "billing", severity="ticket", summary="billing is slow")
    fire(summary="planner fails", minute=-1)
    follow()
    page = viewer.get("/").content.decode()
    assert "2 incidents are open, the most urgent: planner fails" in page
    assert page.index("planner fails</a>") < page.index("billing is slow</a>")
    over(ticket, 1)
    follow(1)
    assert "billing is slow" not in viewer.get("/").content.decode()

"""Open incidents stand first on the overview."""

from __future__ import annotations

from django.test import Client

from alerting.models import Alert, Incident
from alerting.selectors.incidents import active_incidents
from resilience_site.pages.incidents import incident_verdict
from resilience_site.pages.verdict import Verdict
from tests.alerting.incidents.scene import at, fire, follow, over

CALM = Verdict("ok", "check-circle", "All 3 services work", "0.1 % errors")
BAD = Verdict("bad", "x-circle", "1 of 3 services has errors above 5 %", "planner 12 %")


def incident(severity: str, title: str = "planner fails", *, heard: bool = True) -> Incident:
    found = Incident(severity=severity, title=title)
    found.heard = heard  # type: ignore[attr-defined]
    return found


def test_the_verdict_begins_with_the_most_urgent_incident() -> None:
    assert incident_verdict(CALM, []) == CALM
    found = incident_verdict(CALM, [incident("ticket")])
    assert (found.tone, found.sentence) == ("warn", "An incident is open: planner fails")
    assert found.detail == "All 3 services work: 0.1 % errors"
    paged = incident_verdict(CALM, [incident("page"), incident("ticket")])
    assert (paged.tone, paged.icon) == ("bad", "fire")
    assert paged.sentence == "2 incidents are open, the most urgent: planner fails"
    assert incident_verdict(BAD, [incident("ticket")]).tone == "bad"


def test_the_verdict_says_where_nobody_is_told() -> None:
    quiet = incident("page", "ExQuiet", heard=False)
    found = incident_verdict(CALM, [quiet])
    assert (found.tone, found.icon) == ("warn", "exclamation-triangle")
    assert found.sentence == "An incident is open of which nobody is told: ExQuiet"
    several = incident_verdict(CALM, [quiet, quiet])
    assert several.sentence == (
        "2 incidents are open, and nobody is told of them; the most urgent: ExQuiet"
    )


def hold(*alerts: Alert) -> None:
    why = [{"kind": "silence", "id": "1", "text": "silenced by ada"}]
    Alert.objects.filter(id__in=[each.id for each in alerts]).update(suppressed_by=why)


def test_what_is_held_back_stands_behind_what_anybody_is_told_of(viewer: Client) -> None:
    ticket = fire("slow", "billing", severity="ticket", summary="billing is slow", minute=-9)
    page_of_old = fire(summary="planner fails", minute=-8)
    quiet = fire("quiet", "shop", summary="ExQuiet is bad", minute=-1)
    follow()
    hold(quiet)

    def titles() -> list[str]:
        return [each.title for each in active_incidents()]

    assert titles() == ["planner fails", "billing is slow", "ExQuiet is bad"]
    page = viewer.get("/").content.decode()
    assert "3 incidents are open, the most urgent: planner fails" in page
    # Somebody was told before it was held back.
    hold(page_of_old, ticket)
    Alert.objects.filter(id=page_of_old.id).update(told_at=at(-7))
    assert titles() == ["planner fails", "ExQuiet is bad", "billing is slow"]
    # What was not held is over, and nobody heard of it.
    Alert.objects.filter(id=page_of_old.id).update(told_at=None, suppressed_by=[], state="resolved")
    assert titles() == ["ExQuiet is bad", "planner fails", "billing is slow"]


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

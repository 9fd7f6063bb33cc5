"""The screens of incidents, as people see them and act on them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client

from alerting.models import Alert, Incident
from alerting.services.incident_timeline import timelines_follow
from alerting.views import incidents as views
from health.models import PublicIncident, Service
from resilience_site.config import config
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import IMPACT, fire, follow, incident_of, opened, over, tell
from tests.pages.html import PARTIAL
from tests.queries import pinned, queries_of

PINNED = pinned(__file__)


@pytest.fixture
def incident() -> Incident:
    """An incident of three alerts, with a cause, an impact and a timeline."""
    tell(opened())
    alert = fire(minute=-9, breaker="graph", summary="The breaker graph of planner is open")
    fire("slo-burn", minute=-8, breaker="graph", severity="ticket")
    alert.annotations |= {
        "details": "Look at what Graph answers.",
        "runbook_url": "https://wiki.example.org/graph",
    }
    alert.save()
    follow(-7)
    found = incident_of(alert)
    found.cause = {
        "text": "It began in graph: 9 of 10 chains of errors in its time began there.",
        "service": "graph",
        "confidence": 0.72,
        "evidence": [{"kind": "chains", "text": "9 of 10 chains", "link": "/chains"}],
        "others": [{"service": "redis", "confidence": 0.1}],
        "missing": [],
    }
    found.culprit, found.examined_at = "graph", scene.NOW
    found.impact = IMPACT
    found.save()
    timelines_follow(now=scene.NOW)
    return found


def test_the_page_says_first_what_one_needs_at_night(viewer: Client, incident: Incident) -> None:
    page = viewer.get(f"/incidents/{incident.id}").content.decode()
    for text in (
        "Nobody looks at it yet",
        "2 of 2 alerts fire",
        "It began in graph: 9 of 10 chains",
        "Confidence 72 %",
        "31 of 400 calls of graph",
        "31 %: 31 of the 100 failures that 99.9 % allows",
        'href="https://wiki.example.org/graph"',
        "Look at what Graph answers.",
        "Breaker graph of planner went from closed to open",
    ):
        assert text in page, text
    # What one needs comes before the account of what happened.
    assert page.index('id="cause"') < page.index('id="steps"') < page.index('id="timeline"')
    assert "Acknowledge" not in page
    assert viewer.get(f"/incidents/{incident.id}", headers=PARTIAL).status_code == 200


def test_the_timeline_is_filtered_and_turned(viewer: Client, incident: Incident) -> None:
    path = f"/incidents/{incident.id}"
    page = viewer.get(f"{path}?kind=breakers").content.decode()
    timeline = page[page.index('id="timeline"') :]
    assert "went from closed to open" in timeline
    assert "Page: The breaker" not in timeline
    newest = viewer.get(path).content.decode()
    oldest = viewer.get(f"{path}?order=oldest").content.decode()
    first, second = "Page: The breaker graph", "Ticket: slo-burn of planner"
    assert newest.index(second) < newest.index(first)
    assert oldest.index(first) < oldest.index(second)


def test_the_list_has_open_ones_first(viewer: Client, incident: Incident) -> None:
    page = viewer.get("/incidents").content.decode()
    assert page.index('id="open-incidents"') < page.index(f'id="i-{incident.id}"')
    assert "2 of 2 fire" in page
    assert 'id="past-incidents"' not in page
    Incident.objects.update(state="resolved", ended_at=scene.NOW)
    assert 'id="past-incidents"' in viewer.get("/incidents").content.decode()
    assert "No open incident is like that" in viewer.get("/incidents?service=none").content.decode()
    assert viewer.get("/incidents?cursor=forged").status_code == 400


def test_the_list_has_pages_before_tickets_and_the_newest_first_over_its_pages(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_OPEN", 2)
    monkeypatch.setattr(views, "PAST", 2)
    for minute, severity in enumerate(["page", "ticket", "page", "ticket", "page"]):
        title = f"{severity} {minute}"
        fire(title, f"s{minute}", severity=severity, minute=minute - 20, summary=title)
    follow()
    seen: list[str] = []
    address = "/incidents"
    while address:
        html = viewer.get(address).content.decode()
        seen += re.findall(r"data-row [^>]*>((?:page|ticket) \d)<", html)
        follows = re.search(r'rel="next" href="([^"]*)"', html)
        address = f"/incidents{unescape(follows[1])}" if follows else ""
    assert seen == ["page 4", "page 2", "page 0", "ticket 3", "ticket 1"]
    assert "1 open incident shown, the last of them" in html
    Incident.objects.update(state="resolved", ended_at=scene.NOW)
    html = viewer.get("/incidents").content.decode()
    assert html.index("page 4") < html.index("ticket 3")
    assert "page 2" not in html
    assert viewer.get("/incidents?open_after=forged").status_code == 400


def test_one_alert_and_one_incident_are_said_as_one(viewer: Client) -> None:
    alert = fire()
    follow()
    page = viewer.get(f"/incidents/{incident_of(alert).id}").content.decode()
    assert "1 alert fires" in page
    assert "1 line, times in UTC" in page
    over(alert, 1)
    follow(1)
    assert "1 incident shown, all there are" in viewer.get("/incidents").content.decode()


def test_the_timeline_says_of_which_alerts_nobody_was_told(viewer: Client) -> None:
    alert = fire(summary="planner burns")
    follow()
    why = [{"kind": "silence", "id": "1", "text": "silenced by ada"}]
    Alert.objects.filter(id=alert.id).update(suppressed_by=why)
    page = viewer.get(f"/incidents/{incident_of(alert).id}?kind=alerts").content.decode()
    assert "Page: planner burns (nobody was told: silenced by ada)" in page


def test_one_tap_acknowledges(operator: Client, incident: Incident) -> None:
    path = f"/incidents/{incident.id}"
    assert operator.post(f"{path}/acknowledge", {"next": path}).headers["Location"] == path
    page = operator.get(path).content.decode()
    assert "a-operator looks at it" in page
    incident.refresh_from_db()
    assert (incident.state, incident.acknowledged_by) == ("acknowledged", "a-operator")


def test_forms_note_assign_and_resolve(operator: Client, incident: Incident) -> None:
    path = f"/incidents/{incident.id}"
    for act in ("note", "assign", "resolve", "publish"):
        assert operator.get(f"{path}/{act}").status_code == 200
        assert operator.get(f"{path}/{act}", headers=PARTIAL).status_code == 200
    assert operator.post(f"{path}/note", {"note": "Graph says 503"}).status_code == 302
    assert operator.post(f"{path}/assign", {"to": "ada"}).status_code == 302
    assert operator.post(f"{path}/note", {"note": ""}).status_code == 422
    stale = {"note": "it was Graph", "version": "1"}
    refused = operator.post(f"{path}/resolve", stale)
    assert refused.status_code == 409
    assert "What stands now" in refused.content.decode()
    assert operator.post(f"{path}/resolve", {"note": "it was Graph"}).status_code == 302
    page = operator.get(path).content.decode()
    assert "Resolved by a-operator" in page
    assert "it was Graph" in page
    assert AuditEntry.objects.filter(action="incident.resolve").count() == 1


def test_viewers_only_look(viewer: Client, incident: Incident) -> None:
    for act in ("acknowledge", "note", "assign", "resolve", "publish"):
        assert viewer.post(f"/incidents/{incident.id}/{act}", {}).status_code == 403


def test_the_form_tells_the_public(operator: Client, incident: Incident) -> None:
    Service.objects.create(
        name="planner", public_name="Planning", first_seen=scene.NOW, last_seen=scene.NOW
    )
    path = f"/incidents/{incident.id}"
    form = operator.get(f"{path}/publish").content.decode()
    assert 'value="Problems with Planning"' in form
    sent = {"title": "Problems with Planning", "text": "", "impact": "degraded"}
    assert operator.post(f"{path}/publish", sent).status_code == 422
    assert AuditEntry.objects.filter(action="incident.publish.refused").count() == 1
    given = {**sent, "text": "We look into it.", "services": ["planner"], "follow": "on"}
    assert operator.post(f"{path}/publish", given).status_code == 302
    public = PublicIncident.objects.get()
    assert [each.name for each in public.services.all()] == ["planner"]
    assert "The public reads of it" in operator.get(path).content.decode()


def test_texts_are_there_to_copy(viewer: Client, incident: Incident) -> None:
    page = viewer.get(f"/incidents/{incident.id}/text/summary").content.decode()
    assert "## The breaker graph of planner is open" in page
    draft = viewer.get(f"/incidents/{incident.id}/text/post-mortem").content.decode()
    assert "# Post-mortem: The breaker graph" in draft
    assert viewer.get(f"/incidents/{incident.id}/text/nonsense").status_code == 404


def test_each_screen_takes_its_pinned_number_of_queries(
    as_role: Callable[[Role], Client], incident: Incident
) -> None:
    viewer = as_role(Role.VIEWER)
    places = {"incident": incident.id}
    found = {line: queries_of(viewer, line.format(**places)) for line in PINNED}
    assert found == PINNED


def test_the_page_says_that_nobody_is_told_while_alerting_is_off(
    viewer: Client, incident: Incident
) -> None:
    for enabled in (True, False):
        with config.override(proactive_alerting_enabled=enabled):
            page = viewer.get(f"/incidents/{incident.id}").content.decode()
        assert ("Nobody is told of its alerts" in page) is not enabled

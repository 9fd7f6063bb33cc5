"""Incidents in a real browser: on a phone at night, in both themes, live, and by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from alerting.models import Alert, Incident
from alerting.services.incident_acts import incident_acknowledge
from alerting.services.incident_timeline import timelines_follow
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import fire, follow, incident_of, opened, tell
from tests.livesite import LiveSite
from tests.screens import DESK, FORM_LOOKS, PHONE, press_until, problems, say

pytestmark = pytest.mark.browser


@pytest.fixture
def admin(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    site.sign_in(context, Role.ADMIN)
    return page


@pytest.fixture
def incident(admin: Page) -> Incident:
    """An incident with all that its page can show."""
    tell(opened(reason="12 of 20 calls failed"))
    alert = fire(minute=-9, breaker="graph", summary="The breaker graph of planner is open")
    fire("slo-burn", minute=-8, breaker="graph", severity="ticket", summary="planner burns budget")
    alert.annotations |= {
        "details": "Look at what Graph answers before you force the breaker.",
        "runbook_url": "https://wiki.example.org/graph",
    }
    alert.save()
    follow(-7)
    found = incident_of(alert)
    found.cause = {
        "text": "It began in graph: 9 of 10 chains of errors in its time began there.",
        "service": "graph", "confidence": 0.72, "missing": ["Not enough data: no logs."],
        "evidence": [{"kind": "chains", "text": "9 of 10 chains of errors", "link": "/chains"}],
        "others": [{"service": "redis", "confidence": 0.1}],
    }  # fmt: skip
    found.culprit, found.examined_at, found.impact = "graph", scene.NOW, scene.IMPACT
    found.save()
    timelines_follow(now=scene.NOW)
    return found


def test_screens_are_accessible_and_fit_a_phone(admin: Page, incident: Incident) -> None:
    path = f"/incidents/{incident.id}"
    for each in ("/incidents", path):
        assert problems(admin, each) == []
    assert problems(admin, f"{path}/publish", FORM_LOOKS) == []


def test_on_a_phone_one_sees_and_acknowledges_without_scrolling(
    admin: Page, incident: Incident
) -> None:
    admin.set_viewport_size(PHONE)
    admin.goto(f"/incidents/{incident.id}")
    button = admin.get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < PHONE["height"]
    assert box["height"] >= 24
    press_until(admin, button)
    admin.keyboard.press("Enter")
    expect(admin.locator(".verdict")).to_contain_text("looks at it, open for")
    expect(button).to_have_count(0)


def test_an_open_page_and_the_list_follow(admin: Page, incident: Incident) -> None:
    admin.goto(f"/incidents/{incident.id}")
    say(admin, "Live")
    ada = Actor(ActorKind.USER, "ada")
    incident_acknowledge(incident_id=incident.id, note="on it", actor=ada, now=scene.NOW)
    expect(admin.locator(".verdict")).to_contain_text("ada looks at it")
    expect(admin.locator("#timeline")).to_contain_text("on it")
    tell(opened(name="redis"))
    timelines_follow(now=scene.NOW)
    expect(admin.locator("#timeline")).to_contain_text("Breaker redis of planner")


def test_a_note_is_written_in_a_dialog(admin: Page, incident: Incident) -> None:
    admin.goto(f"/incidents/{incident.id}")
    admin.get_by_role("link", name="Note", exact=True).click()
    dialog = admin.get_by_role("dialog")
    dialog.get_by_label("Note").fill("restarted the pool")
    dialog.get_by_role("button", name="Add note").click()
    expect(admin.locator("#timeline")).to_contain_text("restarted the pool")


def test_the_timeline_is_near_however_many_alerts_there_are(
    admin: Page, incident: Incident
) -> None:
    """Those that page stand there, the others are unfolded by who wants them."""
    for n in range(40):
        fire("slo_burn_slow", f"s{n}", minute=-6, severity="ticket", summary=f"s{n} burns budget")
    Alert.objects.update(incident=incident)
    for size, screens in ((DESK, 2), (PHONE, 4)):
        admin.set_viewport_size(size)
        admin.goto(f"/incidents/{incident.id}")
        box = admin.locator("#timeline").bounding_box()
        assert box is not None
        assert box["y"] < screens * size["height"]
    alerts = admin.locator("#alerts")
    # Beside those that stand there, one link leads to the list of them all.
    everything = alerts.get_by_role("link", name="All 42 alerts of it")
    expect(everything).to_have_attribute("href", f"/alerts?incident={incident.id}")
    expect(alerts.get_by_role("link")).to_have_count(6 + 1)
    expect(alerts.get_by_role("link").first).to_have_text("The breaker graph of planner is open")
    press_until(admin, alerts.get_by_text("36 more alerts"))
    admin.keyboard.press("Enter")
    expect(alerts.get_by_role("link")).to_have_count(42 + 1)
    # What is told live leaves them unfolded.
    say(admin, "Live")
    tell(opened(name="redis"))
    timelines_follow(now=scene.NOW)
    expect(admin.locator("#timeline")).to_contain_text("Breaker redis of planner")
    expect(alerts.get_by_role("link")).to_have_count(42 + 1)


def test_a_long_title_leaves_the_other_cells_of_its_row_in_one_line(
    admin: Page, incident: Incident
) -> None:
    incident.title, incident.culprit = "ex-checkout burns its availability budget " * 5, "payments"
    incident.save()
    admin.set_viewport_size(DESK)
    admin.goto("/incidents")
    row = admin.locator(f"#i-{incident.id}")
    assert (
        row.locator("td").evaluate_all(
            """cells => cells.filter(cell => {
          const text = document.createRange();
          text.selectNodeContents(cell);
          const lines = new Set([...text.getClientRects()].map(each => Math.round(each.bottom / 12)));
          return lines.size > 1;
        }).map(cell => cell.textContent)"""
        )
        == []
    )

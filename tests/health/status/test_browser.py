"""The public page and the screens of incidents in a real browser: accessible, narrow enough, dark,
without scripts, by the keyboard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from health.models import PublicIncident
from health.services.incidents import incident_resolve
from resilience_site.core.choices import Role
from tests.breakers.steering.test_browser import tab_to
from tests.health.status.scenes import ANA, everything
from tests.livesite import LiveSite
from tests.screens import ALL_LOOKS, PHONE, problems, say

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.fixture
def incident(site: LiveSite) -> PublicIncident:
    return everything(datetime.now(UTC))


def test_the_public_page_is_accessible_and_fits_a_phone(
    page: Page, incident: PublicIncident
) -> None:
    assert problems(page, "/status?refresh=off", ALL_LOOKS) == []
    expect(page.get_by_role("img", name="Planner: ")).to_be_visible()


def test_it_is_read_whole_without_scripts_and_by_keyboard(
    browser: Browser, site: LiveSite, incident: PublicIncident, complaints: Any
) -> None:
    context = browser.new_context(base_url=site.url, java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    complaints.watch(page)
    page.goto("/status?refresh=off")
    expect(page.get_by_text("Major outage").first).to_be_visible()
    days = page.get_by_role("table", name="Planner, last 90 days")
    expect(days).to_be_hidden()
    summary = page.locator("summary", has_text="Planner")
    summary.focus()
    page.keyboard.press("Enter")
    expect(days).to_be_visible()
    expect(days.get_by_role("cell", name="partial outage").first).to_be_visible()
    context.close()


def test_what_a_reader_has_opened_stays_open_when_the_page_refreshes(
    page: Page, incident: PublicIncident
) -> None:
    page.goto("/status")
    summary = page.locator("summary", has_text="Planner")
    summary.focus()
    page.keyboard.press("Enter")
    incident_resolve(incident_id=incident.id, text="It works again.", actor=ANA,
                     now=datetime.now(UTC))  # fmt: skip
    expect(page.get_by_text("It works again.")).to_be_visible()
    expect(page.get_by_role("table", name="Planner, last 90 days")).to_be_visible()
    expect(summary).to_be_focused()


def test_the_screens_of_incidents_are_accessible_and_fit_a_phone(
    page: Page, context: BrowserContext, site: LiveSite, incident: PublicIncident
) -> None:
    site.sign_in(context, Role.OPERATOR)
    for path in ("", "/new", f"/{incident.id}"):
        assert problems(page, f"/health/incidents{path}") == []


def test_an_operator_posts_an_update_by_keyboard_alone(
    page: Page, context: BrowserContext, site: LiveSite, incident: PublicIncident
) -> None:
    site.sign_in(context, Role.OPERATOR, "olga")
    page.goto(f"/health/incidents/{incident.id}")
    say(page, "Live")
    tab_to(page, "Post update")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Post an update")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("radio", name="Identified")).to_be_focused()
    page.keyboard.press("ArrowDown")
    tab_to(page, "Update", "TEXTAREA")
    page.keyboard.type("The twin has taken over.")
    tab_to(page, "Publish update", "BUTTON")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The update is on the status page.")).to_be_visible()
    expect(page.locator("#updates")).to_contain_text("The twin has taken over.")
    assert incident.updates.get(stage="monitoring").actor == "olga"

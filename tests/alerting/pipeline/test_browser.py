"""The screens of alerts in a real browser: accessible, narrow enough, live, and worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from alerting.models import Alert, Silence
from alerting.services.shipped_routing import routing_ship
from resilience_site.core.choices import Role
from tests.alerting.pipeline.scene import WAIT, Scene, channel_made
from tests.livesite import LiveSite
from tests.screens import FORM_LOOKS, PATIENCE, problems, say

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.fixture
def operator(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    site.sign_in(context, Role.OPERATOR, "olga")
    return page


@pytest.fixture
def scene(operator: Page) -> Scene:
    routing_ship()
    channel_made()
    made = Scene(now=datetime.now(UTC) - timedelta(minutes=10))
    made.fire("a", "b")
    made.turn()
    made.wait(WAIT)
    return made


def test_screens_are_accessible_and_fit_a_phone(operator: Page, scene: Scene) -> None:
    alert = Alert.objects.get(rule_name="a")
    for path in ("/alerts", f"/alerts/{alert.id}", "/alerts/silences", "/alerts/routes"):
        assert problems(operator, path) == []
    for path in (
        "/alerts/silences/new?matchers=service%3Dplanner",
        "/alerts/routes/default/edit",
        "/alerts/inhibitions/new",
    ):
        assert problems(operator, path, FORM_LOOKS) == []


def test_an_alert_appears_is_silenced_from_its_page_and_is_shown_as_held(
    operator: Page, scene: Scene
) -> None:
    operator.goto("/alerts")
    say(operator, "Live")
    scene.now = datetime.now(UTC)
    (new,) = scene.fire("fresh")
    line = operator.locator(f"#a-{new.id}")
    expect(line).to_contain_text("fresh of planner", timeout=PATIENCE)
    line.get_by_role("link", name="fresh of planner").click()
    # The list that is left has links of that name too.
    operator.wait_for_url(f"**/alerts/{new.id}")
    operator.get_by_role("link", name="Silence").first.click()
    operator.get_by_label("Reason").fill("deploy")
    ends = scene.now.replace(second=0, microsecond=0) + timedelta(days=2)
    expect(operator.get_by_label("Ends (UTC)")).to_be_hidden()
    operator.get_by_label("Until a time").check()
    operator.get_by_label("Ends (UTC)").fill(f"{ends:%Y-%m-%dT%H:%M}")
    operator.get_by_role("button", name="Preview").click()
    expect(operator.locator("#hits")).to_contain_text("1 of 3 open alerts would be held now")
    expect(operator.get_by_label("Reason")).to_have_value("deploy")
    operator.get_by_role("button", name="Silence").click()
    expect(operator).to_have_url(f"/alerts/{new.id}")
    scene.now = datetime.now(UTC)
    scene.turn()
    expect(operator.locator("#told")).to_contain_text("Silenced by olga", timeout=PATIENCE)
    silence = Silence.objects.get()
    assert (silence.held, silence.ends_at) == (1, ends)
    operator.goto("/alerts/silences")
    operator.get_by_role("link", name="End now").click()
    operator.get_by_role("dialog").get_by_role("button", name="End now").click()
    expect(operator.locator("#active")).to_contain_text("Nothing is silenced")

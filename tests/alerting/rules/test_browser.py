"""The screens of alert rules in a browser: accessible, narrow enough, live."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from alerting.models import Alert
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship, rules_shipped
from resilience_site.core.choices import Role
from tests.alerting.rules.history import at, breaker
from tests.livesite import LiveSite
from tests.patience import until
from tests.screens import FORM_LOOKS, PHONE, overflows, press_until, problems, say

pytestmark = pytest.mark.browser


def test_rules_are_accessible_fit_a_phone_and_show_a_new_alert_by_themselves(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    site.sign_in(context, Role.ADMIN)
    rules_ship(now=at(0))
    breaker(60, "open", "redis")
    rules_evaluate(now=datetime.now(UTC))
    for path in ("/alerts/rules", "/alerts/rules/breaker_open?since=7d", "/alerts/watchable"):
        assert problems(page, path) == []
    assert problems(page, "/alerts/rules/new", FORM_LOOKS) == []
    page.goto("/alerts/rules/breaker_open")
    say(page, "Live")
    page.get_by_label("Try from (UTC)").fill("2d")
    page.get_by_label("Until (UTC)").focus()
    breaker((datetime.now(UTC) - at(0)).total_seconds(), "open", "graph")
    rules_evaluate(now=datetime.now(UTC))
    expect(page.locator("#rule-alerts")).to_contain_text("Breaker graph of planner is open")
    # What somebody writes meanwhile stays.
    expect(page.get_by_label("Try from (UTC)")).to_have_value("2d")


def evaluated(ahead: float) -> str:
    """The state of the alert after another turn, so many seconds from now: the site takes turns of
    its own, and one turn leaves to the other what that is at."""
    rules_evaluate(now=datetime.now(UTC) + timedelta(seconds=ahead))
    return Alert.objects.values_list("state", flat=True).first() or ""


def test_runbooks_are_accessible_and_one_key_press_away_from_the_alert(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    site.sign_in(context, Role.VIEWER)
    rules_ship(now=at(0))
    breaker((datetime.now(UTC) - at(0)).total_seconds() - 60, "open")
    until(lambda: evaluated(0) == "firing")
    for path in ("/runbooks", "/runbooks/breaker_open"):
        assert problems(page, path) == []
    page.goto("/alerts?rule=breaker_open")
    page.get_by_role("link", name="Breaker graph of planner is open").click()
    runbook = page.get_by_role("link", name="Runbook")
    press_until(page, runbook)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("A circuit breaker opens")
    expect(page.locator("#firing")).to_contain_text("Breaker graph of planner is open")
    say(page, "Live")
    breaker((datetime.now(UTC) - at(0)).total_seconds(), "closed")
    until(lambda: evaluated(60) == "resolved")
    expect(page.locator("#firing")).to_contain_text("No alert of this rule fires now.")


def test_no_runbook_is_wider_than_a_phone(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    site.sign_in(context, Role.VIEWER)
    page.set_viewport_size(PHONE)
    wide = []
    for name in rules_shipped():
        page.goto(f"/runbooks/{name}", wait_until="domcontentloaded")
        if overflows(page):
            wide.append(name)
    assert wide == []

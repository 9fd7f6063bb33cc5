"""The screens of alert rules in a browser: accessible, narrow enough, live."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from resilience_site.core.choices import Role
from tests.alerting.rules.history import at, breaker
from tests.livesite import LiveSite
from tests.screens import FORM_LOOKS, problems, say

pytestmark = pytest.mark.browser


def test_rules_are_accessible_fit_a_phone_and_show_a_new_alert_by_themselves(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    site.sign_in(context, Role.ADMIN)
    rules_ship(now=at(0))
    breaker(60, "open", "redis")
    rules_evaluate(now=datetime.now(UTC))
    for path in ("/alerts/rules", "/alerts/rules/breaker_open?since=7d"):
        assert problems(page, path) == []
    assert problems(page, "/alerts/rules/new", FORM_LOOKS) == []
    page.goto("/alerts/rules/breaker_open")
    say(page, "Live")
    breaker((datetime.now(UTC) - at(0)).total_seconds(), "open", "graph")
    rules_evaluate(now=datetime.now(UTC))
    expect(page.locator("#rule-alerts")).to_contain_text("Breaker graph of planner is open")

"""The screens of objectives in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from resilience_site.core.choices import Role
from tests.analytics.slos.scenes import fleet
from tests.analytics.store.conftest import forget_all
from tests.livesite import LiveSite
from tests.screens import problems

pytestmark = pytest.mark.browser


def test_the_screens_are_accessible_fit_a_phone_and_change_at_once(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    forget_all()
    site.sign_in(context, Role.OPERATOR)
    assert problems(page, "/slos") == []
    rows = fleet(datetime.now(UTC))
    one = f"/slos/{rows['burning'].id}"
    for path in ("/slos", one, "/slos/new"):
        assert problems(page, path) == []
    page.goto(one)
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Objective, percent").fill("95")
    page.get_by_label("Reason").fill("nobody minds")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("reports")
    expect(page.get_by_text("95 % availability over 30 d").first).to_be_visible()
    expect(page.locator("#decided")).to_contain_text("nobody minds")

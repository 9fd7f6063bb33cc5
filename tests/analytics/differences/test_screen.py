"""The page of what changed in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page

from analytics.models import Release
from resilience_site.core.choices import Role
from tests.analytics.differences.test_store import BEFORE, MINUTE, NOW, WITHIN, one_in_twenty, send
from tests.analytics.store.conftest import forget_all
from tests.livesite import LiveSite
from tests.screens import problems

pytestmark = pytest.mark.browser


def test_the_page_is_accessible_and_fits_a_phone(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    forget_all()
    site.sign_in(context, Role.VIEWER)
    send(BEFORE.since, one_in_twenty)
    send(WITHIN.since, lambda name, number: name == "planner/eu" or number % 20 == 0)
    Release.objects.create(
        service="planner",
        environment="production",
        version="2026.11.26-rc4+build.1781",
        first_seen=NOW - 30 * MINUTE,
        last_seen=NOW,
    )
    path = f"/what-changed?since={int(WITHIN.since.timestamp())}&until={int(NOW.timestamp())}"
    assert problems(page, path) == []

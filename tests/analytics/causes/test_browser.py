"""The page of root causes in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page

from resilience_site.core.choices import Role
from tests.analytics.causes import scenes
from tests.analytics.store.conftest import forget_all
from tests.livesite import LiveSite
from tests.screens import problems

pytestmark = pytest.mark.browser


def test_the_page_is_accessible_and_fits_a_phone(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    forget_all()
    site.sign_in(context, Role.VIEWER)
    assert problems(page, "/root-cause") == []
    scenes.trouble(datetime.now(UTC))
    assert problems(page, "/root-cause?since=10m") == []

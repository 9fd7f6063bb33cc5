"""The page of predictions in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page

from resilience_site.core.choices import Role
from tests.analytics.predictions import scenes
from tests.analytics.store.conftest import forget_all
from tests.livesite import LiveSite
from tests.screens import problems

pytestmark = pytest.mark.browser


def test_the_page_is_accessible_and_fits_a_phone(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    forget_all()
    site.sign_in(context, Role.VIEWER)
    assert problems(page, "/predictions") == []
    scenes.weeks(datetime.now(UTC))
    assert problems(page, "/predictions?outcome=hit") == []

"""The fixtures that browser tests stand on."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import Page

from tests.browser import Complaints
from tests.livesite import LiveSite

pytestmark = pytest.mark.browser


def test_the_site_serves_the_test_database(site: LiveSite) -> None:
    with urllib.request.urlopen(f"{site.url}/readyz", timeout=60) as answer:
        assert answer.status == 200


def test_a_page_that_leaves_its_origin_or_breaks_the_policy_is_caught(
    site: LiveSite, page: Page, complaints: Complaints
) -> None:
    page.goto("/livez")
    with page.expect_console_message():
        page.evaluate("console.error('broken')")
    with page.expect_request("http://127.0.0.1:9/"):
        page.evaluate("fetch('http://127.0.0.1:9/').catch(() => {})")

    found = complaints.rest()

    assert any("broken" in each for each in found)
    assert any("left the origin: http://127.0.0.1:9/" in each for each in found)
    complaints.allow(".")

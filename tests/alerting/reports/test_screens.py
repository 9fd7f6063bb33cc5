"""The screens of reports and of other systems' alerts: in a browser, and by their queries."""

from __future__ import annotations

import pytest
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect

from alerting.models import ResilienceReport
from alerting.services.reports import report_weekly_make
from resilience_site.core.choices import Role
from tests.alerting.reports import scene
from tests.alerting.reports.scene import NOW, mail_channel
from tests.emptying import empty_partitions
from tests.livesite import LiveSite
from tests.queries import pinned, queries_of
from tests.screens import PATIENCE, problems

PINNED = pinned(__file__)


@pytest.mark.usefixtures("store")
def test_each_screen_takes_its_pinned_number_of_queries(viewer: Client) -> None:
    scene.week()
    mail_channel("team")
    report = report_weekly_make(now=NOW)
    assert report is not None
    found = {line: queries_of(viewer, line.format(report=report.id)) for line in PINNED}
    assert found == PINNED


@pytest.mark.browser
def test_the_screens_are_accessible_fit_a_phone_and_make_a_report(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    empty_partitions()
    site.sign_in(context, Role.OPERATOR)
    assert problems(page, "/alerts/inbound") == []
    scene.week()
    mail_channel("team")
    page.goto("/reports")
    page.locator(".page-actions").get_by_role("link", name="New report").click()
    page.get_by_label("From").fill("2026-11-16T00:00Z")
    page.get_by_label("To", exact=True).fill("2026-11-23T00:00Z")
    page.get_by_role("button", name="Make report").click()
    expect(page.locator("h1")).to_have_text("Resilience report", timeout=PATIENCE)
    report = ResilienceReport.objects.get()
    expect(page).to_have_url(f"{site.url}/reports/{report.id}")
    expect(page.locator("#report-verdict")).to_contain_text("97.619 %")
    page.get_by_role("link", name="Mail").click()
    expect(page.get_by_label("team")).to_be_checked(timeout=PATIENCE)
    assert problems(page, f"/reports/{report.id}") == []
    assert problems(page, "/reports") == []

"""The screens of reports and of other systems' alerts: in a browser, and by their queries."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from alerting.models import ResilienceReport
from alerting.services.reports import report_message, report_weekly_make
from resilience_site.core.choices import Role
from tests.alerting.reports import scene
from tests.alerting.reports.scene import NOW, mail_channel
from tests.emptying import empty_partitions
from tests.livesite import LiveSite
from tests.pages.html import text_of
from tests.queries import pinned, queries_of
from tests.screens import ALL_LOOKS, PATIENCE, overflows, problems, violations

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
    assert _mail_problems(page, report_message(report).html) == []


def _mail_problems(page: Page, html: str) -> list[str]:
    """What is wrong with a mail, whose styles the site's pages would not take."""
    page.goto("about:blank")
    found = []
    for scheme, size in ALL_LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        page.set_content(html)
        found += [f"{scheme} {size['width']}: {each}" for each in violations(page)]
        found += [f"wider than {size['width']}"] if overflows(page) else []
        # A column that is one word wide makes each line of a table as high as many.
        heights = page.locator("tr").evaluate_all("all => all.map(one => one.offsetHeight)")
        found += [f"{size['width']}: a line of {max(heights)}"] if max(heights) > 160 else []
    return found


@pytest.mark.usefixtures("store")
def test_a_button_says_that_a_channel_subscribes_and_not_that_something_is_sent(
    operator: Client,
) -> None:
    channel = mail_channel("team", reports=False)

    def said() -> str:
        page = text_of(operator, "/reports")
        (button,) = re.findall(r"<button[^>]*>((?:Subscribe|Unsubscribe).*?)</button>", page)
        return re.sub(r"<[^>]*>", "", button)

    assert said() == "Subscribe team to the weekly report"
    operator.post(reverse("report-subscription", args=[channel.pk]), {"wanted": "yes"})
    channel.refresh_from_db()
    assert channel.send_reports
    assert said() == "Unsubscribe team from the weekly report"

"""The health screens in a real browser: accessible, narrow enough, live, worked by the keyboard."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from health.models import Check
from resilience_site.core.choices import Role
from tests.health.screens import scenes
from tests.livesite import LiveSite
from tests.screens import press_together, press_until, problems, say, show_soon

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.fixture
def operator(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    """An operator's browser."""
    site.sign_in(context, Role.OPERATOR, "olga")
    return page


@pytest.fixture
def checks(operator: Page) -> dict[str, Check]:
    """The database died."""
    return scenes.incident(datetime.now(UTC))


def test_screens_are_accessible_and_fit_a_phone(operator: Page, site: LiveSite) -> None:
    assert problems(operator, "/health") == []
    checks = scenes.incident(datetime.now(UTC))
    assert problems(operator, "/health") == []
    for name in ("postgres-main", "nightly-export", "sync-worker"):
        assert problems(operator, f"/health/checks/{checks[name].id}?since=24h") == []
    assert problems(operator, f"/health/checks/{checks['postgres-main'].id}/pause") == []
    assert problems(operator, "/services/platform") == []


@pytest.mark.parametrize("place", ["board", "check"])
def test_a_change_of_state_shows_within_a_second_without_reload(
    operator: Page, checks: dict[str, Check], place: str
) -> None:
    check = checks["graph-api"]
    operator.goto("/health" if place == "board" else f"/health/checks/{check.id}")
    badge = f"#c-{check.id} .badge" if place == "board" else "#check-head .page-head .badge"
    say(operator, "Live")

    def move(state: str) -> datetime:
        check.refresh_from_db()
        scenes.move(check, state, datetime.now(UTC))
        return datetime.now(UTC)

    states = [("down", "Down"), ("degraded", "Degraded"), ("up", "Up")] * 4
    show_soon(operator, badge, [(word, partial(move, state)) for state, word in states])


def test_the_first_check_shows_on_an_empty_page(operator: Page) -> None:
    operator.goto("/health")
    say(operator, "Live")
    expect(operator.get_by_text("Waiting for the first check")).to_be_visible()
    now = datetime.now(UTC)
    scenes.fleet(1, now)
    scenes.move(Check.objects.get(), "down", now)
    expect(operator.locator("#check-rows .badge").first).to_have_text("Down")
    expect(operator.locator("#health-head .verdict")).to_contain_text("check-000 is down")


def test_the_keyboard_leads_from_anywhere_to_a_check_and_pauses_it(
    operator: Page, checks: dict[str, Check]
) -> None:
    operator.goto("/errors")
    say(operator, "Live")
    press_together(operator, "g", "h")
    operator.wait_for_url("**/health")
    say(operator, "Live")
    press_until(operator, operator.locator("#check-rows a[data-row]").first)
    operator.keyboard.press("Enter")
    operator.wait_for_url(re.compile(r"/health/checks/[0-9a-f-]{36}$"))
    say(operator, "Live")
    # What carries the traffic of its radius comes by itself.
    expect(operator.locator("#radius-traffic")).to_contain_text("None of these services sent calls")
    press_until(operator, operator.get_by_role("link", name="Pause"))
    operator.keyboard.press("Enter")
    dialog = operator.get_by_role("dialog", name="Pause postgres-main")
    expect(dialog).to_be_visible()
    # Enter at once pauses nothing.
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    operator.keyboard.press("Tab")
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("nobody probes it until it is resumed")).to_be_visible()
    expect(operator.locator("#check-head .page-head .badge").first).to_have_text("Paused")
    operator.get_by_role("button", name="Resume").click()
    expect(operator.get_by_text("postgres-main is probed again.")).to_be_visible()


def test_a_box_of_the_graph_leads_to_its_check(operator: Page, checks: dict[str, Check]) -> None:
    operator.goto("/health")
    box = operator.get_by_role(
        "link", name=re.compile("^postgres-main of platform, Down, explains")
    )
    box.focus()
    operator.keyboard.press("Enter")
    operator.wait_for_url(f"**/health/checks/{checks['postgres-main'].id}")
    operator.locator("#latency-twin summary").click()
    expect(operator.locator("#latency-twin tbody tr").first).to_be_visible()

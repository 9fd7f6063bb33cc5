"""The shell, the gallery and the login page in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from resilience_site.core.choices import Role
from tests.livesite import LiveSite
from tests.screens import DESK, PHONE, overflows, point_at, violations

pytestmark = pytest.mark.browser

GALLERY = "/dev/components"


@pytest.fixture
def admin(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    site.sign_in(context, Role.ADMIN)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_gallery_is_accessible_and_fits(admin: Page, scheme: Any, size: ViewportSize) -> None:
    admin.emulate_media(color_scheme=scheme)
    admin.set_viewport_size(size)
    admin.goto(f"{GALLERY}?service=planner-mcp-server&q=503")
    admin.locator("#calls-plot").scroll_into_view_if_needed()
    expect(admin.locator("#calls-plot .main-svg").first).to_be_visible()
    assert violations(admin) == []
    assert not overflows(admin)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/login", "/login?next=/errors", "/no/such/page"])
def test_pages_for_strangers_are_accessible_and_fit(
    page: Page, complaints: Any, scheme: Any, path: str
) -> None:
    complaints.allow("404")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(PHONE)
    page.goto(path)
    assert violations(page) == []
    assert not overflows(page)


def test_menus_and_dialogs_are_accessible(admin: Page) -> None:
    admin.goto(GALLERY)
    admin.locator("#account > summary").click()
    admin.locator(".range-menu > summary").click()
    expect(admin.locator("#account")).not_to_have_attribute("open", "")
    assert violations(admin) == []
    admin.keyboard.press("Escape")
    expect(admin.locator(".range-menu > summary")).to_be_focused()
    admin.keyboard.press("?")
    expect(admin.get_by_role("dialog")).to_be_visible()
    assert violations(admin) == []


def test_the_chosen_theme_is_there_before_the_first_paint(admin: Page) -> None:
    admin.goto(GALLERY)
    admin.locator("#account > summary").click()
    admin.get_by_role("button", name="Dark").click()
    background = "getComputedStyle(document.documentElement).backgroundColor"
    dark = admin.evaluate(background)
    # What the blocking script did, seen before any module has run.
    admin.add_init_script(
        "document.addEventListener('readystatechange', () => {"
        " window.themeAtStart ??= document.documentElement.dataset.theme; });"
    )
    admin.reload()
    assert admin.evaluate("window.themeAtStart") == "dark"
    assert admin.evaluate(background) == dark
    expect(admin.locator("[data-theme-choice=dark]")).to_have_attribute("aria-pressed", "true")


def test_charts_take_the_colours_of_a_new_theme(admin: Page) -> None:
    admin.goto(GALLERY)
    admin.locator("#calls-plot").scroll_into_view_if_needed()
    line = admin.locator("#calls-plot path.js-line").first
    stroke = line.evaluate("(path) => path.style.stroke")
    admin.emulate_media(color_scheme="dark")
    admin.wait_for_function(
        "(before) => document.querySelector('#calls-plot path.js-line')?.style.stroke !== before",
        arg=stroke,
    )


def test_a_chart_draws_gaps_and_leads_to_the_rows_behind_a_point(admin: Page) -> None:
    admin.goto(GALLERY)
    admin.locator("#calls-plot").scroll_into_view_if_needed()
    calls = admin.locator("#calls-plot .scatterlayer .trace").first
    expect(calls.locator("path.js-line")).to_have_count(2)

    def point() -> tuple[float, float]:
        area = admin.locator("#calls-plot .nsewdrag").bounding_box()
        assert area is not None
        return area["x"] + area["width"] * 0.25, area["y"] + area["height"] * 0.5

    shown = "#calls-plot .hoverlayer .legend, #calls-plot .hoverlayer .hovertext"
    point_at(admin, point, admin.locator(shown))
    admin.mouse.down()
    admin.mouse.up()
    admin.wait_for_url(re.compile(r"\?at=2026-01-31"))


def test_charts_offer_no_upload_and_no_bar_of_buttons(admin: Page) -> None:
    admin.goto(GALLERY)
    admin.locator("#calls-plot").scroll_into_view_if_needed()
    expect(admin.locator("#calls-plot .main-svg").first).to_be_visible()
    assert admin.locator(".modebar-btn").count() == 0


def test_keys_walk_rows_shift_the_range_and_can_be_switched_off(admin: Page) -> None:
    admin.goto(f"{GALLERY}?since=2026-01-31T08:00:00Z&until=2026-01-31T10:00:00Z&q=503")
    rows = admin.locator("[data-row]")
    admin.keyboard.press("j")
    admin.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    admin.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()
    admin.keyboard.press("[")
    admin.wait_for_url(
        re.compile(r"since=2026-01-31T07%3A00%3A00Z&until=2026-01-31T09%3A00%3A00Z&q=503")
    )
    admin.keyboard.press("?")
    admin.get_by_label("Single-key shortcuts are on").uncheck()
    admin.keyboard.press("Escape")
    expect(admin.get_by_role("dialog")).to_be_hidden()
    admin.keyboard.press("?")
    expect(admin.get_by_role("dialog")).to_be_hidden()
    admin.reload()
    admin.keyboard.press("j")
    expect(rows.nth(0)).not_to_be_focused()


def test_keys_do_nothing_while_somebody_types(admin: Page) -> None:
    admin.goto(GALLERY)
    field = admin.get_by_label("Message contains")
    field.fill("")
    field.press_sequentially("jp?[z")
    expect(field).to_have_value("jp?[z")
    expect(admin.locator("#live")).not_to_have_attribute("data-state", "paused")
    expect(admin.get_by_role("dialog")).to_be_hidden()


def test_times_follow_the_chosen_zone(browser: Browser, site: LiveSite) -> None:
    context = browser.new_context(base_url=site.url, timezone_id="Asia/Kolkata")
    site.sign_in(context, Role.ADMIN)
    page = context.new_page()
    page.goto(GALLERY)
    moment = page.locator("time[data-time=exact]").first
    expect(moment).to_have_text(re.compile("UTC$"))
    page.locator("#account > summary").click()
    page.get_by_role("button", name="Local").click()
    expect(moment).to_have_text(re.compile(r"\+05:30$"))
    context.close()


def test_a_snippet_is_copied_as_it_stands(admin: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.goto(GALLERY)
    admin.get_by_role("button", name="Copy").click()
    expect(admin.locator("#toasts")).to_contain_text("Copied.")
    copied = admin.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("import breakers.runtime as resilience\n\nresilience.connect(")


def test_reduced_motion_stops_what_moves(admin: Page) -> None:
    admin.emulate_media(reduced_motion="reduce")
    admin.goto(GALLERY)
    duration = admin.locator(".skeleton").first.evaluate(
        "(element) => getComputedStyle(element).animationDuration"
    )
    assert float(duration.removesuffix("s")) < 0.001


def test_login_works_by_keyboard_and_explains_failure(
    page: Page, site: LiveSite, settings: Any
) -> None:
    # The web process knows only the real hashers.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    get_user_model().objects.create_superuser("alice", password="correct horse")
    page.goto(f"/login?next={GALLERY}")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type("correct horse")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{GALLERY}")

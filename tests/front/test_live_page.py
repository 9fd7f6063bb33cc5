"""A live page in a real browser: what it shows, pulls, holds back and catches up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import transaction
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from resilience_site.core import journal
from resilience_site.core.choices import Role
from tests.livesite import LiveSite
from tests.screens import PATIENCE, say, show_soon

pytestmark = pytest.mark.browser

GALLERY = "/dev/components"
ROWS = "**/dev/components/rows"


def happen(*keys: str, topic: str = "patterns") -> None:
    """Something changes, as a service would write it."""
    with transaction.atomic():
        journal.append([journal.Entry(topic, "test.changed", key) for key in keys])


@pytest.fixture
def gallery(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    """The gallery, live; no pointer or focus rests on it."""
    site.sign_in(context, Role.ADMIN)
    page.goto(GALLERY)
    say(page, "Live")
    # What the page pulls once at its beginning is no pull of what happens later.
    expect(page.locator("#site-health")).not_to_have_text(
        "Site health is loading", timeout=PATIENCE
    )
    return page


def test_a_change_is_pulled_in_less_than_a_second(gallery: Page) -> None:
    gallery.evaluate("""
        document.addEventListener("htmx:after:swap", ({ detail }) => {
            if (detail.ctx.target?.id !== "gallery-rows") return;
            const told = document.getElementById("pulls") ?? document.createElement("p");
            told.id = "pulls";
            window.pulls = (window.pulls ?? 0) + 1;
            told.textContent = `pull ${window.pulls}.`;
            document.body.append(told);
        });
    """)

    def change() -> datetime:
        happen("1")
        return datetime.now(UTC)

    show_soon(gallery, "#pulls", [(f"pull {number}.", change) for number in range(1, 13)])


def test_other_topics_pull_nothing(gallery: Page) -> None:
    pulls: list[str] = []
    gallery.on("request", lambda request: pulls.append(urlsplit(request.url).path))
    happen("anything", topic="traffic")
    gallery.wait_for_timeout(600)
    assert "/dev/components/rows" not in pulls


def test_focus_and_open_details_survive_a_pull(gallery: Page) -> None:
    gallery.locator("#row-2-more summary").click()
    gallery.locator("#row-2-more summary").blur()
    gallery.locator("#gallery-rows thead a").focus()
    with gallery.expect_response(ROWS):
        happen("1")
    gallery.wait_for_timeout(300)
    expect(gallery.locator("#row-2-more")).to_have_attribute("open", "")
    expect(gallery.locator("#gallery-rows thead a")).to_be_focused()


def test_pulls_leave_nothing_behind(gallery: Page) -> None:
    count = "document.getElementById('gallery-rows').parentNode.childNodes.length"
    before = gallery.evaluate(count)
    for key in ("1", "2", "3"):
        with gallery.expect_response(ROWS):
            happen(key)
        gallery.wait_for_timeout(900)
    gallery.wait_for_function(f"before => {count} === before", arg=before)


def test_pause_holds_updates_and_counts_them(gallery: Page) -> None:
    gallery.keyboard.press("p")
    say(gallery, "Paused")
    pulls: list[str] = []
    gallery.on("request", lambda request: pulls.append(urlsplit(request.url).path))
    happen(*(str(number) for number in range(12)))
    expect(gallery.locator("#live-detail")).to_have_text("12 updates waiting", timeout=PATIENCE)
    # What the page began with, such as its charts, may come late.
    assert "/dev/components/rows" not in pulls
    with gallery.expect_response(ROWS):
        gallery.keyboard.press("p")
    say(gallery, "Live")
    expect(gallery.locator("#live-detail")).to_have_text("")


def test_a_row_that_is_focused_stays_until_focus_leaves(gallery: Page) -> None:
    gallery.keyboard.press("j")
    expect(gallery.locator("[data-row]").first).to_be_focused()
    happen("1")
    expect(gallery.locator("#live-detail")).to_have_text("1 update waiting", timeout=PATIENCE)
    with gallery.expect_response(ROWS):
        gallery.evaluate("document.activeElement.blur()")
    expect(gallery.locator("#live-detail")).to_have_text("", timeout=PATIENCE)


def routed(page: Page, handle: Callable[[WebSocketRoute], Any]) -> None:
    page.route_web_socket(re.compile("/ws/live/"), handle)


def test_a_cut_socket_resumes_at_its_cursor_and_misses_nothing(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    sockets: list[WebSocketRoute] = []
    refuse = False

    def handle(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if refuse:
            socket.close()
        else:
            socket.connect_to_server()

    site.sign_in(context, Role.ADMIN)
    routed(page, handle)
    page.goto(GALLERY)
    say(page, "Live")
    refuse = True
    sockets[0].close()
    say(page, re.compile(r"Stale since \d\d:\d\d:\d\d|Polling"))
    happen("missed-1", "missed-2")
    refuse = False
    with page.expect_response(ROWS):
        page.wait_for_timeout(100)
        page.evaluate("document.getElementById('live-action').click()")
    say(page, "Live")
    first, last = (parse_qs(urlsplit(socket.url).query) for socket in (sockets[0], sockets[-1]))
    assert int(last["since"][0]) >= int(first["since"][0])
    assert last["topics"] == first["topics"] == ["ingest,patterns,traffic"]


def test_where_sockets_are_blocked_the_page_polls_and_says_so(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    site.sign_in(context, Role.ADMIN)
    routed(page, lambda socket: socket.close())
    with page.expect_response(ROWS, timeout=PATIENCE):
        page.goto(GALLERY)
    say(page, "Polling")
    with page.expect_response(ROWS, timeout=PATIENCE):
        pass


def test_while_redis_does_not_answer_the_page_says_so_and_fits_a_phone(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    """The server's word for it is put into its frames; that it says it in time, others test."""
    late, sockets = True, []

    def handle(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(text: str | bytes) -> None:
            frame = json.loads(text)
            if late and frame["type"] in ("hello", "tick"):
                frame["late"] = True
            socket.send(json.dumps(frame))

        server.on_message(pass_on)
        sockets.append(socket)

    site.sign_in(context, Role.ADMIN)
    page.set_viewport_size({"width": 390, "height": 844})
    routed(page, handle)
    page.goto(GALLERY)
    say(page, "Polling")
    expect(page.locator("#live-detail")).to_have_text("up to 2 s late")
    expect(page.locator("#late")).to_contain_text("Redis does not answer")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator("#site-health")).to_contain_text("accepted", timeout=PATIENCE)
    page.evaluate("document.getElementById('site-health').textContent = 'as it was'")
    late = False
    sockets[0].close()
    say(page, "Live")
    expect(page.locator("#late")).to_be_empty(timeout=PATIENCE)
    expect(page.locator("#live-detail")).to_have_text("")
    # What is said of this site is told anew with it.
    expect(page.locator("#site-health")).to_contain_text("accepted", timeout=PATIENCE)


def test_a_stale_page_still_fits_a_phone(
    page: Page, context: BrowserContext, site: LiveSite, complaints: Any
) -> None:
    complaints.allow("500")
    site.sign_in(context, Role.ADMIN)
    page.set_viewport_size({"width": 390, "height": 844})
    routed(page, lambda socket: socket.close())
    page.route(ROWS, lambda route: route.fulfill(status=500, body="no"))
    page.goto(GALLERY)
    say(page, re.compile("Stale since"))
    expect(page.locator("#live-detail")).to_contain_text("reconnecting")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_page_that_cannot_be_refreshed_is_not_called_live(gallery: Page, complaints: Any) -> None:
    complaints.allow("500")
    gallery.route(ROWS, lambda route: route.fulfill(status=500, body="no"))
    happen("1")
    say(gallery, re.compile("Stale since"))
    gallery.unroute(ROWS)
    say(gallery, "Live")


def test_somebody_who_logs_out_elsewhere_is_sent_to_log_in(
    gallery: Page, context: BrowserContext, complaints: Any
) -> None:
    complaints.allow("401")
    context.clear_cookies()
    gallery.evaluate("window.dispatchEvent(new Event('online'))")
    happen("1")
    gallery.wait_for_url(re.compile(r"/login\?next=/dev/components"), timeout=PATIENCE)


def test_without_scripts_the_page_says_when_it_was_true(
    browser: Any, site: LiveSite, complaints: Any
) -> None:
    context = browser.new_context(base_url=site.url, java_script_enabled=False)
    site.sign_in(context, Role.ADMIN)
    page = context.new_page()
    complaints.watch(page)
    page.goto(GALLERY)
    expect(page.locator("#live-word")).to_have_text(re.compile(r"As of \d\d:\d\d:\d\d UTC"))
    expect(page.locator("#pause")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    context.close()

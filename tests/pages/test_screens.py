"""The screens in a real browser: accessible, narrow enough, live, and leading on by click and key."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from functools import partial

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, WebSocketRoute, expect

from analytics.models import ErrorEvent, ErrorPattern
from analytics.services.pattern_decisions import pattern_decide
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from tests.analytics.store.conftest import forget_all
from tests.livesite import LiveSite
from tests.pages import scenes
from tests.screens import PATIENCE, overflows, point_at, problems, say, show_soon

pytestmark = pytest.mark.browser
# What is between the margins of A4, at 96 pixels an inch.
PAPER: ViewportSize = {"width": 718, "height": 1_000}
# What a reader of paper could not scroll to.
_CUT = """() => [...document.querySelectorAll("main :not(.visually-hidden)")].filter((each) => {
  const sideways = getComputedStyle(each).overflowX;
  return each.checkVisibility() && sideways !== "visible" && each.scrollWidth > each.clientWidth + 1;
}).map((each) => each.outerHTML.slice(0, 120))"""
# How light the page and its words are, 0 to 255.
_LIGHT = """() => [
  getComputedStyle(document.documentElement).backgroundColor,
  getComputedStyle(document.querySelector("h1")).color,
].map((each) => Math.max(...each.match(/[0-9.]+/g).slice(0, 3).map(Number)))"""


@pytest.fixture
def admin(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    """An admin's browser on a site that has received nothing."""
    forget_all()
    site.sign_in(context, Role.ADMIN)
    return page


@pytest.fixture
def busy(admin: Page) -> Page:
    """The same, after an hour of calls."""
    now = datetime.now(UTC)
    scenes.store(list(scenes.hour(now, calls_a_minute=3)), now)
    return admin


def fail(message: str = "429 Too Many Requests") -> scenes.Call:
    """A tool call fails now, and its spans arrive."""
    now = datetime.now(UTC)
    call = scenes.tool_call(now, chance=random.Random(message), failed=True, message=message)
    scenes.store([call], now)
    return call


EMPTY = [
    "/", "/errors", "/patterns", "/chains", "/services", "/services/map", "/settings/keys",
    "/report", "/trends?since=24h", "/impact", "/limits",
]  # fmt: skip


@pytest.mark.parametrize("path", EMPTY)
def test_empty_screens_are_accessible_and_fit_a_phone(admin: Page, path: str) -> None:
    assert problems(admin, path) == []


# Twelve pages in two themes: a busy machine takes a minute for them.
@pytest.mark.timeout(400)
def test_busy_screens_are_accessible_and_fit_a_phone(busy: Page) -> None:
    error = ErrorEvent.objects.filter(type="httpx.HTTPStatusError").order_by("-occurred_at")[0]
    for path in (
        "/", "/errors?service=planner-mcp-server", f"/errors/{error.id}", "/patterns",
        f"/patterns/{error.pattern_id}", "/chains", f"/chains/{error.trace_id}", "/services",
        "/services/planner-mcp-server", "/services/map", "/report", "/trends?since=24h",
        "/impact", "/impact?service=planner-mcp-server",
    ):  # fmt: skip
        assert problems(busy, path) == []


def test_the_report_is_printed_dark_on_white_whole_and_without_what_leads_elsewhere(
    busy: Page,
) -> None:
    busy.emulate_media(media="print", color_scheme="dark")
    busy.set_viewport_size(PAPER)
    busy.goto("/report")
    expect(busy.get_by_role("heading", level=1)).to_be_visible()
    for part in (".sidebar", ".search", ".menu-button", ".menu-panel"):
        for each in busy.locator(part).all():
            expect(each).to_be_hidden()
    page, words = busy.evaluate(_LIGHT)
    assert (page, words < 100) == (255, True)
    assert busy.evaluate(_CUT) == []
    assert not overflows(busy)


def test_the_slider_of_the_map_shows_a_part_of_the_time(busy: Page) -> None:
    busy.goto("/services/map?since=1h")
    slider = busy.get_by_label("Moment")
    slider.focus()
    slider.press("End")
    expect(busy).to_have_url(re.compile(r"since=1h.*moment=24|moment=24.*since=1h"))
    expect(busy.locator("#moment-said")).to_contain_text("UTC")
    busy.get_by_role("link", name="Whole time").click()
    expect(busy.locator("#moment-said")).to_have_text("the whole time")


def test_a_new_error_is_seen_in_less_than_a_second(busy: Page) -> None:
    busy.goto("/errors")
    say(busy, "Live")

    def received(text: str) -> datetime:
        stored = ErrorEvent.objects.filter(trace_id=fail(text).trace_id)
        return stored.latest("received_at").received_at

    words = [f"outage no. {number:02}" for number in range(12)]
    show_soon(busy, "#error-rows", [(word, partial(received, word)) for word in words])


def test_the_first_error_turns_the_empty_overview_live(admin: Page) -> None:
    admin.goto("/")
    say(admin, "Live")
    expect(admin.get_by_text("Waiting for the first event")).to_be_visible()
    fail()
    expect(admin.locator("#newest-rows")).to_contain_text("httpx.HTTPStatusError")
    expect(admin.locator("#error-ratio-plot .main-svg").first).to_be_visible()
    expect(admin.get_by_text("Waiting for the first event")).to_have_count(0)


def test_a_cut_socket_catches_up_without_loss_or_doubles(
    busy: Page, context: BrowserContext
) -> None:
    sockets: list[WebSocketRoute] = []
    refuse = False

    def handle(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if refuse:
            socket.close()
        else:
            socket.connect_to_server()

    busy.route_web_socket(re.compile("/ws/live/"), handle)
    busy.goto("/errors")
    say(busy, "Live")
    refuse = True
    sockets[0].close()
    say(busy, re.compile(r"Stale since|Polling"))
    calls = [fail(f"missed {n}") for n in range(3)]
    refuse = False
    busy.evaluate("document.getElementById('live-action').click()")
    say(busy, "Live")
    for call in calls:
        for error in ErrorEvent.objects.filter(trace_id=call.trace_id):
            expect(busy.locator(f"#e-{error.id}")).to_have_count(1, timeout=PATIENCE)


def test_without_sockets_the_page_polls(busy: Page) -> None:
    busy.route_web_socket(re.compile("/ws/live/"), lambda socket: socket.close())
    busy.goto("/errors")
    say(busy, "Polling")
    fail("seen by polling")
    expect(busy.locator("#error-rows")).to_contain_text("seen by polling", timeout=PATIENCE * 2)


def test_a_decision_of_somebody_else_shows_at_once(busy: Page, site: LiveSite) -> None:
    pattern = ErrorPattern.objects.get(type="httpx.HTTPStatusError")
    busy.goto(f"/patterns/{pattern.id}")
    say(busy, "Live")
    pattern_decide(
        pattern_id=pattern.id, decision="resolve", actor=Actor.system("test"), reason="1.5 is out",
        now=datetime.now(UTC),
    )  # fmt: skip
    expect(busy.locator("#pattern-body .page-head .badge")).to_have_text("Resolved")
    expect(busy.get_by_role("link", name="Reopen").first).to_be_visible()


def test_an_operator_resolves_a_pattern_by_keyboard(busy: Page) -> None:
    pattern = ErrorPattern.objects.get(type="httpx.HTTPStatusError")
    busy.goto(f"/patterns/{pattern.id}")
    busy.get_by_role("link", name="Resolve").first.focus()
    busy.keyboard.press("Enter")
    dialog = busy.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Reason").fill("fixed in 1.5")
    dialog.get_by_role("button", name="Resolve").press("Enter")
    expect(busy.get_by_text("The pattern is resolved now.")).to_be_visible()
    expect(busy.locator("#standing")).to_contain_text("fixed in 1.5")


def test_the_root_cause_is_reached_by_keyboard(busy: Page) -> None:
    busy.goto("/chains")
    busy.keyboard.press("j")
    busy.keyboard.press("Enter")
    expect(busy.locator("tr.root-cause")).to_contain_text("Root cause")
    # Before its scripts run, a page knows no keys.
    say(busy, "Live")
    for _ in range(3):
        busy.keyboard.press("j")
    focused = busy.locator("tr.root-cause a[data-row]")
    expect(focused).to_be_focused()
    busy.keyboard.press("Enter")
    expect(busy.get_by_role("heading", level=1)).to_have_text("httpx.HTTPStatusError")


def test_a_bar_of_the_chart_leads_to_its_errors(busy: Page) -> None:
    busy.goto("/errors?since=2h")
    bars = busy.locator("#error-counts-plot .bars .point path")
    expect(bars.first).to_be_attached()

    def highest() -> tuple[float, float]:
        boxes = [bars.nth(n).bounding_box() for n in range(bars.count())]
        box = max((each for each in boxes if each), key=lambda each: each["height"])
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    label = busy.locator("#error-counts-plot .hoverlayer .legend, .hoverlayer .hovertext")
    point_at(busy, highest, label)
    busy.mouse.down()
    busy.mouse.up()
    busy.wait_for_url(re.compile(r"/errors\?since=2\d{3}.*&until="))
    expect(busy.locator("#error-rows tbody tr").first).to_be_visible()


def test_filters_stand_in_the_address_and_a_pasted_link_shows_the_same(busy: Page) -> None:
    busy.goto("/errors?since=2h")
    busy.get_by_label("Service").select_option("planner-mcp-server")
    busy.get_by_role("button", name="Filter").click()
    busy.wait_for_url(re.compile(r"service=planner-mcp-server.*since=2h"))
    first = busy.locator("#error-rows tbody tr").first.get_attribute("id")
    busy.goto(busy.url)
    assert busy.locator("#error-rows tbody tr").first.get_attribute("id") == first
    busy.get_by_role("link", name="remove filter").click()
    expect(busy.get_by_role("link", name="remove filter")).to_have_count(0)
    expect(busy).to_have_url(re.compile("since=2h"))


def test_a_new_key_is_copied_and_revoked_after_a_question(
    admin: Page, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.goto("/settings/keys")
    admin.get_by_label("Name").fill("checkout")
    admin.get_by_role("button", name="Make key").click()
    expect(admin.get_by_text("The key checkout is made")).to_be_visible()
    # Before its scripts run, a page copies nothing and opens no dialog.
    say(admin, "Live")
    admin.get_by_role("button", name="Copy").first.click()
    expect(admin.locator("#toasts")).to_contain_text("Copied.")
    assert str(admin.evaluate("navigator.clipboard.readText()")).startswith("rcp_")
    admin.get_by_role("button", name="Revoke checkout").click()
    admin.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(admin.get_by_text("The key checkout is revoked")).to_be_visible()

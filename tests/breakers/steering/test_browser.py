"""The screens in a real browser: accessible, narrow enough, live, and worked by the keyboard alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import Browser, BrowserContext, Page, expect

from breakers.models import ControlDocument, DegradedMode, Instance, PolicyChange, Toggle
from breakers.services.degraded import degraded_set
from breakers.services.toggles import toggle_set
from resilience_site.core import journal
from resilience_site.core.choices import Role
from tests.breakers.steering import scenes
from tests.breakers.steering.scenes import ANA, PLANNER
from tests.livesite import LiveSite
from tests.screens import PATIENCE, PHONE, problems, say, violations

pytestmark = pytest.mark.browser

SCREENS = ["/retries", "/fallbacks", "/bulkheads", "/toggles", "/degraded", "/status"]
DETAILS = [
    "/toggles/planner.write", f"/degraded/{PLANNER}", "/toggles/-/new",
    "/toggles/planner.suggestions/set", "/toggles/planner.write/revert",
    f"/degraded/{PLANNER}/set", f"/degraded/{PLANNER}/end", f"/bulkheads/{PLANNER}/plans",
    f"/bulkheads/{PLANNER}/plans/policy", f"/bulkheads/{PLANNER}/plans/policy/rollback?number=0",
]  # fmt: skip


@pytest.fixture
def operator(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    """An operator's browser on a fleet of which nothing has been decided."""
    site.sign_in(context, Role.OPERATOR, "olga")
    scenes.fleet(datetime.now(UTC))
    return page


@pytest.fixture
def busy(operator: Page) -> Page:
    """The same after half an hour of trouble and some decisions."""
    now = datetime.now(UTC)
    scenes.traffic(now)
    scenes.decisions(now)
    return operator


@pytest.mark.parametrize("path", SCREENS)
def test_empty_screens_are_accessible_and_fit_a_phone(
    page: Page, context: BrowserContext, site: LiveSite, path: str
) -> None:
    site.sign_in(context, Role.OPERATOR)
    assert problems(page, path) == []


@pytest.mark.parametrize("path", [*SCREENS, *DETAILS])
def test_busy_screens_are_accessible_and_fit_a_phone(busy: Page, path: str) -> None:
    assert problems(busy, path) == []


def focused(page: Page) -> Any:
    return page.locator(":focus")


def tab_to(page: Page, name: str, role: str = "") -> None:
    """Press Tab until what is called so has the focus, as somebody without a mouse would."""
    for _ in range(60):
        page.keyboard.press("Tab")
        words = page.evaluate(
            """() => {
            const e = document.activeElement;
            return [e.tagName, e.labels?.[0]?.innerText ?? e.innerText ?? ""].join("|").trim();
        }"""
        )
        tag, _, text = words.partition("|")
        if " ".join(text.split()) == name and tag == (role or tag):
            return
    raise AssertionError(f"Tab never reaches {name!r}")


def test_a_toggle_is_switched_by_keyboard_alone(busy: Page) -> None:
    busy.goto("/toggles")
    say(busy, "Live")
    for _ in range(3):
        busy.keyboard.press("j")
    expect(focused(busy)).to_have_text("planner.write")
    busy.keyboard.press("Enter")
    busy.wait_for_url("**/toggles/planner.write")
    say(busy, "Live")
    tab_to(busy, "Set value")
    busy.keyboard.press("Enter")
    dialog = busy.get_by_role("dialog", name="Set planner.write")
    expect(dialog).to_be_visible()
    assert violations(busy) == []
    # The value that stands has the focus; its neighbour is one key away.
    expect(dialog.get_by_role("radio", name="Off")).to_be_focused()
    busy.keyboard.press("ArrowUp")
    expect(dialog.get_by_role("radio", name="On")).to_be_checked()
    tab_to(busy, "Reason", "TEXTAREA")
    busy.keyboard.type("writes hold again")
    tab_to(busy, "Request value", "BUTTON")
    busy.keyboard.press("Enter")
    expect(busy.get_by_text("Requested: planner.write is true.")).to_be_visible()
    expect(busy.locator("#toggle-body .page-head .badge")).to_have_text("On")
    expect(busy.locator("#history")).to_contain_text("writes hold again")
    assert Toggle.objects.get(key="planner.write").actor == "olga"


def test_a_service_is_degraded_by_keyboard_alone_and_shown_as_previewed(operator: Page) -> None:
    operator.goto(f"/degraded/{PLANNER}")
    say(operator, "Live")
    tab_to(operator, "Degrade", "A")
    operator.keyboard.press("Enter")
    dialog = operator.get_by_role("dialog", name=f"Degrade {PLANNER}")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("radio", name="Reduced")).to_be_focused()
    preview = dialog.locator("#degraded-preview")
    expect(preview).to_contain_text("Planner is under strain")
    operator.keyboard.press("ArrowDown")
    expect(preview).to_contain_text("Planner is degraded: only its most important functions")
    expect(preview.locator(".badge")).to_have_text("Essential only")
    tab_to(operator, "Notice for users", "TEXTAREA")
    with operator.expect_request(re.compile("/preview")) as asked:
        operator.keyboard.type("Only reading works.")
    assert "reason" not in asked.value.url
    assert "csrf" not in asked.value.url
    expect(preview.locator("article p").first).to_have_text("Only reading works.")
    assert violations(operator) == []
    tab_to(operator, "Reason", "TEXTAREA")
    operator.keyboard.type("Graph is half down")
    tab_to(operator, "Request level", "BUTTON")
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("runs at the level essential.")).to_be_visible()
    expect(operator.locator("#users-read")).to_contain_text("Only reading works.")
    operator.goto("/status")
    # The legend of the bars names all states: the verdict is what tells one.
    expect(operator.get_by_role("status")).to_contain_text("Partial outage", timeout=PATIENCE)
    expect(operator.get_by_text("Only reading works.")).to_be_visible()
    mode = DegradedMode.objects.get()
    assert (mode.level, mode.actor) == ("essential", "olga")


def test_a_bulkhead_is_tuned_and_rolled_back_by_keyboard_alone(busy: Page) -> None:
    scenes.stay_heard_of(datetime.now(UTC))
    busy.goto("/bulkheads?since=2h")
    say(busy, "Live")
    tab_to(busy, "plans", "A")
    busy.keyboard.press("Enter")
    busy.wait_for_url(f"**/bulkheads/{PLANNER}/plans")
    say(busy, "Live")
    tab_to(busy, "Tune", "A")
    busy.keyboard.press("Enter")
    dialog = busy.get_by_role("dialog", name="Tune plans")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("Calls at once")).to_be_focused()
    expect(dialog.locator("#policy-diff")).to_contain_text("Nothing changes.")
    busy.keyboard.type("6")
    expect(dialog.locator("#policy-diff del")).to_have_text("10 (the service's own)")
    expect(dialog.locator("#policy-diff ins")).to_have_text("6")
    assert violations(busy) == []
    tab_to(busy, "Reason", "TEXTAREA")
    busy.keyboard.type("Graph bears no more")
    tab_to(busy, "Request these settings", "BUTTON")
    busy.keyboard.press("Enter")
    expect(busy.get_by_text("Requested: policy 1 for plans.")).to_be_visible()
    policy, instances = busy.locator("#policy"), busy.locator("#instances")
    expect(policy).to_contain_text("Graph bears no more")
    expect(instances).to_contain_text("applied on 0 of 2")
    acknowledge("planner-1")
    expect(instances).to_contain_text("applied on 1 of 2", timeout=PATIENCE)

    tab_to(busy, "Roll back to the service's own settings", "A")
    busy.keyboard.press("Enter")
    dialog = busy.get_by_role("dialog", name="Back to the service's own settings")
    expect(dialog.locator("del")).to_have_text("6")
    tab_to(busy, "Reason", "TEXTAREA")
    busy.keyboard.type("Graph is well again")
    tab_to(busy, "Request rollback", "BUTTON")
    busy.keyboard.press("Enter")
    expect(busy.get_by_text("Requested: back to policy 0 for plans, as policy 2.")).to_be_visible()
    expect(policy).to_contain_text("Graph is well again")
    numbers = PolicyChange.objects.filter(actor="olga").order_by("number")
    assert [each.policy for each in numbers] == [{"max_concurrent_calls": 6}, {}]


def test_a_decision_of_somebody_else_and_its_acknowledgement_show_at_once(busy: Page) -> None:
    busy.goto("/toggles/planner.write")
    say(busy, "Live")
    toggle_set(key="planner.write", value=True, reason="fixed", actor=ANA, role=Role.ADMIN)
    expect(busy.locator("#toggle-body .page-head .badge")).to_have_text("On")
    expect(busy.locator("#applied")).to_contain_text("Applied on 0 of 3 instances")
    acknowledge("planner-1")
    expect(busy.locator("#applied")).to_contain_text("Applied on 1 of 3 instances")


def acknowledge(instance: str) -> None:
    """What a poll of an instance with its version leaves behind."""
    version = ControlDocument.objects.get(service=PLANNER).version
    with transaction.atomic():
        now = datetime.now(UTC)
        Instance.objects.filter(instance=instance).update(
            applied_version=version, applied_at=now, last_seen=now
        )
        journal.append([journal.Entry("control", "control.applied", PLANNER, str(version))])


@pytest.mark.parametrize("topic", ["retries", "fallbacks", "bulkheads"])
def test_what_services_tell_shows_on_open_screens(operator: Page, topic: str) -> None:
    operator.goto(f"/{topic}")
    say(operator, "Live")
    expect(operator.locator(".tiles")).to_have_count(0)
    scenes.traffic(datetime.now(UTC))
    with transaction.atomic():
        journal.append([journal.Entry(topic, "test.told", PLANNER)])
    expect(operator.locator(".tiles")).to_be_visible(timeout=PATIENCE)


def test_two_people_who_change_the_same_see_both_sides(busy: Page, complaints: Any) -> None:
    complaints.allow("409")
    busy.goto(f"/degraded/{PLANNER}")
    busy.get_by_role("link", name="Change level").click()
    dialog = busy.get_by_role("dialog")
    dialog.get_by_role("radio", name="Offline").check()
    dialog.get_by_label("Reason").fill("nothing works")
    degraded_set(
        service=PLANNER, level="essential", notice="Half.", reason="r", actor=ANA, role=Role.ADMIN
    )
    dialog.get_by_role("button", name="Request level").click()
    expect(busy.get_by_text("Somebody else was quicker")).to_be_visible()
    expect(busy.get_by_role("region", name="What stands now")).to_contain_text("essential")
    expect(busy.get_by_role("region", name="What you asked for")).to_contain_text("offline")
    assert violations(busy) == []
    expect(busy.get_by_label("Reason")).to_have_value("nothing works")
    busy.get_by_role("button", name="Request level").click()
    expect(busy.locator("#degraded-service-body .page-head .badge")).to_have_text("Offline")


def test_a_viewer_finds_nothing_to_press(
    page: Page, context: BrowserContext, site: LiveSite
) -> None:
    site.sign_in(context, Role.VIEWER)
    now = datetime.now(UTC)
    scenes.fleet(now)
    scenes.decisions(now)
    for path in ("/toggles", "/toggles/planner.write", "/degraded", f"/degraded/{PLANNER}"):
        page.goto(path)
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("main a[data-dialog], main form[method=post]")).to_have_count(0)


def test_the_status_page_needs_no_script_and_no_login(
    browser: Browser, site: LiveSite, complaints: Any
) -> None:
    now = datetime.now(UTC)
    scenes.fleet(now)
    scenes.decisions(now)
    context = browser.new_context(base_url=site.url, java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    complaints.watch(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto("/status")
    expect(page).to_have_title("Degraded service · Service status")
    expect(page.get_by_text("Plans may be a few minutes old.")).to_be_visible()
    expect(page.locator("nav, form")).to_have_count(0)
    assert [url for url in asked if ".js" in url or url.startswith("ws")] == []
    degraded_set(service=PLANNER, level="normal", reason="", actor=ANA, role=Role.ADMIN)
    # It loads itself anew.
    expect(page.get_by_text("All systems operational")).to_be_visible()
    page.get_by_role("link", name="Stop").click()
    expect(page.get_by_text("Does not refresh by itself")).to_be_visible()
    context.close()


def test_an_open_status_page_shows_a_notice_and_drops_it_by_itself(
    page: Page, site: LiveSite
) -> None:
    scenes.fleet(datetime.now(UTC))
    page.goto("/status")
    expect(page.get_by_text("All systems operational")).to_be_visible()
    page.evaluate("() => { window.isTheSame = true; }")
    degraded_set(service=PLANNER, level="reduced", notice="Plans may be old.", reason="Graph",
                 actor=ANA, role=Role.ADMIN)  # fmt: skip
    expect(page.get_by_text("Plans may be old.").first).to_be_visible()
    expect(page).to_have_title("Degraded service · Service status")
    degraded_set(service=PLANNER, level="normal", reason="", actor=ANA, role=Role.ADMIN)
    expect(page.get_by_text("All systems operational")).to_be_visible()
    assert page.evaluate("() => window.isTheSame")


def test_without_scripts_a_service_is_degraded_by_plain_forms(
    browser: Browser, site: LiveSite, complaints: Any
) -> None:
    scenes.fleet(datetime.now(UTC))
    context = browser.new_context(base_url=site.url, java_script_enabled=False)
    site.sign_in(context, Role.OPERATOR)
    page = context.new_page()
    complaints.watch(page)
    page.goto(f"/degraded/{PLANNER}")
    page.get_by_role("link", name="Degrade", exact=True).click()
    page.get_by_label("Notice for users").fill("Soon back.")
    page.get_by_role("button", name="Show the preview").click()
    expect(page.locator(".status-notice")).to_contain_text("Soon back.")
    assert not DegradedMode.objects.exists()
    page.get_by_label("Reason").fill("Graph is down")
    page.get_by_role("button", name="Request level").click()
    expect(page.locator("#users-read")).to_contain_text("Soon back.")
    context.close()

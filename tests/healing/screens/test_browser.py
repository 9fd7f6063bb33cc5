"""Healing in a real browser: in both themes, on a desk and on a phone, live, and acted upon."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from healing.services.switches import switch_set
from resilience_site.core.choices import Role
from tests.healing.screens.scene import ADA, Scene, furnished
from tests.livesite import LiveSite
from tests.screens import FORM_LOOKS, PHONE, problems, say

pytestmark = pytest.mark.browser


@pytest.fixture
def admin(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    site.sign_in(context, Role.ADMIN)
    return page


@pytest.fixture
def scene(admin: Page) -> Scene:
    return furnished()


def test_screens_of_runs_are_accessible_and_fit_a_phone(admin: Page, scene: Scene) -> None:
    for path in ("/healing", f"/healing/runs/{scene.waiting.pk}", f"/healing/runs/{scene.over.pk}"):
        assert problems(admin, path) == []
    assert problems(admin, "/healing/runs", FORM_LOOKS) == []


def test_screens_of_workflows_and_targets_are_accessible(admin: Page, scene: Scene) -> None:
    assert problems(admin, "/healing/workflows/restart_shop") == []
    for path in (
        "/healing/workflows", "/healing/workflows/restart_shop/edit", "/healing/targets",
        "/healing/targets/edit/shop", "/healing/switch",
        "/healing/now?part=preview", "/healing/workflows/restart_shop/mode",
    ):  # fmt: skip
        assert problems(admin, path, FORM_LOOKS) == []


def test_a_run_is_refused_from_a_phone(admin: Page, scene: Scene) -> None:
    admin.set_viewport_size(PHONE)
    admin.goto(f"/healing/runs/{scene.waiting.pk}")
    say(admin, "Live")
    approve = admin.get_by_role("link", name="Approve", exact=True)
    box = approve.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < PHONE["height"]
    approve.click()
    dialog = admin.get_by_role("dialog")
    expect(dialog).to_contain_text("It begins at once.")
    dialog.get_by_role("button", name="Back").click()
    admin.get_by_role("link", name="Refuse", exact=True).click()
    dialog.get_by_label("Reason").fill("a deployment is under way")
    dialog.get_by_role("button", name="Refuse").click()
    expect(admin.locator(".verdict")).to_contain_text("It was cancelled.")


def test_an_open_page_follows_and_what_would_heal_comes_by_itself(
    admin: Page, scene: Scene
) -> None:
    admin.goto("/healing")
    say(admin, "Live")
    switch_set(
        stopped=True, reason="a storm", actor=ADA, role=Role.ADMIN, now=datetime.now(UTC)
    )  # fmt: skip
    expect(admin.locator(".verdict")).to_contain_text("All healing is stopped by ada.")
    admin.goto("/healing/now")
    expect(admin.locator("#now")).to_contain_text("Waits 1 s, and changes nothing")

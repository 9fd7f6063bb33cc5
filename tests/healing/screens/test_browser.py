"""Healing in a real browser: in both themes, on a desk and on a phone, live, and acted upon."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connections
from playwright.sync_api import BrowserContext, Locator, Page, expect

from breakers.models import Toggle
from healing.choices import RunState
from healing.models import HealingRun, HealingStep, Opportunity
from healing.services.recovery_orchestrator import run_look
from healing.services.switches import switch_set
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.browser import Complaints
from tests.healing.engine.scenes import Stage, followed, fresh, step
from tests.healing.screens.scene import ADA, DIVERT, Scene, caught_up, failing, furnished
from tests.health.world import World
from tests.livesite import LiveSite
from tests.patience import until
from tests.screens import (
    FORM_LOOKS,
    PHONE,
    overflows,
    press_until,
    problems,
    say,
    show_soon,
    violations,
)

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
    expect(admin.locator(".verdict")).to_contain_text(
        re.compile(r"admin-\d+ refused it: a deployment is under way")
    )
    run = fresh(scene.waiting)
    assert (run.state, run.started_at) == (RunState.CANCELLED, None)
    assert not run_look(run.pk)
    expect(admin.locator("#acts")).to_have_count(0)


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


# --- From a phone to the end ------------------------------------------------------------------


@pytest.fixture
def phone(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    """An operator's phone."""
    site.sign_in(context, Role.OPERATOR, "olga")
    page.set_viewport_size(PHONE)
    return page


def badge(page: Page) -> Locator:
    """The state of the run that the page is about."""
    return page.locator("#run .page-head .badge").first


def heals_before_the_eyes(page: Page, world: World, run: HealingRun) -> None:
    """A worker advances the run to its end, and the open page shows it without loading anew."""
    say(page, "Live")
    page.evaluate("window.isTheSame = true")
    assert not Toggle.objects.exists()
    caught_up(world)
    assert run_look(run.pk, now=lambda: world.now)
    assert Toggle.objects.get(key="shop-diverted").value is True
    expect(badge(page)).to_have_text("Verifying")
    expect(page.locator("#steps li").first).to_contain_text("Done")
    world.down.clear()
    assert followed(run, world).state == RunState.SUCCEEDED
    expect(badge(page)).to_have_text("Succeeded")
    expect(page.locator(".verdict")).to_contain_text("It healed, and that was verified.")
    expect(page.locator(".verdict")).to_contain_text("shop-api passed 2 times in a row")
    assert page.evaluate("window.isTheSame")


def test_a_run_is_approved_by_keyboard_on_a_phone_and_heals_before_the_eyes(phone: Page) -> None:
    world = failing("approve", DIVERT)
    run = HealingRun.objects.get(state=RunState.WAITING_APPROVAL)
    phone.goto(f"/healing/runs/{run.pk}")
    expect(badge(phone)).to_have_text("Waits for approval")
    press_until(phone, phone.get_by_role("link", name="Approve", exact=True))
    phone.keyboard.press("Enter")
    dialog = phone.get_by_role("dialog")
    expect(dialog).to_contain_text("Check shop-api of shop is down")
    # It rests on what changes nothing: who presses Enter twice has not said yes.
    expect(dialog.get_by_role("button", name="Back")).to_be_focused()
    assert violations(phone) == []
    assert not overflows(phone)
    press_until(phone, dialog.get_by_label("Reason"))
    phone.keyboard.type("the shop may go without it")
    press_until(phone, dialog.get_by_role("button", name="Approve"))
    phone.keyboard.press("Enter")
    # The page that was left may yet have told of a pending run: only the next one says so.
    expect(phone.locator(".notice").get_by_text("It begins.", exact=True)).to_be_visible()
    expect(badge(phone)).to_have_text("Pending")
    heals_before_the_eyes(phone, world, run)
    expect(phone.locator("#about")).to_contain_text("Approved byolga")
    entry = AuditEntry.objects.get(action="healing_run.approve")
    assert (entry.actor, entry.reason) == ("olga", "the shop may go without it")


def test_what_is_suggested_is_started_from_a_phone_and_heals_before_the_eyes(phone: Page) -> None:
    world = failing("suggest", DIVERT)
    chance = Opportunity.objects.get()
    phone.goto("/healing")
    say(phone, "Live")
    phone.locator(f"#o-{chance.pk}").get_by_role("link", name="Start").click()
    dialog = phone.get_by_role("dialog")
    expect(dialog).to_contain_text("Starting it is your yes.")
    assert not overflows(phone)
    dialog.get_by_label("Reason").fill("it is night")
    dialog.get_by_role("button", name="Start").click()
    expect(badge(phone)).to_have_text("Pending")
    # Beside it stands the dry run by which the site suggested it.
    run = HealingRun.objects.get(requested_by="olga")
    assert (run.approved_by, run.reason, run.dry_run) == ("olga", "it is night", False)
    heals_before_the_eyes(phone, world, run)
    chance.refresh_from_db()
    assert chance.state == "taken"


def test_a_viewer_sees_a_run_that_waits_and_cannot_answer_it(
    page: Page, context: BrowserContext, site: LiveSite, complaints: Complaints
) -> None:
    site.sign_in(context, Role.VIEWER, "vera")
    page.set_viewport_size(PHONE)
    failing("approve", DIVERT)
    run = HealingRun.objects.get(state=RunState.WAITING_APPROVAL)
    page.goto(f"/healing/runs/{run.pk}")
    expect(badge(page)).to_have_text("Waits for approval")
    for name in ("Approve", "Refuse", "Cancel"):
        expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)
    complaints.allow("status of 403")
    for act in ("approve", "refuse"):
        answer = page.goto(f"/healing/runs/{run.pk}/{act}")
        assert answer is not None
        assert answer.status == 403
        expect(page.get_by_label("Reason")).to_have_count(0)
    assert fresh(run).state == RunState.WAITING_APPROVAL


# --- While a run goes on ----------------------------------------------------------------------

STEPS = 12


@contextmanager
def worker(run: HealingRun, gates: list[threading.Event]) -> Iterator[None]:
    """A worker of its own that advances the run. Whatever becomes of the test, it ends."""

    def work() -> None:
        try:
            run_look(run.pk)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        for gate in gates:
            gate.set()
        thread.join()


def test_steps_change_on_the_open_page_within_a_second_while_the_run_goes_on(
    admin: Page, stage: Stage
) -> None:
    names = [f"s{n}" for n in range(1, STEPS + 1)]
    gates = [threading.Event() for _ in names]
    stage.on_act = lambda thing: gates[names.index(thing)].wait()  # type: ignore[assignment]
    world = failing("auto", *(step("test_left", each, timeout_seconds=600) for each in names))
    run = HealingRun.objects.get(state=RunState.PENDING)
    rows = admin.locator("#steps li")
    passed: list[int] = []

    def ends(n: int) -> Callable[[], datetime]:
        def end() -> datetime:
            """The step ends that the worker is at; when it wrote that down."""
            gates[n].set()
            passed.append(n)
            done = HealingStep.objects.filter(run=run, n=n + 1).exclude(ended_at=None)
            ended: datetime = until(lambda: done.first()).ended_at
            return ended

        return end

    admin.goto(f"/healing/runs/{run.pk}")
    say(admin, "Live")
    for n in range(STEPS):
        expect(rows.nth(n)).to_contain_text("To come")
    with worker(run, gates):
        expect(rows.nth(0)).to_contain_text("Running")
        # What a step says shows with its end, and nowhere before.
        show_soon(admin, "#steps", [(f"did {each} with", ends(n)) for n, each in enumerate(names)])
        for n in passed:
            expect(rows.nth(n)).to_contain_text("Done")
        if (n := passed[-1] + 1) < STEPS:
            expect(rows.nth(n)).to_contain_text("Running")
            expect(admin.locator(".verdict")).to_contain_text(f"Step {n + 1}, test left, runs.")
            assert fresh(run).state == RunState.RUNNING
    expect(badge(admin)).to_have_text("Verifying")
    world.down.clear()
    caught_up(world)
    assert followed(run, world).state == RunState.SUCCEEDED
    expect(badge(admin)).to_have_text("Succeeded")
    assert admin.evaluate("window.isTheSame")

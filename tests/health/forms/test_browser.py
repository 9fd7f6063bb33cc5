"""The forms in a real browser: accessible in both themes, at a desk and on a phone; tried in place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from health.choices import DependencyStatus
from health.models import Check, Dependency, Maintenance, Service
from health.services.checks import check_options
from health.services.maintenance import maintenance_create
from resilience_site.core.choices import Role
from tests.health.scenes import ACTOR
from tests.health.screens import scenes
from tests.livesite import LiveSite
from tests.screens import problems

pytestmark = pytest.mark.browser


@pytest.fixture
def operator(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    """An operator's browser."""
    site.sign_in(context, Role.OPERATOR, "olga")
    return page


@pytest.fixture
def company(operator: Page) -> dict[str, Check]:
    """Checks in trouble, a proposal and a window."""
    now = datetime.now(UTC)
    checks = scenes.incident(now)
    maintenance_create(
        name="backups", kind="weekly", weekdays=[0, 6], duration_seconds=5_400, reason="nightly",
        start_time=now.time().replace(second=0, microsecond=0), timezone="Europe/Berlin",
        checks=["postgres-main"], public_text="A short break", actor=ACTOR, now=now,
    )  # fmt: skip
    Dependency.objects.get_or_create(
        child_service=Service.objects.get(name="web-portal"),
        parent_service=Service.objects.get(name="microsoft-graph"),
        defaults={"status": DependencyStatus.PROPOSED, "calls": 81_234, "last_seen": now,
                  "created_at": now},
    )  # fmt: skip
    return checks


PATHS: dict[str, Callable[[dict[str, Check]], str]] = {
    "kinds": lambda _: "/health/checks/new",
    "new": lambda _: "/health/checks/new?kind=http",
    "edit": lambda checks: f"/health/checks/{checks['graph-token'].id}/edit",
    "delete": lambda checks: f"/health/checks/{checks['postgres-main'].id}/delete",
    "dependencies": lambda _: "/health/dependencies",
    "dependency": lambda _: "/health/dependencies/new",
    "accept": lambda _: f"/health/dependencies/{_proposal().id}/accept",
    "maintenance": lambda _: "/health/maintenance",
    "window": lambda _: f"/health/maintenance/{Maintenance.objects.get(name='backups').id}/edit",
}


def _proposal() -> Dependency:
    return Dependency.objects.filter(status=DependencyStatus.PROPOSED)[0]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", PATHS)
def test_forms_are_accessible_and_fit(operator: Page, company: dict[str, Check], name: str) -> None:
    assert problems(operator, PATHS[name](company)) == []


def test_a_check_is_tried_in_place_and_then_made(operator: Page) -> None:
    operator.goto("/health/checks/new?kind=http")
    # A host that never resolves (RFC 6761).
    url = "http://user:hunter22@nowhere.invalid/"
    operator.get_by_label("URL", exact=True).fill(url)
    operator.get_by_role("button", name="Try it").click()
    expect(operator.locator("#tried")).to_contain_text("Tried once")
    expect(operator.locator("#tried")).not_to_contain_text("hunter22")
    # Nothing was reloaded: what was typed is still there.
    assert operator.get_by_label("URL", exact=True).input_value() == url
    operator.get_by_label("Name", exact=True).fill("portal")
    operator.get_by_label("Service", exact=True).fill("web")
    operator.get_by_role("button", name="Make check").click()
    expect(operator.locator("h1")).to_have_text("portal")
    check = Check.objects.get(name="portal")
    assert check_options(check).url == url


def test_a_local_check_tells_what_it_finds_before_it_is_saved(operator: Page) -> None:
    operator.goto("/health/checks/new?kind=disk")
    operator.get_by_label("Path", exact=True).fill("/")
    operator.get_by_label("Degraded below (% free)").fill("0.1")
    operator.get_by_label("Down below (% free)").fill("0.01")
    operator.get_by_role("button", name="Try it").click()
    expect(operator.locator("#tried")).to_contain_text("Up")


def test_a_window_shows_only_the_fields_of_its_kind_and_previews_in_place(operator: Page) -> None:
    operator.goto("/health/maintenance/new")
    expect(operator.get_by_label("Cron expression", exact=True)).to_be_hidden()
    operator.get_by_text("By a cron expression").click()
    operator.get_by_label("Cron expression", exact=True).fill("30 2 * * sun")
    operator.get_by_label("Lasts (minutes)").fill("60")
    expect(operator.get_by_label("Begins at")).to_be_hidden()
    operator.get_by_text("Everything there is").click()
    operator.get_by_role("button", name="Preview").click()
    expect(operator.locator("#preview tbody tr")).to_have_count(5)
    assert operator.get_by_label("Cron expression", exact=True).input_value() == "30 2 * * sun"


def test_a_proposal_is_accepted_in_a_dialog(operator: Page, company: dict[str, Check]) -> None:
    operator.goto("/health/dependencies")
    rows = operator.locator("#proposed tbody tr")
    before = rows.count()
    rows.first.get_by_role("link", name="Accept").click()
    operator.get_by_role("dialog").get_by_role("button", name="Accept").click()
    expect(operator.locator("#proposed tbody tr")).to_have_count(before - 1)

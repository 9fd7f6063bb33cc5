"""The relationship map, what an error touched, and a chain without a trace, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from analytics.models import CorrelationChain, ErrorEvent, ErrorPattern
from analytics.models.partitions import ERRORS
from analytics.services.edge_chains import edge_chains_build
from analytics.services.pattern_relations import pattern_relations_find
from resilience_site.core import partitions
from resilience_site.core.choices import Role
from tests.analytics.figures.history import write_errors
from tests.analytics.relations.scene import call_between, fail, request_of
from tests.analytics.store.conftest import forget_all
from tests.analytics.store.telemetry import NOW
from tests.livesite import LiveSite
from tests.screens import PATIENCE, problems

pytestmark = pytest.mark.browser

# Type, service, state, and how many minutes after the first its spells begin.
SPREAD = [
    ("redis.exceptions.ConnectionError", "session-store", "ongoing", 0),
    ("SessionLost", "planner-mcp-server", "escalating", 1),
    ("ToolError", "agent", "new", 3),
    ("com.example.billing.InvoiceNotWrittenException", "billing", "regressed", 2),
]


@pytest.fixture
def viewer_page(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    forget_all()
    site.sign_in(context, Role.VIEWER)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    partitions.ensure(ERRORS, now - timedelta(days=1), now)
    for type_, service, state, late in SPREAD:
        pattern = ErrorPattern.objects.create(
            id=uuid4(), service=service, type=type_, template=f"{type_} at <*> after <*> ms",
            rule="type and frames", version=1, state=state, count=24,
            first_seen=now - timedelta(days=2), last_seen=now, last_error_id=uuid4(),
        )  # fmt: skip
        begins = [now - timedelta(hours=hours, minutes=-late) for hours in range(2, 20, 2)]
        write_errors(service, pattern.id, [(at, 3) for at in begins])
    pattern_relations_find(now=now)
    request_of("ada", "premium")
    request_of("bob", "free", fallback=True)
    call_between()
    fail("web", 0)
    fail("planner", 3)
    edge_chains_build(now=NOW + timedelta(minutes=2))
    return page


def test_its_screens_are_accessible_fit_a_phone_and_lead_on(viewer_page: Page) -> None:
    page = viewer_page
    error = ErrorEvent.objects.filter(service="planner").exclude(trace_id="").order_by("id")[0]
    chain = CorrelationChain.objects.get(kind="edge")
    for path in ("/relations", f"/errors/{error.id}", f"/chains/{chain.id}"):
        assert problems(page, path) == []
    page.goto(f"/errors/{error.id}")
    expect(page.locator("#impact-figures")).to_contain_text("calls of planner", timeout=PATIENCE)
    page.goto("/relations")
    page.locator("svg.map a").first.click()
    expect(page.locator("h1")).to_contain_text("ConnectionError", timeout=PATIENCE)

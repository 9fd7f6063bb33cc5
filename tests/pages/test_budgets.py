"""The overview says what is left of error budgets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from tests.analytics.slos.scenes import DAY, HOUR, calls, fleet, slo
from tests.analytics.store.conftest import store
from tests.pages.html import PARTIAL, text_of

__all__ = ["store"]
pytestmark = pytest.mark.usefixtures("store")


def told(viewer: Client) -> str:
    return text_of(viewer, "/?part=budgets", headers=PARTIAL)


def test_budgets_that_need_somebody_are_named_the_most_urgent_first(viewer: Client) -> None:
    objectives = fleet(datetime.now(UTC))
    page = told(viewer)
    places = [page.index(f"/slos/{objectives[name].id}") for name in ("burning", "exhausted")]
    assert places == sorted(places)
    assert "reports: 78.9 % of its error budget left</a>" in page
    assert "calendar: error budget gone, spent 20 times</a>" in page
    assert "mail: 69.2 % of its error budget left</a>" in page
    assert "too fast or are gone" in page
    assert f"/slos/{objectives['ok'].id}" not in page
    assert "; not enough data for 1 more objective<" in page


def test_in_calm_the_budget_with_the_least_left_is_named(viewer: Client) -> None:
    now = datetime.now(UTC)
    for service, failed in (("planner", 3), ("mail", 0)):
        calls(service, now - 5 * DAY, now - HOUR, lambda at, bad=failed: (9_000, bad), every=HOUR)  # type: ignore[misc]
        slo(service)
    page = told(viewer)
    assert "planner: 66.7 % of its error budget left</a>" in page
    assert "mail" not in page
    assert "2 error budgets, none in danger</a>, now</span>" in page


def test_what_cannot_be_told_yet_is_said(viewer: Client) -> None:
    slo("silent")
    page = told(viewer)
    assert "No error budget is known yet</a>, now; not enough data for 1 objective</span>" in page


def test_without_objectives_nothing_is_said(viewer: Client) -> None:
    assert "budget left" not in told(viewer)
    assert 'data-src="/?part=budgets"' in viewer.get("/").content.decode()

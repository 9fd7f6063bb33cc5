"""What failures touched: every figure with its denominator, and none made up."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.impact import Budget, dependents, first_of
from analytics.models import ErrorEvent
from analytics.selectors import impact as selectors
from resilience_site.config import config
from resilience_site.core.timerange import TimeRange
from tests.analytics.relations.scene import request_of
from tests.analytics.slos.scenes import slo
from tests.analytics.store.telemetry import NOW
from tests.health.availability.fleet import change, make_check

LATER = NOW + timedelta(minutes=1)
WITHIN = TimeRange(NOW - timedelta(hours=1), NOW + timedelta(minutes=1))


@pytest.fixture
def failures(store: None) -> list[str]:
    for _ in range(6):
        request_of(failed=False)
    return [
        request_of("ada", "premium"),
        request_of("ada", "premium"),
        request_of("bob", "free", fallback=True),
        request_of(),
    ]


def test_a_pattern_touches_its_requests_with_their_users_and_tiers(failures: list[str]) -> None:
    found = selectors.pattern_impact(pattern_of(failures[0]), WITHIN, LATER)
    assert (found.errors, found.requests, found.examined, found.approximate) == (4, 4, 4, False)
    assert (found.users, found.tiers) == (2, {"premium": 2, "free": 1})
    assert found.services == ["planner"]
    assert (found.calls, found.share_of_traffic) == (10, 0.4)
    assert found.served_degraded == 1
    assert found.blast_radius == ["web"]
    # Three requests failed for their users, of the 0.01 that 99.9 % of ten calls allow.
    assert (found.budget.failed, found.budget.calls) == (3, 10)
    assert found.budget.spent == pytest.approx(300)


def test_the_target_decides_how_much_budget_there_was(failures: list[str]) -> None:
    with config.override(resilience_availability_target=50.0):
        found = selectors.pattern_impact(pattern_of(failures[0]), WITHIN, LATER)
    assert found.budget.spent == pytest.approx(3 / 5)


def test_the_objective_of_the_service_goes_before_the_target(
    failures: list[str], viewer: Client
) -> None:
    row = slo("planner", objective=0.9, window_days=7)
    found = selectors.pattern_impact(pattern_of(failures[0]), WITHIN, LATER)
    assert (found.budget.slo_id, found.budget.days) == (row.id, 7)
    assert found.budget.spent == pytest.approx(3 / 1)
    text = viewer.get(f"/patterns/{pattern_of(failures[0]).id}/impact").content.decode()
    assert "3 times the budget: 3 of the 1 failures that 90 % allows of 10 calls" in text
    assert f'href="/slos/{row.id}"' in text


def test_an_objective_that_checks_measure_is_spent_by_what_was_down(failures: list[str]) -> None:
    check = make_check("pg", since=NOW - timedelta(days=2))
    change(check, "up", NOW - timedelta(days=2))
    change(check, "down", NOW - timedelta(minutes=70))
    change(check, "up", NOW - timedelta(minutes=48))
    row = slo("planner", source="checks", objective=0.9)
    budget = selectors.window_impact(WITHIN, LATER, "planner").budget
    assert (budget.unit, budget.slo_id) == ("seconds", row.id)
    # The twelve minutes of the 22 that lie within the hour.
    assert budget.failed == pytest.approx(12 * 60, abs=61)
    assert budget.spent is not None
    assert budget.spent == pytest.approx(budget.failed / (0.1 * budget.calls))


def test_an_error_touches_its_own_request(failures: list[str]) -> None:
    error = ErrorEvent.objects.get(trace_id=failures[0])
    found = selectors.error_impact(error, LATER)
    assert (found.requests, found.users, found.tiers) == (1, 1, {"premium": 1})


def test_a_window_touches_all_requests_of_a_service(failures: list[str]) -> None:
    assert selectors.window_impact(WITHIN, LATER, "planner").requests == 4
    nothing = selectors.window_impact(WITHIN, LATER, "nobody")
    assert (nothing.requests, nothing.users, nothing.share_of_traffic) == (0, None, None)
    assert nothing.budget.spent is None


def test_the_api_tells_the_impact_of_an_incidents_window(
    failures: list[str], admin_client: Client
) -> None:
    told = admin_client.get("/api/v1/impact?service=planner").json()
    assert (told["requests"], told["users"], told["blast_radius"]) == (4, 2, ["web"])
    assert admin_client.get("/api/v1/impact").status_code == 422
    assert admin_client.get("/api/v1/impact?service=planner&since=x").status_code == 422


def test_with_more_requests_than_are_looked_at_the_numbers_say_so(
    failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "MOST_REQUESTS", 2)
    found = selectors.pattern_impact(pattern_of(failures[0]), WITHIN, LATER)
    assert (found.requests, found.examined, found.approximate) == (4, 2, True)
    assert found.users is None or found.users <= 2


def test_the_api_gives_the_contracts_fields(failures: list[str], admin_client: Client) -> None:
    error = ErrorEvent.objects.get(trace_id=failures[0])
    for path in (f"errors/{error.id}", f"patterns/{error.pattern_id}"):
        told: dict[str, Any] = admin_client.get(f"/api/v1/{path}/impact").json()
        for name in (
            "requests",
            "users",
            "tiers",
            "services",
            "error_budget_spent",
            "blast_radius",
        ):
            assert name in told
        assert told["tiers"][0] == "premium"
    for unknown in (UUID(int=1), UUID(int=2**128 - 1)):
        assert admin_client.get(f"/api/v1/errors/{unknown}/impact").status_code == 404
        assert admin_client.get(f"/api/v1/errors/{unknown}").status_code == 404
    assert admin_client.get(f"/api/v1/patterns/{uuid4()}/impact").status_code == 404


def test_the_page_says_every_number_with_its_denominator(
    failures: list[str], admin_client: Client
) -> None:
    error = ErrorEvent.objects.get(trace_id=failures[0])
    text = admin_client.get(f"/patterns/{error.pattern_id}/impact").content.decode()
    for words in (
        "4 of 10 calls of planner (40 %)", "premium: 2 requests", "a fallback answered 1 of 4 requests",
        "300 times the budget: 3 of the 0.01 failures that 99.9 % allows of 10 calls in the last 30 days",
    ):  # fmt: skip
        assert words in text
    page = admin_client.get(f"/errors/{error.id}").content.decode()
    assert f'hx-get="/errors/{error.id}/impact"' in page
    part = admin_client.get(f"/errors/{error.id}/impact", headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()


def test_a_window_has_a_screen_with_every_figure_and_what_it_is_out_of(
    failures: list[str], viewer: Client
) -> None:
    since, until = (int(at.timestamp()) for at in (WITHIN.since, WITHIN.until))
    question = f"since={since}&until={until}"
    text = viewer.get(f"/impact?service=planner&{question}").content.decode()
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))
    for told in (
        "Requests that failed 4 4 errors in 1 h 1 min",
        "Share of traffic 40 % of 10 calls in 1 h 1 min",
        "Users 2 named by 4 requests",
        "Served degraded 25 % 1 of 4 requests",
        "Blast radius 1 service depends on planner",
        "Error budget spent 300 × of 0.01 failures, 30 d at 99.9 %",
        "premium: 2 requests",
    ):
        assert told in words
    assert '<a class="break" href="/services/web">web</a>' in text
    assert f'href="/errors?since={since}&amp;until={until}&amp;service=planner"' in text
    # Without a service there are those to choose from.
    text = viewer.get(f"/impact?{question}").content.decode()
    assert f'href="/impact?since={since}&amp;until={until}&amp;service=planner"' in text
    assert '100 % <span class="muted">of 4</span>' in text


def test_the_screen_of_a_window_without_errors_makes_up_no_figure(
    failures: list[str], viewer: Client
) -> None:
    text = viewer.get("/impact?service=nobody").content.decode()
    assert "Nothing was touched" in text
    assert "not enough data to say that all was well" in text
    assert "Error budget spent" not in text
    assert "Nothing was touched" in viewer.get("/impact?since=3d&until=2d").content.decode()
    assert viewer.get("/impact?since=soon").status_code == 400


@pytest.mark.parametrize("path", ["/root-cause", "/what-changed", "/errors"])
def test_its_neighbours_lead_to_the_impact_of_the_same_time(
    failures: list[str], viewer: Client, path: str
) -> None:
    text = viewer.get(f"{path}?since=2h").content.decode()
    assert 'href="/impact?since=2h"' in text
    if path != "/root-cause":
        text = viewer.get(f"{path}?since=2h&service=planner").content.decode()
        assert 'href="/impact?since=2h&amp;service=planner"' in text


def pattern_of(trace: str) -> Any:
    from analytics.selectors.patterns import pattern_get

    pattern_id = ErrorEvent.objects.get(trace_id=trace).pattern_id
    assert pattern_id is not None
    return pattern_get(pattern_id)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=40), st.integers(0, 8))
def test_dependents_are_those_from_which_calls_lead_there(
    edges: list[tuple[int, int]], origin: int
) -> None:
    named = [(str(a), str(b)) for a, b in edges]
    found = dependents(named, [str(origin)])
    assert str(origin) not in found
    within = found | {str(origin)}
    assert all(caller in within for caller, callee in named if callee in within)
    assert all(any(a == each and b in within for a, b in named) for each in found)


def test_a_budget_without_calls_is_none_and_not_nought() -> None:
    assert Budget("s", 30, 0.999, 0, 5).spent is None
    assert Budget("s", 30, 0.999, 10_000, 5).spent == pytest.approx(0.5)


def test_the_first_name_that_says_something_counts() -> None:
    assert first_of({"a": "", "b": ["x"], "c": "y"}, ("a", "b", "c")) == "x"
    assert first_of({"a": 7}, ("a",)) == "7"
    assert first_of({}, ("a",)) == ""

"""What the path and the page of root causes answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from analytics.selectors import cause_windows
from analytics.tasks import chains_refresh
from resilience_site.core import journal, keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from tests.analytics.causes import scenes
from tests.pages.html import text_of
from tests.queries import pinned, queries_of

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def ask() -> Callable[..., Any]:
    """GET with a key that may read."""
    _, token = keys.key_create(name="reader", scope=Scope.READ, actor=Actor.system("test"))
    client = Client(headers={"Authorization": f"Bearer {token}"})

    def get(status: int = 200, **query: str) -> Any:
        answer = client.get("/api/v1/root-cause", query)
        assert answer.status_code == status, answer.content
        return answer.json()

    return get


def kinds(item: dict[str, Any]) -> set[str]:
    return {evidence["kind"] for evidence in item["evidence"]}


def test_the_service_that_failed_leads_with_evidence_in_words_and_links(
    ask: Callable[..., Any], now: datetime
) -> None:
    scenes.trouble(now)
    chains_refresh()
    answer = ask(since="10m")
    first = answer["items"][0]
    assert first["service"] == "stock"
    assert {"restart", "errors", "stored_errors"} <= kinds(first)
    for evidence in first["evidence"]:
        assert evidence.keys() >= {"kind", "text", "value", "normal", "link"}
        assert evidence["link"].startswith("/")
    failed = next(each for each in first["evidence"] if each["kind"] == "errors")
    assert "10 of 10 calls" in failed["text"]
    assert failed["link"].startswith("/chains/")
    assert (answer["traces"], answer["baseline_traces"]) == (10, 60)
    assert answer["folded"] == ""
    assert answer["missing"] == ["Not enough data: no logs of the incident."]


def test_a_release_explains_what_its_callers_show(ask: Callable[..., Any], now: datetime) -> None:
    scenes.trouble(now)
    scenes.release("stock", now)
    first = ask(since="10m")["items"][0]
    assert first["service"] == "stock"
    [found] = [each for each in first["evidence"] if each["kind"] == "release"]
    assert "version 2.0 was first seen at" in found["text"]


def test_what_people_and_checks_changed_is_evidence(ask: Callable[..., Any], now: datetime) -> None:
    scenes.trouble(now)
    check = {"check": {"name": "stock table"}}
    entries = [
        journal.Entry("health", "failure_confirmed", "1", "down", "stock", check),
        journal.Entry("breakers", "breaker.transition", "2", "open", "orders", {"name": "stock"}),
        journal.Entry("breakers", "breaker.transition", "2", "closed", "web", {"name": "orders"}),
        journal.Entry("breakers", "override.set", "3", "", "stock", {"name": "db", "reason": "test"}),
        journal.Entry("bulkheads", "policy.changed", "stock", "", "stock", {"name": "pool"}),
    ]  # fmt: skip
    with transaction.atomic():
        journal.append(entries)
    by_service = {item["service"]: item for item in ask(since="10m")["items"]}
    assert {"health", "config"} <= kinds(by_service["stock"])
    assert "breaker" in kinds(by_service["orders"])
    assert "breaker" not in kinds(by_service.get("web", {"evidence": []}))
    texts = [evidence["text"] for evidence in by_service["stock"]["evidence"]]
    assert any('breaker db was overridden ("test") at' in text for text in texts)
    assert any("bulkhead pool got other limits at" in text for text in texts)


def test_a_silent_service_is_blamed_where_its_caller_opened_the_breaker_named_after_it(
    ask: Callable[..., Any], now: datetime
) -> None:
    scenes.graph_refuses(now)
    before = ask(since="10m")["items"]
    assert before[0]["service"] == "planner"
    opened = {"name": "microsoft_graph", "reason": "failure_threshold"}
    with transaction.atomic():
        journal.append(
            [journal.Entry("breakers", "breaker.transition", "2", "open", "planner", opened)]
        )
    first, second = ask(since="10m")["items"][:2]
    assert (first["service"], second["service"]) == ("microsoft-graph", "planner")
    [found] = first["evidence"]
    assert found["kind"] == "callers_breaker"
    assert "microsoft_graph opened (too many failures in a row) in planner at" in found["text"]
    assert found["link"] == "/breakers?service=planner"
    assert "breaker" not in kinds(second)


def test_an_empty_store_is_not_enough_data(ask: Callable[..., Any]) -> None:
    answer = ask()
    assert answer["items"] == []
    assert "Not enough data: no traces of the incident." in answer["missing"]


def test_another_normal_time_is_taken_as_asked(ask: Callable[..., Any], now: datetime) -> None:
    scenes.trouble(now)
    answer = ask(since="10m", baseline_since="30m", baseline_until="15m")
    assert answer["baseline_traces"] == 15
    assert answer["items"][0]["service"] == "stock"
    ask(422, since="yesterday")
    ask(422, since="8d")
    ask(422, baseline_since="10m", baseline_until="20m")


def test_a_bounded_number_of_traces_is_read_and_that_is_said(
    ask: Callable[..., Any], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cause_windows, "MOST_TRACES", 20)
    scenes.trouble(now)
    answer = ask(since="10m")
    assert (answer["traces"], answer["baseline_traces"]) == (10, 20)
    assert "taken evenly" in answer["folded"]
    assert answer["items"][0]["service"] == "stock"


def test_the_page_ranks_in_words(viewer: Client, now: datetime) -> None:
    scenes.trouble(now)
    text = text_of(viewer, "/root-cause?since=10m")
    assert "10 of 10 calls of" in text
    assert text.index("/services/stock") < text.index("What was compared")
    assert "60 traces read" in text


def test_an_empty_page_teaches(viewer: Client, now: datetime) -> None:
    assert "Nothing has been received yet" in text_of(viewer, "/root-cause")
    scenes.trouble(now)
    assert "Nothing stands out" in text_of(viewer, "/root-cause?since=3d&until=2d")
    assert viewer.get("/root-cause?since=yesterday").status_code == 400


def test_the_page_takes_its_pinned_number_of_queries_whatever_it_shows(
    viewer: Client, now: datetime
) -> None:
    lines = pinned(__file__)
    scenes.trouble(now)
    assert {line: queries_of(viewer, line) for line in lines} == lines

"""What the path and the page of predictions answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from analytics.choices import FailureKind
from analytics.models import Prediction
from health.models import Service
from resilience_site.config import config
from resilience_site.core import keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from tests.analytics.predictions import scenes
from tests.pages.html import PARTIAL, text_of
from tests.queries import pinned, queries_of

pytestmark = pytest.mark.django_db

FIELDS = {
    "id", "service", "kind", "probability", "confidence", "horizon_seconds", "made_at", "due_at",
    "reasons", "method", "outcome", "settled_at", "failed_at", "lead_seconds",
}  # fmt: skip


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def ask() -> Callable[..., Any]:
    """GET with a key that may read."""
    _, token = keys.key_create(name="reader", scope=Scope.READ, actor=Actor.system("test"))
    client = Client(headers={"Authorization": f"Bearer {token}"})

    def get(status: int = 200, **query: str) -> Any:
        answer = client.get("/api/v1/predictions", query)
        assert answer.status_code == status, answer.content
        return answer.json()

    return get


def test_predictions_have_the_fields_of_the_contract_newest_first(
    ask: Callable[..., Any], now: datetime
) -> None:
    scenes.weeks(now)
    items = ask()["items"]
    assert all(set(item) == FIELDS for item in items)
    assert [item["made_at"] for item in items] == sorted(
        (item["made_at"] for item in items), reverse=True
    )
    newest = items[0]
    assert (newest["service"], newest["kind"], newest["outcome"], newest["horizon_seconds"]) == (
        "planner-mcp-server", "breaker_open", "pending", 1800,
    )  # fmt: skip
    assert newest["reasons"] == scenes.REASONS
    assert newest["made_at"].endswith("Z")


def test_predictions_are_narrowed_and_paged(ask: Callable[..., Any], now: datetime) -> None:
    scenes.weeks(now)
    assert len(ask(since="30d")["items"]) == Prediction.objects.count() == 26
    assert len(ask()["items"]) == 2 + 6
    assert [each["service"] for each in ask(kind="slo_breach")["items"]] == ["mail"]
    assert len(ask(outcome="miss", since="30d")["items"]) == 6
    assert ask(service="nobody")["items"] == []
    first = ask(limit="3")
    second = ask(limit="3", cursor=first["next_cursor"])
    assert len({each["id"] for each in first["items"] + second["items"]}) == 6
    ask(422, kind="earthquake")
    ask(400, cursor="nonsense")


def test_the_page_says_what_is_foretold_why_and_how_often_that_came_true(
    viewer: Client, now: datetime
) -> None:
    scenes.weeks(now)
    text = text_of(viewer, "/predictions")
    assert "60 %" in text
    assert "hardly tried yet" in text
    assert scenes.REASONS[0] in text
    assert "data-countdown" in text
    assert '75 % <span class="muted">(18/24, last 28 d)' in text
    assert "A model of this site&#x27;s history" in text or "A model of this site's history" in text
    assert "The model is better: F1 0.81" in text
    assert "needs 5 settled predictions, has 0" in text
    assert "The rules stay: a model needs 20 failures to learn from, has 0." in text
    # Misses of breakers over the days for which both services were watched.
    assert "(6 in 40 service-days)" in text
    only = text_of(viewer, "/predictions?outcome=miss&kind=breaker_open", headers=PARTIAL)
    assert only.count('id="a-') == 6


def test_the_report_counts_one_prediction_as_one(viewer: Client, now: datetime) -> None:
    scenes.prediction("planner", FailureKind.BREAKER_OPEN, now - timedelta(minutes=4))
    assert "1 failure predicted, 0 of 0 settled" in text_of(viewer, "/report?since=1h")


def test_false_alarms_of_the_first_hours_are_not_enough_data(viewer: Client, now: datetime) -> None:
    Service.objects.create(name="young", first_seen=now - timedelta(hours=6), last_seen=now)
    text = text_of(viewer, "/predictions")
    assert "needs a service-day, has 0.25" in text
    assert "0.000" not in text


def test_an_empty_page_teaches_and_a_switched_off_one_says_so(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No failure is foretold" in text_of(viewer, "/predictions")
    assert "Nothing was foretold so far" in text_of(viewer, "/predictions")
    monkeypatch.setattr(config, "predictive_failure_detection", False)
    assert "Failures are not predicted" in text_of(viewer, "/predictions")


def test_the_page_takes_its_pinned_number_of_queries_whatever_it_shows(
    viewer: Client, now: datetime
) -> None:
    lines = pinned(__file__)
    assert {line: queries_of(viewer, line) for line in lines} == lines
    scenes.weeks(now)
    assert {line: queries_of(viewer, line) for line in lines} == lines

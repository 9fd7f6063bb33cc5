"""Error analytics as its users meet it: figures that agree wherever they are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from analytics.services.call_hours import call_hours_sum
from tests.analytics.store.conftest import store
from tests.pages import scenes

__all__ = ["store"]
pytestmark = pytest.mark.usefixtures("store")

NOW = datetime.now(UTC)
HOURS = 3


@pytest.fixture
def eventful(store: None) -> None:
    """Three hours of tool calls, of which some fail."""
    for hour in range(HOURS):
        at = NOW - timedelta(hours=hour)
        calls = scenes.hour(at, calls_a_minute=1, seed=hour)
        scenes.store(list(calls), NOW)


def rows(sql: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def report(client: Client, since: datetime, until: datetime) -> dict[str, Any]:
    answer = client.get("/api/v1/report", {"since": since.isoformat(), "until": until.isoformat()})
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.usefixtures("eventful")
@pytest.mark.parametrize("summed", [False, True], ids=["minutes", "hours"])
def test_the_report_says_what_the_stored_errors_say(viewer: Client, summed: bool) -> None:
    if summed:
        call_hours_sum(now=NOW)
    found = report(viewer, NOW - timedelta(hours=2, minutes=20), NOW)
    within = (found["since"], found["until"])
    total, types, services = rows(
        "SELECT count(*), count(DISTINCT type), count(DISTINCT service) FROM analytics_errorevent "
        "WHERE occurred_at >= %s AND occurred_at < %s",
        *within,
    )[0]
    assert found["errors"] == total > 20
    by_service = rows(
        "SELECT service, count(*) FROM analytics_errorevent WHERE occurred_at >= %s "
        "AND occurred_at < %s GROUP BY service",
        *within,
    )
    assert {s["service"]: s["errors"] for s in found["services"] if s["errors"]} == dict(by_service)
    assert len(by_service) == services
    by_type = rows(
        "SELECT type, count(*) FROM analytics_errorevent WHERE occurred_at >= %s "
        "AND occurred_at < %s GROUP BY type",
        *within,
    )
    assert {t["type"]: t["errors"] for t in found["types"]} == dict(by_type)
    assert len(by_type) == types
    by_pattern = rows(
        "SELECT pattern_id::text, count(*) FROM analytics_errorevent WHERE occurred_at >= %s "
        "AND occurred_at < %s GROUP BY pattern_id",
        *within,
    )
    assert {p["id"]: p["errors"] for p in found["top_patterns"]} == dict(by_pattern)
    entries = rows(
        "SELECT count(*), count(*) FILTER (WHERE status = 2) FROM analytics_span "
        "WHERE (kind IN (2, 5) OR parent_span_id = '') AND started_at >= %s AND started_at < %s",
        *within,
    )[0]
    assert (found["calls"], found["failed_calls"]) == entries
    [before] = rows(
        "SELECT count(*) FROM analytics_errorevent WHERE occurred_at >= %s AND occurred_at < %s",
        found["before_since"],
        found["since"],
    )[0]
    assert found["errors_before"] == before


@pytest.mark.usefixtures("eventful")
def test_the_page_and_the_document_of_a_report_have_equal_figures(viewer: Client) -> None:
    since, until = NOW - timedelta(hours=2), NOW
    found = report(viewer, since, until)
    page = viewer.get("/report", {"since": since.isoformat(), "until": until.isoformat()})
    text = page.content.decode()
    assert page.status_code == 200
    for line in found["services"]:
        row = re.search(rf'href="/services/{line["service"]}">.*?</tr>', text, re.DOTALL)
        assert row
        assert f'data-label="Errors" class="num">{line["errors"]}<' in row.group()
    for pattern in found["top_patterns"]:
        row = re.search(rf'href="/patterns/{pattern["id"]}">.*?</tr>', text, re.DOTALL)
        assert row
        assert f'data-label="Errors" class="num">{pattern["errors"]}<' in row.group()
    assert f'<div class="stat-value" data-tone="bad">{found["errors"]}</div>' in re.sub(
        r"\s*\n\s*", "", text
    )


def test_a_report_of_nothing_says_so(viewer: Client) -> None:
    found = report(viewer, NOW - timedelta(days=3), NOW - timedelta(days=2))
    assert (found["errors"], found["services"], found["causes"]) == (0, [], [])
    page = viewer.get("/report?since=72h&until=48h").content.decode()
    assert "Nothing has been received yet" in page


def test_a_report_of_an_impossible_range_is_refused_with_the_reason(viewer: Client) -> None:
    answer = viewer.get("/api/v1/report?since=now&until=2h")
    assert answer.status_code == 422
    assert "must lie before until" in answer.json()["detail"]

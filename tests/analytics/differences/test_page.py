"""The page of what changed: ranked sets, releases of the window, and what is said without them."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client

from analytics.models import Release
from tests.analytics.differences.test_store import BEFORE, MINUTE, NOW, WITHIN, one_in_twenty, send
from tests.pages.html import text_of
from tests.queries import queries_of

pytestmark = pytest.mark.usefixtures("store")


def page(viewer: Client, **query: str) -> str:
    named = {"since": WITHIN.since.isoformat(), "until": WITHIN.until.isoformat(), **query}
    words = re.sub(r"<[^>]*>", " ", text_of(viewer, f"/what-changed?{urlencode(named)}"))
    return re.sub(r"\s+", " ", words)


def test_sets_are_ranked_with_counts_and_links_to_examples(viewer: Client) -> None:
    send(BEFORE.since, one_in_twenty)
    send(WITHIN.since, lambda name, number: name == "planner/eu" or number % 20 == 0)
    Release.objects.create(
        service="planner",
        environment="test",
        version="2.4",
        first_seen=NOW - 30 * MINUTE,
        last_seen=NOW,
    )
    text = page(viewer)
    assert "69 failures of 240 calls (28.8 %)" in text
    assert "region eu" in text
    assert "60 of 69" in text
    assert "3 of 12" in text
    assert "less than 1 in a million" in text
    assert "planner 2.4" in text
    assert "the first version seen" in text
    assert "says how a call ended" in text


def test_a_quiet_window_says_what_is_missing(viewer: Client) -> None:
    assert "No service is connected yet" in page(viewer)
    send(WITHIN.since, lambda name, number: number == 0)
    text = page(viewer)
    assert "needs 5 failures in the window, has 4" in text
    assert "No new version in this window" in text


def test_errors_beside_which_there_are_no_others_say_that_nothing_can_be_compared(
    viewer: Client,
) -> None:
    send(WITHIN.since, lambda name, number: name == "planner/eu", types=True)
    text = page(viewer, type="euError")
    assert "Nothing to compare with" in text
    assert "All 60 errors of both ranges are the failures in question" in text


def test_a_service_that_fails_as_always_is_no_change(viewer: Client) -> None:
    for since in (BEFORE.since, WITHIN.since):
        send(since, lambda name, number: name.startswith("planner") and number % 2 == 0)
    text = page(viewer)
    assert "60 failures of 240 calls (25 %)" in text
    assert "Nothing stands out" in text
    assert "(empty)" not in text


def test_failures_that_are_as_before_say_that_nothing_stands_out(viewer: Client) -> None:
    send(BEFORE.since, one_in_twenty)
    send(WITHIN.since, one_in_twenty)
    assert "Nothing stands out" in page(viewer)


@pytest.mark.parametrize(
    "query", [{"pattern": "x"}, {"baseline_since": "soon"}, {"since": "1h", "until": "2h"}]
)
def test_a_question_that_cannot_be_read_is_answered_in_a_sentence(
    viewer: Client, query: dict[str, str]
) -> None:
    assert viewer.get("/what-changed", query).status_code in (400, 422)


def test_the_page_takes_few_queries_however_many_rows_there_are(viewer: Client) -> None:
    send(BEFORE.since, one_in_twenty)
    send(WITHIN.since, lambda name, number: name == "planner/eu" or number % 20 == 0)
    for number in range(4):
        Release.objects.create(
            service="planner",
            environment="test",
            version=f"2.{number}",
            first_seen=NOW - timedelta(minutes=20 - number),
            last_seen=NOW,
        )
    query = f"?since={int(WITHIN.since.timestamp())}&until={int(WITHIN.until.timestamp())}"
    assert queries_of(viewer, "/what-changed" + query) <= 15

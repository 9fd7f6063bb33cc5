"""The screens of retries, fallbacks and bulkheads as HTML."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape

import pytest
from django.test import Client

from breakers.domain.words import (
    BREACHES,
    CLASSIFICATIONS,
    MITIGATIONS,
    RETRY_OUTCOMES,
    source_words,
    word,
)
from breakers.runtime.breaches import MITIGATIONS as KNOWN_BREACHES
from breakers.runtime.failure_codes import Classification
from tests.breakers.steering import scenes
from tests.pages.html import PARTIAL, text_of

SCREENS = ["/retries", "/fallbacks", "/bulkheads"]
SNIPPETS = [*SCREENS, "/toggles", "/degraded"]


@pytest.mark.usefixtures("busy_fleet")
def test_retries_say_what_they_rest_on(viewer: Client) -> None:
    text = text_of(viewer, "/retries?since=2h")
    for expected in (
        "84/107, last 2 h", "9/107, last 2 h", "264 attempts for 236 calls, last 60 s",
        "1.12×", "<dt>14</dt><dd>out of attempts</dd>", "<dt>149</dt><dd>rate limited</dd>",
        "2 instances, 1 silent", "waited 500 ms each",
    ):  # fmt: skip
        assert expected in text, expected


@pytest.mark.usefixtures("fleet")
def test_amplification_above_the_budget_is_marked(viewer: Client, now: datetime) -> None:
    scenes.budget("planner-1", now, 100, 35, 0)
    text = text_of(viewer, "/retries")
    assert '<span class="badge" data-tone="warn">' in text
    assert "1.35×" in text


@pytest.mark.usefixtures("busy_fleet")
def test_fallbacks_say_what_they_rest_on(viewer: Client) -> None:
    text = text_of(viewer, "/fallbacks?since=2h")
    for expected in (
        "99/3,536, last 2 h", "<dt>81</dt><dd>cache, stale</dd>",
        "<dt>18</dt><dd>tasks_of_yesterday</dd>", "4 min", "15 min", "81 answers of known age",
    ):  # fmt: skip
        assert expected in text, expected


@pytest.mark.usefixtures("busy_fleet")
def test_bulkheads_say_how_full_they_are_and_what_was_done(viewer: Client) -> None:
    text = text_of(viewer, "/bulkheads?since=2h")
    for expected in (
        "13 of 24 slots, 2 instances, now", "13 of 20", "<dt>36</dt><dd>free</dd>",
        "<dt>9</dt><dd>no slot in time</dd>", "2 live, 1 silent", "silent, last heard",
        "A call kept its slot too long", "Took the slot back", "Let half of the waiting calls go",
    ):  # fmt: skip
        assert expected in text, expected


@pytest.mark.usefixtures("busy_fleet")
@pytest.mark.parametrize("path", SCREENS)
def test_a_service_narrows_the_page_and_what_it_listens_to(viewer: Client, path: str) -> None:
    topic = path.removeprefix("/")
    text = text_of(viewer, f"{path}?service={scenes.PLANNER}&since=2h")
    assert f'data-live="{topic}:{scenes.PLANNER}"' in text
    assert "remove filter" in text
    assert 'class="tiles"' in text
    other = text_of(viewer, f"{path}?service={scenes.AGENT}&since=2h")
    assert "Take the filter away" in other
    assert 'class="tiles"' not in other


@pytest.mark.usefixtures("busy_fleet")
@pytest.mark.parametrize("path", SCREENS)
def test_an_open_page_pulls_its_body_alone(viewer: Client, path: str) -> None:
    body = text_of(viewer, f"{path}?since=2h", headers=PARTIAL)
    assert body.startswith(f'<div class="stack" id="{path[1:]}-body" data-live="{path[1:]}"')
    assert f'data-src="{path}?since=2h"' in body


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("path", SCREENS)
def test_an_impossible_range_is_explained(viewer: Client, path: str) -> None:
    assert "is not a time" in text_of(viewer, f"{path}?since=yesterday", 400)


@pytest.mark.usefixtures("empty_site")
@pytest.mark.parametrize("path", SNIPPETS)
def test_an_empty_screen_teaches_code_that_runs(viewer: Client, path: str) -> None:
    html = viewer.get(path).text
    [code] = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", html, re.S)
    code = unescape(code)
    compile(code, path, "exec")
    assert 'resilience.connect("http://testserver"' in code
    assert "Waiting for the first" in html


def test_the_doors_that_the_snippets_name_are_there() -> None:
    import breakers.runtime as resilience

    runtime = resilience.default()
    assert callable(runtime.toggles.is_on)
    assert callable(runtime.degradation.feature)
    assert runtime.bulkhead("critical_operations").limit > 0


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("path", SCREENS)
def test_a_calm_screen_does_not_ask_to_connect(viewer: Client, path: str) -> None:
    assert "resilience.connect" not in text_of(viewer, path) or path == "/bulkheads"


def test_every_code_of_the_library_has_words() -> None:
    assert set(KNOWN_BREACHES) == set(BREACHES)
    assert set(KNOWN_BREACHES.values()) <= set(MITIGATIONS)
    assert {each.value for each in Classification} == set(CLASSIFICATIONS)
    assert word(RETRY_OUTCOMES, "budget_exhausted") == "no retry budget left"


def test_codes_of_others_keep_their_own_words() -> None:
    assert word(BREACHES, "disk_full") == "disk full"
    assert word(BREACHES, "") == "not stated"
    assert source_words("fallback:") == "a function"
    assert source_words("replica:eu") == "replica:eu"

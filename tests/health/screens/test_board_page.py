"""The page of all checks: what it says, in which order, by which filters."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.test import Client

from health.models import Check, CheckStatus
from resilience_site.core.pagination import encode_cursor
from tests.health.screens import scenes
from tests.pages.html import PARTIAL, text_of


def listed(text: str) -> list[str]:
    """The names of the listed checks, in their order."""
    rows = text.partition('id="check-rows"')[2]
    return [part.partition(">")[2].partition("<")[0] for part in rows.split("data-row")[1:]]


@pytest.mark.usefixtures("empty_site")
def test_an_empty_site_teaches_how_to_create_the_first_check(viewer: Client) -> None:
    text = text_of(viewer, "/health")
    assert "Nothing is checked yet" in text
    assert "curl -X POST http://testserver/api/v1/health/checks" in text
    assert "token of the key <b>configured operate key</b>" in text
    assert "health_apply checks.yaml" in text
    assert "Waiting for the first check" in text
    assert '<form class="filters"' not in text


@pytest.mark.usefixtures("incident")
def test_the_first_sentence_names_the_culprit_and_counts_the_rest(viewer: Client) -> None:
    text = text_of(viewer, "/health")
    assert '<span role="status">postgres-main is down</span>' in text
    assert "7 of 15 up; 3 unreachable because of what they need; 2 degraded" in text
    assert "1 unknown; 1 in maintenance; 1 paused" in text
    assert '<a href="/health?state=unreachable#health-list">' in text
    assert "<span>3 of 16</span>" in text


@pytest.mark.usefixtures("incident")
def test_figures_say_their_window_their_denominator_and_the_target(viewer: Client) -> None:
    text = text_of(viewer, "/health?part=head", headers=PARTIAL)
    for window in ("24 h", "7 d", "30 d", "90 d"):
        assert f"Available, last {window}" in text
    assert "unavailable; target 99.900 % missed" in text
    assert "Error budget left, last 30 d" in text
    assert "mean of 4 outages repaired, last 30 d" in text
    assert "good, 5 outages, last 30 d" in text
    assert "of 100, over 6 services by criticality" in text
    assert "platform scores" in text


@pytest.mark.usefixtures("incident")
def test_checks_are_listed_by_trouble_then_criticality_then_name(viewer: Client) -> None:
    assert listed(text_of(viewer, "/health")) == [
        "postgres-main",
        "planning-agent", "planner-mcp", "planner-queue",
        "disk-data", "portal-home",
        "sync-worker",
        "nightly-export",
        "agent-memory", "egress-network", "valkey-cache",
        "graph-api", "graph-token", "portal-certificate", "mail-relay",
        "legacy-import",
    ]  # fmt: skip


@pytest.mark.usefixtures("incident")
@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("service=planner-mcp-server", ["planner-mcp", "planner-queue"]),
        ("kind=smtp", ["mail-relay"]),
        ("state=paused", ["legacy-import"]),
        ("state=degraded&service=platform", ["disk-data"]),
        ("q=PORTAL", ["portal-home", "portal-certificate"]),
    ],
)
def test_filters_stand_in_the_address(viewer: Client, question: str, found: list[str]) -> None:
    text = text_of(viewer, f"/health?{question}")
    assert listed(text) == found
    assert "remove filter" in text
    # The live part pulls itself with the same question.
    assert f"{question.replace('&', '&amp;').split('&amp;')[0]}" in text.partition("health-list")[2]


@pytest.mark.usefixtures("incident")
def test_a_state_that_is_none_is_explained(viewer: Client) -> None:
    assert "The state is one of down, unreachable" in text_of(viewer, "/health?state=odd", 400)
    assert "start again without it" in text_of(viewer, "/health?cursor=odd", 400)
    assert "No check fits these filters" in text_of(viewer, "/health?q=nothing-like-it")


def test_each_row_says_who_is_to_blame(viewer: Client, incident: dict[str, Check]) -> None:
    text = text_of(viewer, "/health?part=list", headers=PARTIAL)
    row = text.partition(f'id="c-{incident["planner-mcp"].id}"')[2].partition("</tr>")[0]
    assert f'href="/health/checks/{incident["postgres-main"].id}">postgres-main</a>' in row
    assert "Unreachable" in row
    assert "Availability, last 24 h: 9" in row
    assert "<html" not in text


@pytest.mark.usefixtures("incident")
def test_the_graph_and_its_table_say_the_same(viewer: Client) -> None:
    text = text_of(viewer, "/health?part=graph", headers=PARTIAL)
    assert text.count('class="edge soft') == 3 + 1  # and the legend's
    assert text.count("<title>") == len(scenes.EDGES)
    assert "postgres-main of platform, Down, explains the failure of others" in text
    assert "Down, the culprit" in text
    assert text.partition("graph-twin")[2].count('data-label="Edge"') == len(scenes.EDGES)
    # Checks without edges are no part of it.
    assert "legacy-import" not in text


def test_names_are_escaped_everywhere(viewer: Client, empty_site: None, now: datetime) -> None:
    evil = '<script>alert("x")</script>'
    checks = scenes.store(
        [
            scenes.Sketch(evil, "http", "platform", "down", output="</title><b>out</b>"),
            scenes.Sketch("child", "http", "platform", "unreachable", own="down", culprit=evil),
        ],
        [("child", evil, True)],
        now,
    )
    for path in ("/health", f"/health/checks/{checks[evil].id}", "/", "/services/platform"):
        text = text_of(viewer, path)
        assert "<script>alert" not in text, path
        assert "<b>out" not in text, path
        assert "&lt;script&gt;alert" in text, path


@pytest.mark.usefixtures("empty_site")
def test_a_long_list_goes_on_behind_the_last_row(viewer: Client, now: datetime) -> None:
    scenes.fleet(55, now)
    first = text_of(viewer, "/health")
    assert len(listed(first)) == 50
    last = Check.objects.get(name="check-049")
    cursor = encode_cursor([5, 1, last.name])
    rest = text_of(viewer, f"/health?cursor={cursor}")
    assert listed(rest) == [f"check-0{number}" for number in range(50, 55)]
    assert "First" in rest


@pytest.mark.usefixtures("empty_site")
def test_without_trouble_it_says_so(viewer: Client, now: datetime) -> None:
    scenes.fleet(2, now)
    text = text_of(viewer, "/health")
    assert "All checks pass" in text
    CheckStatus.objects.update(state="unknown", own_state="unknown")
    assert "Nothing is known yet" in text_of(viewer, "/health")


@pytest.mark.usefixtures("incident")
def test_the_overview_begins_with_what_is_down_and_the_service_lists_its_checks(
    viewer: Client,
) -> None:
    overview = text_of(viewer, "/?part=head", headers=PARTIAL)
    assert "postgres-main is down" in overview
    assert '<a href="/health">7 of 16 checks up</a>' in overview
    service = text_of(viewer, "/services/platform?part=checks", headers=PARTIAL)
    assert [name in service for name in ("postgres-main", "valkey-cache", "portal-home")] == [
        True, True, False,
    ]  # fmt: skip

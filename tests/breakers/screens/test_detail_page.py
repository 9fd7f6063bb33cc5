"""The page of one breaker, and what the pages of the site add to it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from breakers.models import Breaker, BreakerTransition, Instance, OutcomeBatch
from breakers.models import partitions as tables
from resilience_site.core import partitions
from tests.breakers import scenes
from tests.breakers.scenes import Scene
from tests.pages.html import PARTIAL, text_of

pytestmark = pytest.mark.django_db


def test_it_says_what_it_does_and_why(viewer: Client, incident: list[Scene]) -> None:
    html = text_of(viewer, f"/breakers/{incident[0].key}")
    assert (
        '<span role="status">It rejects calls in 2 of 3 instances</span>, and probes <time' in html
    )
    assert "reason: too large a share of failures" in html
    why = html.partition('id="why"')[2].partition("</section>")[0]
    assert "Why it is open" in why
    assert "50 % or more of the last 100 calls fail, from 10 calls on" in why
    assert "Too large a share of failures: 62 % failed of 100 calls in the window" in why
    assert "After 30 s 3 calls are let through as probes" in why
    assert "Open 2, closed 1" in why


def test_a_closed_one_says_what_would_open_it(viewer: Client, graph: Scene) -> None:
    html = text_of(viewer, f"/breakers/{graph.key}")
    assert "What opens it" in html
    assert "It lets calls pass" in html
    assert "Next probe" not in html


def test_a_silent_one_does_not_pretend_to_know(viewer: Client) -> None:
    scene = Scene(*scenes.GRAPH, ("open",), age=timedelta(minutes=3))
    scenes.store([scene], datetime.now(UTC))
    html = text_of(viewer, f"/breakers/{scene.key}")
    assert "Nothing has been heard of it" in html
    assert "its state was open when its last instance fell silent" in html


def test_instances_show_what_they_applied(viewer: Client, graph: Scene) -> None:
    Instance.objects.filter(instance="planner-mcp-server-2").update(applied_version=3, restarts=2)
    Instance.objects.filter(instance="planner-mcp-server-3").update(applied_version=None)
    html = text_of(viewer, f"/breakers/{graph.key}")
    assert "version 4 applied on 1 of 3 instances" in html
    for text in ("version 4 applied", "version 3, not yet 4", "never asked for it"):
        assert f'data-label="Control document">{text}' in html
    gone = datetime.now(UTC) - timedelta(minutes=2)
    for model in (Breaker, Instance):
        model.objects.filter(instance="planner-mcp-server-3").update(last_seen=gone)
    html = text_of(viewer, f"/breakers/{graph.key}")
    assert "version 4 applied on 1 of 2 instances, 1 silent" in html
    assert "Silent</span>" in html


def test_transitions_are_listed_page_by_page_with_their_place(viewer: Client, graph: Scene) -> None:
    now = datetime.now(UTC)
    rows = [
        scenes.transition(graph, now - timedelta(seconds=20 * n), "closed", "open", rate=None)
        for n in range(15)
    ]
    BreakerTransition.objects.bulk_create(rows)
    html = text_of(viewer, f"/breakers/{graph.key}")
    assert html.count('<tr id="t-') == 10
    assert f'<tr id="t-{rows[0].id}"' in html
    following = html.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert text_of(viewer, f"/breakers/{graph.key}{following}").count('<tr id="t-') == 5
    assert text_of(viewer, f"/breakers/{graph.key}?cursor=forged", status=400)
    assert text_of(viewer, f"/breakers/{graph.key}?since=later", status=400)


def test_what_opened_it_is_shown_even_if_that_is_long_ago(viewer: Client, graph: Scene) -> None:
    then = datetime.now(UTC) - timedelta(days=3)
    scenes.transition(graph, then, "closed", "open", reason="failure_threshold").save()
    html = text_of(viewer, f"/breakers/{graph.key}")
    assert "Too many failures in a row" in html
    assert "No transitions in this time" in html


def test_the_chart_draws_calls_and_transitions_with_gaps(
    viewer: Client, incident: list[Scene]
) -> None:
    figure = viewer.get(f"/charts/breaker.json?key={incident[0].key}&since=2h").json()
    failed, passed, rejected, marks = figure["data"]
    assert [each["name"] for each in (failed, passed, rejected)] == ["failed", "passed", "rejected"]
    assert None in failed["y"]
    assert max(y for y in failed["y"] if y is not None) == 70
    assert passed["customdata"][0].startswith("/errors?since=")
    assert len(marks["x"]) == len(figure["layout"]["shapes"]) == 9
    assert marks["text"][0] == "Closed to open: too large a share of failures"
    assert marks["customdata"][0].startswith(f"/breakers/{incident[0].key}?since=")
    assert figure["layout"]["shapes"][0]["line"]["color"] == "var(--fill-bad)"
    rows = text_of(viewer, f"/charts/breaker-rows?key={incident[0].key}&since=2h", headers=PARTIAL)
    assert '58.3 % <span class="muted">(70/120)</span>' in rows
    assert rows.count("half-open") == 3


def test_the_chart_of_a_flapping_breaker_draws_every_transition_as_a_mark(
    viewer: Client, graph: Scene
) -> None:
    now = datetime.now(UTC)
    BreakerTransition.objects.bulk_create(
        [
            scenes.transition(graph, now - timedelta(seconds=5 * step), "half_open", "open")
            for step in range(1, 401)
        ]
    )
    figure = viewer.get(f"/charts/breaker.json?key={graph.key}&since=1h").json()
    marks = figure["data"][-1]
    assert (marks["name"], len(marks["x"])) == ("transitions", 400)
    assert figure["layout"]["shapes"] == []


def test_a_chart_of_nothing_or_of_an_impossible_range(viewer: Client, graph: Scene) -> None:
    assert viewer.get(f"/charts/breaker.json?key={'0' * 16}").status_code == 404
    assert viewer.get(f"/charts/breaker.json?key={graph.key}&since=later").status_code == 400
    assert viewer.get(f"/charts/breaker-rows?key={graph.key}&since=later").status_code == 400
    figure = viewer.get(f"/charts/breaker.json?key={graph.key}").json()
    assert all(value is None for trace in figure["data"] for value in trace["y"])


def test_batches_that_cannot_be_read_do_not_break_the_page(
    viewer: Client, graph: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    partitions.ensure(tables.OUTCOMES, now, now)
    OutcomeBatch.objects.create(
        id=uuid.uuid4(), at=now, service=graph.service, name=graph.name, instance="x", data=b"junk"
    )
    assert "No recorded outcomes" in text_of(viewer, f"/breakers/{graph.key}")
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("part", "live", "holds", "lacks"),
    [
        ("head", "breakers:KEY calls:planner-mcp-server control:planner-mcp-server",
         'class="verdict"', 'id="transitions"'),
        ("body", "breakers:KEY control:planner-mcp-server", 'id="transitions"', 'id="outcomes"'),
        ("instances", "breakers:KEY calls:planner-mcp-server control:planner-mcp-server",
         "Last heard", 'id="transitions"'),
        ("outcomes", "calls:planner-mcp-server", 'id="outcomes"', 'id="transitions"'),
    ],
)  # fmt: skip
def test_parts_are_pulled_apart_from_each_other(
    viewer: Client, graph: Scene, part: str, live: str, holds: str, lacks: str
) -> None:
    path = f"/breakers/{graph.key}?since=6h"
    whole = text_of(viewer, path)
    source = f"/breakers/{graph.key}?since=6h&amp;part={part}"
    attributes = f'data-live="{live.replace("KEY", graph.key)}" data-src="{source}"'
    assert attributes in whole
    html = text_of(viewer, f"{path}&part={part}", headers=PARTIAL)
    assert attributes in html
    assert holds in html
    assert lacks not in html
    assert "<html" not in html

"""Replays from the screen and by command, over outcomes that a real breaker recorded."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client

from breakers.models import OutcomeBatch
from breakers.models import partitions as tables
from breakers.runtime.batches import Batch, Columns, Moved
from breakers.runtime.outcomes import encode
from breakers.selectors.outcomes import outcome_batches, outcome_instances, outcomes_last
from breakers.selectors.replays import replay_instance
from resilience_site.core import partitions
from resilience_site.core.formatting import exact, machine
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange
from tests.breakers import outcome_scenes, scenes
from tests.breakers.scenes import Scene
from tests.pages.html import text_of

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
HALF_HOUR = TimeRange(NOW - timedelta(minutes=30), NOW)
PLACE = {"service": scenes.GRAPH[0], "name": scenes.GRAPH[1]}
FIRST, SECOND = "planner-mcp-server-1", "planner-mcp-server-2"


@pytest.fixture(autouse=True)
def _soon_after() -> Iterator[None]:
    """The clock of whoever asks is that of the record, however long ago this was loaded."""
    with time_machine.travel(NOW + timedelta(seconds=5), tick=True):
        yield


@pytest.fixture
def record(graph: Scene) -> list[Batch]:
    """Half an hour of the first instance."""
    return outcome_scenes.store(graph, NOW)


def moves(batches: list[Batch]) -> list[tuple[str, str]]:
    return [
        (mark.event.from_state.value, mark.event.to_state.value)
        for batch in batches
        for mark in batch.columns.marks
        if isinstance(mark, Moved)
    ]


def page(client: Client, graph: Scene, status: int = 200, **query: str) -> str:
    asked = "&".join(
        f"{name}={value}" for name, value in {"since": "1h", "run": "1", **query}.items()
    )
    return text_of(client, f"/breakers/{graph.key}/replay?{asked}", status=status)


def test_the_policy_in_force_repeats_what_was_recorded(record: list[Batch]) -> None:
    found = replay_instance(**PLACE, instance=FIRST, within=HALF_HOUR, changes={})
    assert found is not None
    assert found.verified
    assert found.reproduced
    assert [(t.from_state, t.to_state) for t in found.recorded.transitions] == moves(record)
    assert found.recorded.opened >= 2


def test_a_range_in_the_middle_of_the_record_begins_where_the_breaker_was(
    record: list[Batch],
) -> None:
    within = TimeRange(NOW - timedelta(minutes=21), NOW - timedelta(minutes=20))
    found = replay_instance(**PLACE, instance=FIRST, within=within, changes={})
    assert found is not None
    assert found.verified
    read = list(outcome_batches(*PLACE.values(), FIRST, within))
    assert read[0].until < within.since <= read[1].until
    assert read[-1].since < within.until


def test_what_was_not_recorded_cannot_be_replayed(graph: Scene) -> None:
    assert replay_instance(**PLACE, instance="x", within=HALF_HOUR, changes={}) is None


def test_too_many_outcomes_and_impossible_policies_are_refused(record: list[Batch]) -> None:
    asked: dict[str, Any] = {**PLACE, "instance": FIRST, "within": HALF_HOUR}
    with pytest.raises(Invalid, match="choose a shorter one"):
        replay_instance(**asked, changes={}, most=100)
    with pytest.raises(Invalid, match="This policy cannot work"):
        replay_instance(**asked, changes={"failure_rate_threshold": 7})


def test_the_last_outcomes_are_those_of_all_instances_newest_first(
    graph: Scene, record: list[Batch], viewer: Client
) -> None:
    outcome_scenes.store(graph, NOW - timedelta(milliseconds=500), minutes=0.2, number=2)
    last = outcomes_last(*graph_place(graph), NOW)
    assert len(last) == 20
    assert {each.instance for each in last} == {FIRST, SECOND}
    assert [each.at for each in last] == sorted((each.at for each in last), reverse=True)
    assert {each.outcome for each in last} <= {"succeeded", "failed"}
    assert 0.02 <= last[0].seconds <= 0.09
    html = text_of(viewer, f"/breakers/{graph.key}")
    outcomes = html.partition('id="outcomes"')[2].partition("</section>")[0]
    assert outcomes.count("<tr>") == 21
    assert outcome_instances(*graph_place(graph), HALF_HOUR) == [FIRST, SECOND]


def test_the_last_outcomes_are_found_behind_minutes_of_rejections(
    graph: Scene, record: list[Batch]
) -> None:
    """A breaker that was open for long sends batches without calls, one a second."""
    last = record[-1]
    silent = replace(last, columns=Columns())
    # These minutes may be of the next hour.
    partitions.ensure(tables.OUTCOMES, last.until, last.until + timedelta(seconds=301))
    OutcomeBatch.objects.bulk_create(
        [
            OutcomeBatch(
                id=uuid.uuid4(),
                at=last.until + timedelta(seconds=second),
                data=base64.b64decode(encode(silent)),
                instance=FIRST,
                **PLACE,
            )
            for second in range(1, 301)
        ]
    )
    found = outcomes_last(*graph_place(graph), last.until + timedelta(seconds=301))
    assert len(found) == 20
    assert found[0].at <= last.until


def graph_place(graph: Scene) -> tuple[str, str]:
    return graph.service, graph.name


def test_the_screen_asks_first(viewer: Client, graph: Scene, record: list[Batch]) -> None:
    html = text_of(viewer, f"/breakers/{graph.key}/replay?since=1h")
    assert 'name="failure_rate_threshold"' in html
    assert f'<option value="{FIRST}"' in html
    assert "reproduces the record" not in html


def test_without_changes_the_screen_proves_the_record(
    viewer: Client, graph: Scene, record: list[Batch]
) -> None:
    html = page(viewer, graph)
    assert "The policy that was in force repeats what was recorded" in html
    assert "The policy in force reproduces the record: <b>yes</b>." in html


def test_a_candidate_shows_what_it_would_have_changed(
    viewer: Client, graph: Scene, record: list[Batch]
) -> None:
    html = page(viewer, graph, failure_rate_threshold="1", minimum_number_of_calls="40")
    assert "It would have opened" in html
    assert "The policy in force reproduces the record: <b>yes</b>." in html
    assert "would have been made" in html
    assert 'value="40"' in html
    assert html.count('<svg class="bars"') == 2
    assert "As recorded: " in html
    early = page(viewer, graph, minimum_number_of_calls="5", failure_rate_threshold="0.2")
    avoided = early.partition("Failures avoided")[2]
    assert "it goes its own way from" in early
    assert "% of " in avoided


def test_transitions_are_merged_in_order_of_time(
    viewer: Client, graph: Scene, record: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = {"minimum_number_of_calls": "5", "failure_rate_threshold": "0.2"}
    monkeypatch.setattr("breakers.views.replay._TRANSITIONS_SHOWN", 500)
    html = page(viewer, graph, **query).partition('id="compare"')[2]
    rows = html.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr>")[1:]
    times = [row.partition('datetime="')[2].partition('"')[0] for row in rows]
    assert times == sorted(times)
    assert all(row.count("<time") == 1 for row in rows)
    shown = [row.partition('data-label="Candidate"')[::2] for row in rows]
    recorded = [left for left, _ in shown if 'class="change"' in left]
    assert len(recorded) == len(moves(record))
    assert any('class="change"' not in left for left, _ in shown)
    assert any('class="change"' not in right for _, right in shown)
    monkeypatch.setattr("breakers.views.replay._TRANSITIONS_SHOWN", 3)
    cut = page(viewer, graph, **query).partition('id="compare"')[2]
    assert cut.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr>") == 3
    assert f"{len(rows) - 3} more." in cut


def test_where_the_record_begins_is_told(viewer: Client, graph: Scene, record: list[Batch]) -> None:
    begins, ends = exact(record[0].since), exact(record[-1].until)
    told = page(viewer, graph, until=machine(NOW + timedelta(minutes=1)))
    verdict = re.sub("<[^>]+>", "", told.partition('class="verdict"')[2].partition("</div>")[0])
    assert f", recorded from {begins} until {ends}" in verdict
    assert f"  recorded                 from {begins}" in run()
    inside = {
        "since": machine(NOW - timedelta(minutes=9)),
        "until": machine(NOW - timedelta(minutes=7)),
    }
    html = page(viewer, graph, **inside)
    assert ", recorded" not in html.partition('class="verdict"')[2].partition("</div>")[0]
    assert "  recorded  " not in run("--since", inside["since"], "--until", inside["until"])


def test_the_screen_explains_what_cannot_be_replayed(
    viewer: Client, graph: Scene, record: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is no number" in page(viewer, graph, status=400, timeout="soon")
    assert "This policy cannot work" in page(viewer, graph, status=400, failure_threshold="-1")
    assert "is not a time" in page(viewer, graph, status=400, since="later")
    assert "Nothing is recorded in this time" in page(viewer, graph, since="3d", until="2d")
    monkeypatch.setattr("breakers.views.replay.MOST_OUTCOMES", 50)
    assert "choose a shorter one" in page(viewer, graph, status=400)
    OutcomeBatch.objects.update(data=b"junk")
    assert "Nothing is recorded in this time" in page(viewer, graph)


def test_a_gap_in_the_record_is_told(viewer: Client, graph: Scene, record: list[Batch]) -> None:
    middle = NOW - timedelta(minutes=12)
    OutcomeBatch.objects.filter(at__gt=middle, at__lt=middle + timedelta(minutes=1)).delete()
    html = page(viewer, graph)
    assert "The record has gaps" in html
    assert "(missing)" in html


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(
        "replay_policy", "--service", scenes.GRAPH[0], "--breaker", scenes.GRAPH[1],
        "--since", "1h", *arguments, stdout=out,
    )  # fmt: skip
    return out.getvalue()


def test_the_command_says_the_same_as_the_screen(record: list[Batch]) -> None:
    text = run("--set", "minimum_number_of_calls=5", "--set", "failure_rate_threshold=0.2")
    assert "minimum_number_of_calls = 5, failure_rate_threshold = 0.2" in text
    assert "policy in force repeats  yes" in text
    document = json.loads(run("--instance", FIRST, "--json"))
    (only,) = document["instances"]
    assert (only["instance"], only["verified"], only["reproduced"]) == (FIRST, True, True)
    assert only["policy"] is None
    assert [t["to_state"] for t in only["recorded"]["transitions"]] == [b for _, b in moves(record)]
    changed = json.loads(run("--set", "timeout=20", "--json"))
    assert changed["changes"] == {"timeout": 20}
    assert changed["instances"][0]["policy"]["timeout"] == 20


def test_the_command_refuses_what_it_cannot_do(record: list[Batch]) -> None:
    for arguments, message in (
        (["--set", "colour=red"], "give FIELD=VALUE with one of failure_threshold"),
        (["--set", "timeout"], "give FIELD=VALUE"),
        (["--set", "timeout=soon"], "is no number"),
        (["--set", "failure_rate_threshold=7"], "This policy cannot work"),
        (["--instance", "gone"], "Nothing is recorded"),
        (["--since", "later"], "is not a time"),
    ):
        with pytest.raises(CommandError, match=message):
            run(*arguments)

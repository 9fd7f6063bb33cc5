"""Versions of services: kept as telemetry names them, with what came with each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test import Client

from analytics.domain.differences.proportions import Change, change, p_value
from analytics.models import ErrorPattern, Release, Span
from analytics.models.partitions import hour_retention
from analytics.selectors.name_limits import folded_list
from analytics.selectors.releases import release_effects, release_marks
from analytics.services import ingest, releases
from analytics.services.retention import retention_apply
from health.services import Observed
from resilience_site.config import config
from resilience_site.core.models import JournalEntry
from resilience_site.core.timerange import TimeRange
from tests.analytics.figures.history import write_calls
from tests.analytics.store.telemetry import (
    batch,
    new_span,
    new_trace,
    resource,
    span_record,
    together,
)

pytestmark = pytest.mark.usefixtures("store")
NOW = datetime.now(UTC).replace(second=20, microsecond=0)
MINUTE = timedelta(minutes=1)


def send(version: str, at: datetime = NOW, service: str = "planner") -> None:
    source = resource(service)._replace(version=version)
    span = span_record(new_trace(), new_span(), at=NOW - MINUTE, failed=False, source=source)
    ingest.store_spans(batch(span), received_at=at)


def told() -> list[tuple[str, str, dict[str, object]]]:
    rows = JournalEntry.objects.filter(topic="releases").order_by("id")
    return [(row.kind, row.key, row.payload) for row in rows]


def test_a_version_is_kept_once_and_told_once_with_the_one_before_it() -> None:
    send("1.0", NOW)
    send("1.1", NOW + MINUTE)
    send("1.0", NOW + MINUTE)
    rows = Release.objects.order_by("first_seen").values_list("service", "version", "first_seen")
    assert list(rows) == [("planner", "1.0", NOW), ("planner", "1.1", NOW + MINUTE)]
    assert told() == [
        (
            "release_first_seen",
            "planner",
            {
                "version": version,
                "environment": "test",
                "previous": previous,
                "first_seen": at.isoformat(),
            },
        )
        for version, previous, at in (("1.0", "", NOW), ("1.1", "1.0", NOW + MINUTE))
    ]


def test_a_running_version_is_written_at_most_once_a_minute() -> None:
    send("1.0", NOW)
    send("1.0", NOW + timedelta(seconds=40))
    assert Release.objects.get().last_seen == NOW
    send("1.0", NOW + timedelta(seconds=80))
    assert Release.objects.get().last_seen == NOW + timedelta(seconds=80)


def test_a_service_without_versions_has_none() -> None:
    send("")
    assert not Release.objects.exists()


OTHERS = "(other versions)"


@pytest.fixture
def room_for_three() -> Iterator[None]:
    """A service may have three versions."""
    with config.override(resilience_max_versions=3):
        yield


@pytest.mark.usefixtures("room_for_three")
def test_versions_beyond_the_limit_are_kept_and_told_as_one_and_known_ones_go_on() -> None:
    for number in range(6):
        releases.releases_observe({Observed("planner", "test", f"v{number}")}, NOW)
    entries = releases.releases_observe({Observed("planner", "live", "v6")}, NOW + 2 * MINUTE)
    assert entries == []
    rows = Release.objects.order_by("id").values_list("environment", "version", "last_seen")
    assert list(rows) == [
        ("test", "v0", NOW),
        ("test", "v1", NOW),
        ("test", "v2", NOW),
        ("", OTHERS, NOW + 2 * MINUTE),
    ]
    # One that is known is still seen.
    releases.releases_observe({Observed("planner", "test", "v0")}, NOW + 5 * MINUTE)
    assert Release.objects.get(version="v0").last_seen == NOW + 5 * MINUTE


@pytest.mark.usefixtures("room_for_three")
def test_what_is_sent_under_further_versions_is_stored_counted_and_told_with_what_helps() -> None:
    for number in range(5):
        send(f"v{number}")
    # What is known to have no room is counted without being looked up again.
    send("v4", NOW + timedelta(seconds=5))
    assert Span.objects.filter(service="planner").count() == 6
    [row] = folded_list(now=NOW)
    assert (row.service, row.kind, row.items, row.example) == ("planner", "version", 3, "v4")
    assert (row.most, row.limit.kept_as, row.now) == (3, OTHERS, True)
    assert row.advice == (
        "Send what is released as service.version, not a build or a start; or keep more apart by "
        "RESILIENCE_MAX_VERSIONS."
    )
    assert [entry[2]["version"] for entry in told()] == ["v0", "v1", "v2", OTHERS]


@pytest.mark.usefixtures("room_for_three")
def test_workers_that_bring_versions_at_once_keep_to_the_limit_together() -> None:
    def bring(worker: int) -> None:
        flood = {Observed("planner", "test", f"w{worker}-{number}") for number in range(10)}
        with transaction.atomic():
            releases.releases_observe(flood, NOW)

    together(*(partial(bring, worker) for worker in range(4)))
    assert Release.objects.exclude(version=OTHERS).count() == 3
    assert Release.objects.filter(version=OTHERS).count() == 1


@pytest.mark.usefixtures("room_for_three")
def test_the_version_of_all_others_is_shown_as_such(viewer: Client) -> None:
    for number in range(5):
        releases.releases_observe(
            {Observed("planner", "test", f"v{number}")}, NOW - (9 - number) * MINUTE
        )
    body = viewer.get("/api/v1/releases", {"since": "24h"}).json()
    # It follows none, and does not end the one before it.
    shown = [(row["version"], row["folded"], row["previous"]) for row in body["items"]]
    assert shown == [
        (OTHERS, True, ""), ("v2", False, "v1"), ("v1", False, "v0"), ("v0", False, ""),
    ]  # fmt: skip
    page = viewer.get("/what-changed", {"since": "24h"}).content.decode()
    assert "all versions beyond" in page
    assert "the limit of 3<" in page
    marks = release_marks(TimeRange(NOW - timedelta(hours=1), NOW))
    assert OTHERS in [mark.version for mark in marks]


def test_versions_that_run_no_more_make_room_for_new_ones() -> None:
    with config.override(resilience_max_versions=2):
        for version in ("old", "kept"):
            releases.releases_observe(
                {Observed("planner", "test", version)}, NOW - 2 * hour_retention()
            )
        recently = NOW - hour_retention() + timedelta(days=1)
        releases.releases_observe({Observed("planner", "test", "kept")}, recently)
        retention_apply(now=NOW)
        releases.releases_observe({Observed("planner", "test", "new")}, NOW)
    assert {row.version for row in Release.objects.all()} == {"kept", "new"}


@pytest.mark.usefixtures("room_for_three")
def test_versions_of_one_request_are_bounded_too() -> None:
    releases.releases_observe({Observed("planner", "test", "v9")}, NOW)
    flood = {Observed("planner", f"e{number}", f"v{number}") for number in range(40)}
    known = {Observed("planner", "test", "v9"), Observed("mail", "test", "v1")}
    folded: set[Observed] = set()
    entries = releases.releases_observe(flood | known, NOW + 5 * MINUTE, folded)
    assert sorted(entry.key for entry in entries) == ["mail", *["planner"] * 3]
    kept = Release.objects.filter(service="planner").exclude(version=OTHERS)
    assert kept.count() == 3
    assert len(folded) == 38
    assert folded < flood
    assert Release.objects.get(version="v9", environment="test").last_seen == NOW + 5 * MINUTE


def test_the_versions_seen_last_are_kept_and_make_room_for_new_ones() -> None:
    with config.override(resilience_max_versions=4):
        for number in range(6):
            releases.releases_observe({Observed("planner", "test", f"v{number}")}, NOW)
        releases.releases_observe({Observed("planner", "test", "v0")}, NOW + 5 * MINUTE)
        releases.releases_observe({Observed("planner", "test", "v1")}, NOW + 10 * MINUTE)
        releases.releases_observe({Observed("mail", "test", "v1")}, NOW)
        assert releases.releases_prune() == 2
        assert set(Release.objects.values_list("service", "version")) == {
            ("planner", "v0"), ("planner", "v1"), ("planner", OTHERS), ("mail", "v1"),
        }  # fmt: skip
        assert releases.releases_observe({Observed("planner", "test", "v7")}, NOW + 15 * MINUTE)
        assert releases.releases_prune() == 1


def test_what_a_sender_calls_like_all_others_is_one_row_and_ages_with_the_rest() -> None:
    for number in range(8):
        at = NOW + 2 * number * MINUTE
        folded: set[Observed] = set()
        releases.releases_observe({Observed("planner", f"e{number}", OTHERS)}, at, folded)
        # Nothing of it was put together here.
        assert folded == set()
    [row] = Release.objects.all()
    assert (row.environment, row.version, row.last_seen) == ("", OTHERS, NOW + 14 * MINUTE)


def make_pattern(service: str, first_seen: datetime, count: int = 3) -> UUID:
    pattern = ErrorPattern.objects.create(
        id=uuid4(),
        service=service,
        type="KeyError",
        template="no plan",
        rule="message",
        version=1,
        count=count,
        first_seen=first_seen,
        last_seen=NOW,
        last_error_id=uuid4(),
    )
    return pattern.id


@pytest.fixture
def deployed() -> datetime:
    """Version 2 of the planner fails more from its first minute on, and brings a new error."""
    at = NOW - timedelta(hours=1)
    Release.objects.create(
        service="planner",
        environment="test",
        version="1",
        first_seen=at - timedelta(days=2),
        last_seen=at,
    )
    Release.objects.create(
        service="planner", environment="test", version="2", first_seen=at, last_seen=NOW
    )
    minute = at.replace(second=0)
    write_calls(
        "planner",
        minute - timedelta(hours=1),
        minute + timedelta(hours=1),
        lambda t: (100, 1 if t <= minute else 5, 20.0),
    )
    return at


def test_a_release_shows_errors_before_and_after_and_new_patterns(deployed: datetime) -> None:
    new = make_pattern("planner", deployed + MINUTE)
    make_pattern("planner", deployed - MINUTE)
    make_pattern("other", deployed + MINUTE)
    found = release_effects(TimeRange(NOW - timedelta(days=1), NOW))
    assert [(one.version, one.previous) for one in found] == [("2", "1")]
    effect = found[0]
    assert (effect.calls_before, effect.errors_before) == (3000, 30)
    assert (effect.calls_after, effect.errors_after) == (3000, 150)
    assert (effect.ratio_before, effect.ratio_after) == (0.01, 0.05)
    assert effect.change == Change.WORSE
    assert effect.p_value < 1e-9
    assert (effect.new_patterns, effect.pattern_ids) == (1, (new,))


def test_marks_are_versions_that_appeared_in_the_range(deployed: datetime) -> None:
    within = TimeRange(NOW - timedelta(days=1), NOW)
    assert [mark.version for mark in release_marks(within)] == ["2"]
    assert release_marks(within, "other") == []
    assert release_effects(within, "other") == []


def test_a_release_without_calls_says_that_there_is_not_enough(deployed: datetime) -> None:
    Release.objects.create(
        service="quiet", environment="", version="1", first_seen=NOW - MINUTE, last_seen=NOW
    )
    effect = release_effects(TimeRange(NOW - timedelta(days=1), NOW), "quiet")[0]
    assert effect.change == Change.UNKNOWN
    assert (effect.ratio_before, effect.ratio_after, effect.previous) == (None, None, "")


def test_the_api_lists_releases_newest_first(viewer: Client, deployed: datetime) -> None:
    body = viewer.get("/api/v1/releases", {"since": "7d"}).json()
    assert body["window_seconds"] == 1800
    assert [(row["version"], row["change"]) for row in body["items"]] == [
        ("2", "worse"),
        ("1", "not_enough_data"),
    ]
    assert viewer.get("/api/v1/releases", {"since": "soon"}).status_code == 422


def test_shares_differ_when_chance_does_not_explain_it() -> None:
    assert change(50, 1000, 10, 1000) == Change.WORSE
    assert change(10, 1000, 50, 1000) == Change.BETTER
    assert change(11, 1000, 10, 1000) == Change.SAME
    assert change(20, 20, 0, 20) == Change.UNKNOWN
    assert p_value(0, 0, 5, 10) == 1.0
    assert p_value(5, 10, 5, 10) == 1.0
    # 2 x 2 table of 30/70 and 15/85: G = 6.53, p = 0.0106.
    assert p_value(30, 100, 15, 100) == pytest.approx(0.0106, abs=2e-4)

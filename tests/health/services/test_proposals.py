"""Traces propose what depends on what: told once a day for each pair, and decided by people."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction

from analytics.domain.telemetry import Decoded
from analytics.services import sightings
from analytics.services.edges import edges_resolve
from analytics.services.ingest import store_spans
from health.choices import DependencyStatus
from health.models import Dependency, JournalReader
from health.services import proposals
from health.services.dependencies import dependency_declare, dependency_reject
from health.services.proposals import proposals_read
from resilience_site.core import journal
from tests.health.scenes import ACTOR, NOW, make
from tests.pages import scenes

pytestmark = pytest.mark.django_db
PAIR = ("planning-agent", "planner-mcp-server")


@pytest.fixture(autouse=True)
def new_process() -> Iterator[None]:
    sightings.forget()
    yield
    sightings.forget()


def observed(since: int) -> list[tuple[str, dict[str, object]]]:
    return [(e.key, e.payload) for e in journal.read(since) if e.kind == "edge_observed"]


def calls(count: int, seed: int, after: timedelta = timedelta(0)) -> None:
    """Calls of the agent to the planner, which calls Graph, that is in no catalogue."""
    now, chance = NOW + after, random.Random(seed)
    spans = [
        span for _ in range(count) for span in scenes.tool_call(now, chance=chance).spans
    ]  # fmt: skip
    store_spans(Decoded(spans, []), received_at=now)


def sighting(caller: str, callee: str, count: int = 1) -> None:
    payload = {"caller": caller, "callee": callee, "calls": count, "via": "link"}
    with transaction.atomic():
        journal.append(
            [journal.Entry("dependencies", "edge_observed", f"{caller}→{callee}", payload=payload)]
        )


# --- What analytics tells


def test_a_pair_of_services_is_told_once_with_its_calls() -> None:
    since = journal.latest_cursor()
    calls(3, 1)
    calls(2, 2)
    told = observed(since)
    assert [key for key, _ in told] == ["planning-agent→planner-mcp-server"]
    assert told[0][1] == {"caller": PAIR[0], "callee": PAIR[1], "calls": 3, "via": "link"}


def test_a_pair_is_told_again_after_a_day_and_by_one_process_only() -> None:
    calls(1, 1)
    since = journal.latest_cursor()
    sightings.forget()
    calls(1, 2, timedelta(hours=23))
    assert observed(since) == []
    sightings.forget()
    calls(1, 3, timedelta(hours=24))
    sightings.forget()
    calls(1, 4, timedelta(hours=25))
    assert len(observed(since)) == 1


def test_a_pair_is_told_where_the_caller_came_later() -> None:
    call = scenes.tool_call(NOW, chance=random.Random(1))
    agent = [span for span in call.spans if span.resource.service == PAIR[0]]
    rest = [span for span in call.spans if span.resource.service != PAIR[0]]
    since = journal.latest_cursor()
    store_spans(Decoded(rest, []), received_at=NOW)
    store_spans(Decoded(agent, []), received_at=NOW)
    assert observed(since) == []
    edges_resolve(now=NOW)
    assert [key for key, _ in observed(since)] == ["planning-agent→planner-mcp-server"]


def test_a_peer_that_is_in_the_catalogue_is_told_as_well() -> None:
    calls(1, 1)
    make("graph", service="graph.test")
    since = journal.latest_cursor()
    sightings.forget()
    calls(1, 2, timedelta(minutes=5))
    assert [key for key, _ in observed(since)] == ["planner-mcp-server→graph.test"]


# --- What becomes of it


def test_what_was_seen_is_proposed_and_counts_for_nothing() -> None:
    calls(3, 1)
    assert proposals_read(now=NOW) == 1
    edge = Dependency.objects.get()
    assert (edge.child_service_id, edge.parent_service_id) == PAIR
    assert (edge.status, edge.calls, edge.hard) == (DependencyStatus.PROPOSED, 3, True)
    assert edge.last_seen is not None
    assert proposals_read(now=NOW) == 0


def test_a_proposal_is_told_to_pages() -> None:
    calls(1, 1)
    since = journal.latest_cursor()
    proposals_read(now=NOW)
    (entry,) = journal.read(since)
    assert (entry.topic, entry.state) == ("dependencies", "proposed")
    assert entry.payload == {"words": "service planning-agent needs service planner-mcp-server"}


def test_what_people_decided_stays_and_its_calls_go_on() -> None:
    make("a", service="web")
    make("b", service="api")
    make("c", service="store")
    declared = dependency_declare(
        child="service:web", parent="service:api", hard=False, actor=ACTOR, now=NOW
    )
    sighting("api", "store", 5)
    proposals_read(now=NOW)
    rejected = Dependency.objects.get(child_service="api")
    dependency_reject(dependency_id=rejected.id, actor=ACTOR, now=NOW)
    sighting("web", "api", 2)
    sighting("web", "api", 2)
    sighting("api", "store", 1)
    assert proposals_read(now=NOW) == 0
    declared.refresh_from_db()
    rejected.refresh_from_db()
    assert (declared.status, declared.hard, declared.calls) == ("declared", False, 4)
    assert (rejected.status, rejected.calls) == ("rejected", 6)


def test_only_pairs_of_the_catalogue_are_proposed() -> None:
    make("a", service="web")
    sighting("web", "postgresql/orders")
    sighting("stranger", "web")
    sighting("web", "web")
    assert proposals_read(now=NOW) == 0
    assert not Dependency.objects.exists()


def test_the_number_of_open_proposals_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "MOST_PROPOSED", 1)
    for name in ("a", "b", "c"):
        make(name, service=name)
    sighting("a", "b")
    assert proposals_read(now=NOW) == 1
    sighting("b", "c")
    sighting("a", "b", 4)
    assert proposals_read(now=NOW) == 0
    assert Dependency.objects.get().calls == 5


def test_a_long_journal_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "_BATCH", 2)
    make("a", service="web")
    make("b", service="api")
    for _ in range(5):
        sighting("web", "api")
    proposals_read(now=NOW)
    assert Dependency.objects.get().calls == 5
    assert JournalReader.objects.get().cursor >= journal.latest_cursor() - 1

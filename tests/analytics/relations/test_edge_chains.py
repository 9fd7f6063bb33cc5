"""Errors without any id: joined where one service calls the other and chance does not account for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.edge_chains import (
    LooseError,
    causal_services,
    edge_chains,
    sureness,
)
from analytics.models import CorrelationChain, ErrorEvent
from analytics.services.edge_chains import edge_chains_build
from resilience_site.config import config
from tests.analytics.relations.scene import call_between, fail
from tests.analytics.store.telemetry import NOW

DAY = 86_400.0
EDGES = {("web", "planner"), ("planner", "graph")}
LATER = NOW + timedelta(minutes=2)


def loose(service: str, *seconds: float) -> list[LooseError]:
    return [LooseError(int(s * 1e9), f"{service}-{s:g}", service) for s in seconds]


def always(caller: str, callee: str, gap: float) -> float:
    return 0.9


def test_what_is_called_comes_first_whatever_the_clocks_say() -> None:
    errors = [
        *loose("web", 10, 12),
        *loose("planner", 11),
        *loose("graph", 12.5),
        *loose("mail", 11),
    ]
    (found,) = edge_chains(errors, EDGES, window=900, sure=always)
    assert found.services == ["graph", "planner", "web"]
    assert found.events == ["graph-12.5", "planner-11", "web-10", "web-12"]
    assert (found.started_ns, found.ended_ns) == (10_000_000_000, 12_500_000_000)


def test_neither_what_does_not_call_nor_what_is_far_apart_is_joined() -> None:
    assert edge_chains([*loose("web", 0), *loose("graph", 0)], EDGES, window=900, sure=always) == []
    far = [*loose("web", 0), *loose("planner", 2000)]
    assert edge_chains(far, EDGES, window=900, sure=always) == []
    assert len(edge_chains(far, EDGES, window=3600, sure=always)) == 1


def test_a_chain_is_as_sure_as_its_weakest_needed_link() -> None:
    by_edge = {("web", "planner"): 0.6, ("planner", "graph"): 0.9, ("web", "graph"): 0.8}
    errors = [*loose("web", 0), *loose("planner", 1), *loose("graph", 2)]
    (found,) = edge_chains(
        errors, by_edge, window=900, sure=lambda caller, callee, gap: by_edge[caller, callee]
    )
    assert found.confidence == 0.8


def test_confidence_falls_the_more_often_the_other_fails_anyway() -> None:
    chance = random.Random(1)
    own = [1000.0 * n for n in range(1, 20)]
    together = {"web": own, "graph": own}
    rare = sureness(together, DAY)("web", "graph", 5)
    noisy = sureness({"web": own, "graph": [chance.uniform(0, DAY) for _ in range(400)]}, DAY)
    new = sureness({}, DAY)("web", "graph", 5)
    assert 0.9 < rare <= 1
    assert 0.6 < new < 0.67
    assert noisy("web", "graph", 5) < 0.5
    assert sureness(together, DAY)("web", "graph", 850) < rare


def test_spells_by_chance_are_hardly_ever_joined() -> None:
    chance = random.Random(2)
    times = {
        name: sorted(chance.uniform(0, DAY) for _ in range(100)) for name in ("web", "planner")
    }
    sure = sureness(times, DAY)
    errors = [error for name, own in times.items() for error in loose(name, *own)]
    joined = edge_chains(errors, EDGES, window=900, sure=sure)
    assert sum(len(chain.events) for chain in joined) <= 10


services = st.sampled_from(["web", "planner", "graph", "mail"])


@given(
    st.lists(st.tuples(services, st.floats(0, 5000)), max_size=40),
    st.sets(st.tuples(services, services), max_size=8),
)
def test_each_error_is_in_one_chain_at_most(
    told: Sequence[tuple[str, float]], edges: set[tuple[str, str]]
) -> None:
    errors = [LooseError(int(at * 1e9), str(n), name) for n, (name, at) in enumerate(told)]
    found = edge_chains(errors, edges, window=900, sure=always)
    events = [event for chain in found for event in chain.events]
    assert len(events) == len(set(events))
    assert set(events) <= {error.id for error in errors}
    for chain in found:
        assert len(chain.services) > 1
        assert chain.started_ns <= chain.ended_ns
    assert edge_chains(errors[::-1], edges, window=900, sure=always) == found


def test_a_circle_of_services_has_an_order_all_the_same() -> None:
    assert causal_services("ab", {("a", "b"), ("b", "a")}) == ["a", "b"]


def test_thousands_of_services_in_a_row_are_put_in_order_at_once() -> None:
    names = [f"s{number:04}" for number in range(5_000)]
    edges = set(pairwise(names))
    # Comparing each with each would take minutes.
    assert causal_services(names, edges) == names[::-1]


# --- Stored


@pytest.fixture
def related(store: None) -> None:
    call_between()
    fail("web", 0)
    fail("planner", 3)


@pytest.mark.usefixtures("related")
def test_loose_errors_become_one_chain_that_grows_and_keeps_its_id() -> None:
    assert edge_chains_build(now=LATER) == 1
    chain = CorrelationChain.objects.get()
    assert (chain.kind, chain.services) == ("edge", ["planner", "web"])
    assert (chain.root_cause_service, chain.error_count) == ("planner", 2)
    assert 0.5 < chain.confidence < 1
    assert edge_chains_build(now=LATER) == 0
    fail("web", 30)
    assert edge_chains_build(now=LATER) == 1
    grown = CorrelationChain.objects.get()
    assert (grown.id, grown.error_count) == (chain.id, 3)


@pytest.mark.usefixtures("related")
def test_the_switch_and_the_window_decide() -> None:
    with config.override(error_correlation_enabled=False):
        assert edge_chains_build(now=LATER) == 0
    fail("web", 0)
    assert edge_chains_build(now=LATER) == 1


@pytest.mark.usefixtures("store")
def test_without_an_edge_nothing_is_joined() -> None:
    fail("web", 0)
    fail("planner", 3)
    assert edge_chains_build(now=LATER) == 0


@pytest.mark.usefixtures("soon_after", "related")
def test_screens_and_api_say_how_sure_it_is(admin_client: Client) -> None:
    edge_chains_build(now=LATER)
    chain = CorrelationChain.objects.get()
    words = f"joined by time and dependency, confidence {chain.confidence:.2f}"
    assert words in admin_client.get("/chains").content.decode()
    assert words in admin_client.get(f"/chains/{chain.id}").content.decode()
    (listed,) = admin_client.get("/api/v1/chains").json()["items"]
    detail = admin_client.get(f"/api/v1/chains/{chain.id}").json()
    assert (listed["kind"], listed["confidence"]) == ("edge", chain.confidence)
    assert detail["services"] == ["planner", "web"]
    assert [event["service"] for event in detail["events"]] == ["planner", "web"]
    assert detail["root_cause"]["service"] == "planner"
    error = ErrorEvent.objects.get(service="web")
    assert f'href="/chains/{chain.id}"' in admin_client.get(f"/errors/{error.id}").content.decode()

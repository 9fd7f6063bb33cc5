"""Edges are declared, accepted, rejected and removed; none of them ever makes a cycle."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from health.choices import DependencyStatus, HealthState
from health.domain.graph import Graph, Node, evaluate, find_cycle
from health.models import Check, CheckStatus, Dependency, Service
from health.selectors.graph import check_edges, graph_now
from health.services.checks import check_update
from health.services.dependencies import (
    cycle_of,
    dependency_accept,
    dependency_declare,
    dependency_reject,
    dependency_remove,
)
from resilience_site.core import journal
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Invalid, NotFound
from tests.health.scenes import ACTOR, NOW, chain, make

pytestmark = pytest.mark.django_db


def declare(child: str, parent: str, **more: Any) -> Dependency:
    return dependency_declare(child=child, parent=parent, **more, actor=ACTOR, now=NOW)


def propose(child: str, parent: str) -> Dependency:
    return Dependency.objects.create(
        child_service=Service.objects.get(name=child),
        parent_service=Service.objects.get(name=parent),
        status=DependencyStatus.PROPOSED,
        hard=False,
        created_at=NOW,
    )


def edges() -> set[tuple[str, str, bool]]:
    names = dict(Check.objects.values_list("id", "name"))
    return {(names[e.child], names[e.parent], e.hard) for e in check_edges()}


def test_an_edge_between_services_joins_all_checks_with_the_critical_ones() -> None:
    make("web", service="shop")
    make("cart", service="shop")
    make("pg", service="store")
    make("backup", service="store", critical=False)
    declare("service:shop", "service:store")
    assert edges() == {("web", "pg", True), ("cart", "pg", True)}


def test_edges_between_checks_and_services_are_spelled_out() -> None:
    make("web", service="shop")
    make("pg", service="store")
    make("disk", service="store")
    declare("web", "store", hard=False)
    declare("service:shop", "check:disk")
    assert edges() == {("web", "pg", False), ("web", "disk", False), ("web", "disk", True)}


def test_edges_are_read_by_two_queries(django_assert_num_queries: Any) -> None:
    chain("a", "b", "c")
    with django_assert_num_queries(2):
        check_edges()


def test_only_edges_that_count_are_read() -> None:
    make("web", service="shop")
    make("pg", service="store")
    edge = propose("shop", "store")
    assert edges() == set()
    dependency_accept(dependency_id=edge.id, hard=True, actor=ACTOR, now=NOW)
    assert edges() == {("web", "pg", True)}
    dependency_reject(dependency_id=edge.id, reason="only a report", actor=ACTOR, now=NOW)
    assert edges() == set()
    edge.refresh_from_db()
    assert (edge.status, edge.decided_by, edge.reason) == ("rejected", "tests", "only a report")


def test_an_edge_is_told_to_pages_and_to_the_audit_trail() -> None:
    chain("pg", "api")
    make("web")
    since = journal.latest_cursor()
    edge = declare("web", "api", reason="it calls it")
    told = [(e.topic, e.kind, e.key, e.state) for e in journal.read(since)]
    assert told == [("dependencies", "dependency_declare", str(edge.id), "declared")]
    dependency_remove(dependency_id=edge.id, actor=ACTOR, now=NOW)
    first, last = AuditEntry.objects.filter(object_id=str(edge.id)).order_by("id")
    assert first.after == {
        "child": "check:web", "parent": "check:api", "hard": True, "status": "declared",
    }  # fmt: skip
    assert first.reason == "it calls it"
    assert (last.action, last.before) == ("dependency.remove", first.after)


def test_an_edge_is_declared_once_and_changed_in_place() -> None:
    chain("pg")
    make("web")
    first = declare("web", "pg")
    assert declare("web", "pg", hard=False).id == first.id
    assert edges() == {("web", "pg", False)}


def test_what_was_proposed_becomes_declared() -> None:
    make("web", service="shop")
    make("pg", service="store")
    edge = propose("shop", "store")
    assert declare("service:shop", "service:store").id == edge.id
    assert Dependency.objects.get().status == DependencyStatus.DECLARED


def test_a_new_edge_is_followed_by_the_states_it_explains() -> None:
    chain("pg")
    web = make("web")
    CheckStatus.objects.update(
        own_state=HealthState.DOWN, failures=3, streak_since=NOW, own_since=NOW
    )
    declare("web", "pg")
    status = CheckStatus.objects.get(check_row=web)
    assert status.state == HealthState.UNREACHABLE
    assert status.culprit is not None
    assert status.culprit.name == "pg"


@pytest.mark.parametrize(
    ("child", "parent", "words"),
    [
        ("pg", "web", "check api needs check pg, check pg needs check web, check web needs"),
        ("pg", "pg", "check pg needs check pg"),
        ("pg", "service:planner", "check pg needs service planner, service planner has check pg"),
        (
            "service:planner",
            "pg",
            "check pg is part of service planner, service planner needs check pg",
        ),
        ("service:planner", "service:planner", "service planner needs service planner"),
        (
            "service:planner",
            "service:store",
            "check api is part of service planner, service planner needs service store, "
            "service store needs check api",
        ),
        ("pg", "service:store", "check pg needs service store"),
    ],
)
def test_an_edge_that_closes_a_cycle_is_refused_with_the_cycle(
    child: str, parent: str, words: str
) -> None:
    chain("pg", "api", "web")
    make("disk", service="store")
    declare("service:store", "check:api")
    before = set(Dependency.objects.values_list("id", flat=True))
    with pytest.raises(Invalid, match="This would make a cycle") as caught:
        declare(child, parent)
    assert words in caught.value.detail
    assert set(Dependency.objects.values_list("id", flat=True)) == before
    assert AuditEntry.objects.filter(action="dependency.declare.refused").count() == 1


def test_services_without_checks_can_be_a_cycle_as_well() -> None:
    for name in ("a", "b", "c"):
        Service.objects.create(name=name, first_seen=NOW, last_seen=NOW)
    declare("a", "b")
    declare("b", "c")
    with pytest.raises(Invalid, match=r"a needs service b, service b needs service c, service c"):
        declare("c", "a")


def test_a_proposal_that_would_close_a_cycle_is_kept_and_cannot_be_accepted() -> None:
    make("web", service="shop")
    make("pg", service="store")
    declare("service:shop", "service:store")
    edge = propose("store", "shop")
    assert cycle_of(edge).startswith("This would make a cycle: service shop needs service store")
    with pytest.raises(Invalid, match="This would make a cycle"):
        dependency_accept(dependency_id=edge.id, actor=ACTOR, now=NOW)
    edge.refresh_from_db()
    assert edge.status == DependencyStatus.PROPOSED


def test_a_check_that_moves_to_another_service_closes_no_cycle() -> None:
    web = make("web", service="shop")
    make("pg", service="store")
    declare("service:store", "check:web")
    with pytest.raises(Invalid, match="cycle"):
        check_update(check_id=web.id, changes={"service": "store"}, actor=ACTOR, now=NOW)


def test_the_edges_of_a_check_are_replaced_as_a_whole() -> None:
    for name in ("a", "b", "c"):
        make(name)
    web = make("web", depends_on=["a", "b"])

    def replace(names: list[str], **more: Any) -> set[tuple[str, str, bool]]:
        changes = {"depends_on": names, **more}
        check_update(check_id=web.id, changes=changes, actor=ACTOR, now=NOW)
        return edges()

    assert replace(["b", "c"], hard=False) == {("web", "b", False), ("web", "c", False)}
    version = Check.objects.get(name="web").version
    assert replace(["c", "b"], hard=False) == {("web", "b", False), ("web", "c", False)}
    assert Check.objects.get(name="web").version == version
    assert replace([]) == set()


@pytest.mark.parametrize("name", ["nobody", "service:pg", "check:planner", "", "a\x00", 7])
def test_an_end_that_there_is_not_is_refused(name: Any) -> None:
    make("pg")
    with pytest.raises(Invalid) as caught:
        declare("pg", name)
    assert caught.value.errors[0].field == "parent"


def test_what_is_decided_already_is_not_decided_again() -> None:
    make("web", service="shop")
    make("pg", service="store")
    edge = declare("service:shop", "service:store")
    with pytest.raises(Invalid, match="declared already"):
        dependency_accept(dependency_id=edge.id, actor=ACTOR, now=NOW)
    dependency_reject(dependency_id=edge.id, actor=ACTOR, now=NOW)
    with pytest.raises(Invalid, match="rejected already"):
        dependency_reject(dependency_id=edge.id, actor=ACTOR, now=NOW)
    for act in (dependency_accept, dependency_reject, dependency_remove):
        with pytest.raises(NotFound):
            act(dependency_id=uuid4(), actor=ACTOR, now=NOW)


@pytest.mark.django_db(transaction=True)
def test_two_writers_cannot_make_a_cycle_together() -> None:
    """Each of two edges is fine alone; written at once, one of them is refused."""
    make("a", service="one")
    make("b", service="two")
    for _ in range(5):
        Dependency.objects.all().delete()
        gate, refused = threading.Barrier(2), []

        def write(child: str, parent: str, gate: threading.Barrier, told: list[str]) -> None:
            try:
                gate.wait()
                declare(child, parent)
            except Invalid as problem:
                told.append(problem.detail)
            finally:
                connection.close()

        threads = [
            threading.Thread(target=write, args=(*pair, gate, refused))
            for pair in (("a", "b"), ("b", "a"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert Dependency.objects.count() == 1


ENDS = st.sampled_from(["check:a", "check:b", "check:c", "service:x", "service:y", "service:z"])


class TestAnyEdges(TestCase):
    def setUp(self) -> None:
        for name, service in (("a", "x"), ("b", "y"), ("c", "x")):
            make(name, service=service)
        Service.objects.create(name="z", first_seen=NOW, last_seen=NOW)

    @given(st.lists(st.tuples(ENDS, ENDS), max_size=8))
    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    def test_what_is_let_in_is_never_a_cycle_between_checks(
        self, pairs: list[tuple[str, str]]
    ) -> None:
        for child, parent in pairs:
            with suppress(Invalid):
                declare(child, parent)
        assert find_cycle((str(e.child), str(e.parent)) for e in check_edges()) == []


def test_a_service_as_one_node_gives_the_verdicts_of_all_its_edges(
    django_assert_num_queries: Any,
) -> None:
    rng = random.Random(11)
    names = ["shop", "store", "mail", "vault"]
    for service in names:
        for number in range(3):
            make(f"{service}-{number}", service=service, critical=number < 2)
    make("group", service="groups", kind="composite", target={"members": ["shop-0", "mail-1"]})
    declare("service:shop", "service:store")
    declare("service:store", "service:vault")
    declare("service:shop", "service:mail", hard=False)
    declare("mail-2", "service:store")
    declare("service:mail", "vault-0", hard=False)
    with django_assert_num_queries(2):
        graph = graph_now()
    spelled = Graph(check_edges())
    keys = dict(Check.objects.values_list("id", "name"))
    for _ in range(200):
        nodes = {
            key: Node(key, name, rng.choice(["up", "up", "down", "degraded"]), NOW)
            for key, name in keys.items()
        }
        assert evaluate(graph, nodes) == evaluate(spelled, nodes)
    for key in keys:
        for kind in (None, True):
            assert graph.ancestors(key, kind) == spelled.ancestors(key, kind)
            assert graph.descendants(key, kind) == spelled.descendants(key, kind)

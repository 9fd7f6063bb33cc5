"""Whose fault a failure is: the graph's verdicts against a model that tries every path."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.domain.graph import MOST_CULPRITS, Edge, Graph, Node, Verdict, evaluate
from tests.effort import growth

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def key(number: int) -> UUID:
    return UUID(int=number + 1)


def node(
    number: int, own: str = "up", since: float | None = None, maintenance: bool = False
) -> Node:
    when = None if since is None else T0 + timedelta(seconds=since)
    return Node(key(number), f"check-{number:04}", own, when, maintenance)


def verdicts(nodes: list[Node], edges: list[Edge]) -> dict[UUID, Verdict]:
    return evaluate(Graph(edges), {each.key: each for each in nodes})


def hard(child: int, parent: int) -> Edge:
    return Edge(key(child), key(parent), True)


def soft(child: int, parent: int) -> Edge:
    return Edge(key(child), key(parent), False)


def test_a_failing_check_without_parents_is_down() -> None:
    assert verdicts([node(0, "down", 0)], []) == {key(0): Verdict("down")}


def test_blame_goes_down_a_chain_to_the_deepest_failing_ancestor() -> None:
    chain = [node(0, "down", 0), node(1, "down", 5), node(2, "down", 9)]
    found = verdicts(chain, [hard(0, 1), hard(1, 2)])
    assert found[key(0)] == Verdict("unreachable", key(2), (key(2),))
    assert found[key(1)] == Verdict("unreachable", key(2), (key(2),))
    assert found[key(2)] == Verdict("down")


def test_a_working_parent_between_two_failures_keeps_them_apart() -> None:
    found = verdicts(
        [node(0, "down", 0), node(1, "up"), node(2, "down", 0)], [hard(0, 1), hard(1, 2)]
    )
    assert found[key(0)] == Verdict("down")
    assert found[key(1)] == Verdict("up")


def test_a_parent_of_which_nothing_is_known_hides_no_failure_behind_it() -> None:
    found = verdicts(
        [node(0, "down", 0), node(1, "unknown"), node(2, "down", 0)], [hard(0, 1), hard(1, 2)]
    )
    assert found[key(0)] == Verdict("unreachable", key(2), (key(2),))
    assert found[key(1)] == Verdict("unknown")


def test_of_two_culprits_the_first_to_fail_is_named_then_the_first_by_name() -> None:
    nodes = [node(0, "down", 9), node(1, "down", 5), node(2, "down", 3), node(3, "down", 3)]
    found = verdicts(nodes, [hard(0, 1), hard(0, 3), hard(0, 2)])
    assert found[key(0)] == Verdict("unreachable", key(2), (key(2), key(3), key(1)))


def test_soft_parents_only_degrade_and_do_so_to_no_failing_child() -> None:
    nodes = [node(0, "up"), node(1, "down", 4), node(2, "down", 1)]
    found = verdicts(nodes, [soft(0, 2), soft(1, 2)])
    assert found[key(0)] == Verdict("degraded", key(2), (key(2),))
    assert found[key(1)] == Verdict("down")


def test_a_soft_edge_to_an_unreachable_check_carries_its_culprit() -> None:
    nodes = [node(0, "up"), node(1, "down", 4), node(2, "down", 1)]
    found = verdicts(nodes, [soft(0, 1), hard(1, 2)])
    assert found[key(0)] == Verdict("degraded", key(2), (key(2),))


def test_a_failing_hard_parent_leaves_a_working_child_as_it_is() -> None:
    assert verdicts([node(0), node(1, "down", 0)], [hard(0, 1)])[key(0)] == Verdict("up")


def test_degradation_goes_one_soft_edge_far() -> None:
    found = verdicts([node(0), node(1), node(2, "down", 0)], [soft(0, 1), soft(1, 2)])
    assert found[key(1)].state == "degraded"
    assert found[key(0)] == Verdict("up")


def test_a_window_hides_the_state_of_its_check_and_not_its_part_in_others() -> None:
    nodes = [node(0, "down", 3), node(1, "down", 1, maintenance=True)]
    found = verdicts(nodes, [hard(0, 1)])
    assert found[key(1)] == Verdict("maintenance")
    assert found[key(0)] == Verdict("unreachable", key(1), (key(1),))


def test_of_two_edges_between_the_same_checks_the_hard_one_counts() -> None:
    nodes = [node(0, "down", 3), node(1, "down", 1)]
    for edges in ([hard(0, 1), soft(0, 1)], [soft(0, 1), hard(0, 1)]):
        assert verdicts(nodes, edges)[key(0)].state == "unreachable"
        assert Graph(edges).parents(key(0)) == [key(1)]


def test_an_edge_to_a_check_that_is_gone_is_ignored() -> None:
    assert verdicts([node(0, "down", 3)], [hard(0, 7)])[key(0)] == Verdict("down")


def test_a_verdict_names_a_bounded_number_of_culprits() -> None:
    nodes = [node(0, "down", 99)] + [node(n, "down", n) for n in range(1, 60)]
    verdict = verdicts(nodes, [hard(0, n) for n in range(1, 60)])[key(0)]
    assert verdict.culprits == tuple(key(n) for n in range(1, MOST_CULPRITS + 1))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_cycle_that_got_in_all_the_same_blames_the_first_to_fail(
    order: tuple[int, ...],
) -> None:
    nodes = [node(0, "down", 2), node(1, "down", 1), node(2, "down", 3)]
    found = verdicts([nodes[n] for n in order], [hard(0, 1), hard(1, 2), hard(2, 0)])
    assert {each.culprit for each in found.values() if each.culprit} == {key(1)}


# --- Against a model


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    """Nodes in all states, with edges from lower to higher numbers only, so without a cycle."""
    count = draw(st.integers(1, 9))
    nodes = []
    for number in range(count):
        own = draw(st.sampled_from(["up", "degraded", "down", "down", "unknown"]))
        since = draw(st.none() | st.integers(0, 3)) if own == "down" else None
        nodes.append(node(number, own, since, draw(st.sampled_from([False, False, True]))))
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=18)) if pairs else []
    return nodes, [Edge(key(a), key(b), draw(st.booleans())) for a, b in chosen]


def model(nodes: list[Node], edges: list[Edge]) -> dict[UUID, Verdict]:
    """The rules in their own words, by walking every path."""
    by_key = {each.key: each for each in nodes}
    hard_pairs = {(e.child, e.parent) for e in edges if e.hard}
    soft_pairs = {(e.child, e.parent) for e in edges if not e.hard} - hard_pairs

    def failing_parents(child: UUID) -> set[UUID]:
        found: set[UUID] = set()
        for start, parent in hard_pairs:
            if start == child and by_key[parent].own == "down":
                found.add(parent)
            elif start == child and by_key[parent].own == "unknown":
                found |= failing_parents(parent)
        return found

    def deepest(failing: UUID) -> set[UUID]:
        parents = failing_parents(failing)
        return set().union(*(deepest(each) for each in parents)) if parents else {failing}

    def verdict(state: str, culprits: set[UUID]) -> Verdict:
        ranked = sorted(
            (by_key[each] for each in culprits),
            key=lambda n: (n.failing_since is None, n.failing_since or T0, n.name),
        )
        keys = tuple(each.key for each in ranked)
        return Verdict(state, keys[0] if keys else None, keys)

    found = {}
    for each in nodes:
        behind = failing_parents(each.key)
        beside = {p for c, p in soft_pairs if c == each.key and by_key[p].own == "down"}
        if each.maintenance:
            found[each.key] = Verdict("maintenance")
        elif each.own == "down" and behind:
            found[each.key] = verdict("unreachable", set().union(*map(deepest, behind)))
        elif each.own in ("up", "degraded") and beside:
            found[each.key] = verdict("degraded", set().union(*map(deepest, beside)))
        else:
            found[each.key] = Verdict(each.own)
    return found


@given(graphs(), st.randoms(use_true_random=False))
def test_verdicts_are_those_of_the_model_whatever_the_order(
    graph: tuple[list[Node], list[Edge]], shuffled: random.Random
) -> None:
    nodes, edges = graph
    expected = model(nodes, edges)
    assert verdicts(nodes, edges) == expected
    shuffled.shuffle(nodes)
    shuffled.shuffle(edges)
    assert verdicts(nodes, edges) == expected


@given(graphs())
def test_ancestors_and_descendants_are_each_others_mirror(
    graph: tuple[list[Node], list[Edge]],
) -> None:
    nodes, edges = graph
    seen = Graph(edges)
    for kind in (None, True, False):
        for each in nodes:
            reached = seen.ancestors(each.key, kind)
            direct = seen.parents(each.key, kind)
            assert reached == set(direct).union(*(seen.ancestors(p, kind) for p in direct))
            for other in nodes:
                up = other.key in reached
                assert up == (each.key in seen.descendants(other.key, kind))


def fleet(size: int) -> tuple[list[Node], list[Edge]]:
    chance = random.Random(5)
    nodes = [node(n, chance.choice(["up", "down", "down", "unknown"]), n) for n in range(size)]
    edges = []
    while len(edges) < 4 * size:
        a, b = sorted(chance.sample(range(size), 2))
        edges.append(Edge(key(a), key(b), chance.random() < 0.8))
    return nodes, edges


def test_the_work_for_five_thousand_checks_grows_with_their_number_not_its_square() -> None:
    some, many = fleet(1_250), fleet(5_000)
    assert len(verdicts(*many)) == 5_000
    assert growth(lambda: verdicts(*some), lambda: verdicts(*many)) < 10

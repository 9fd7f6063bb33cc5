"""Cycles are found, named from their first node back to it, and never made up."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from health.domain.graph import find_cycle

PAIRS = st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")), max_size=14)


def reaches(edges: list[tuple[str, str]], start: str, goal: str) -> bool:
    seen, todo = set[str](), [start]
    while todo:
        node = todo.pop()
        for begin, end in edges:
            if begin == node and end not in seen:
                seen.add(end)
                todo.append(end)
    return goal in seen


@given(PAIRS)
def test_a_cycle_is_found_exactly_where_a_node_reaches_itself(edges: list[tuple[str, str]]) -> None:
    cycle = find_cycle(edges)
    assert bool(cycle) == any(reaches(edges, node, node) for node in "abcdefg")
    if cycle:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(pair in edges for pair in pairwise(cycle))


def test_the_way_back_that_is_named_is_a_shortest() -> None:
    long = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("b", "d")]
    assert set(find_cycle(long)) == {"a", "b", "d"}


@given(PAIRS, st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")))
def test_of_the_cycles_that_one_edge_made_a_shortest_is_named(
    edges: list[tuple[str, str]], added: tuple[str, str]
) -> None:
    if find_cycle(edges):
        return
    cycle = find_cycle([*edges, added])
    if cycle:
        assert len(cycle) - 2 == distance(edges, added[1], added[0])


def distance(edges: list[tuple[str, str]], start: str, goal: str) -> int:
    reached, steps = {start}, 0
    while goal not in reached:
        reached |= {end for begin, end in edges if begin in reached}
        steps += 1
    return steps


def test_a_node_that_needs_itself_is_a_cycle() -> None:
    assert find_cycle([("a", "a")]) == ["a", "a"]


def test_a_chain_of_any_length_is_walked() -> None:
    chain = [(str(n), str(n + 1)) for n in range(20_000)]
    assert find_cycle(chain) == []
    assert len(find_cycle([*chain, ("20000", "0")])) == 20_002

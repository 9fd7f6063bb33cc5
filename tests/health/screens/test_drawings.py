"""Where boxes stand and how long states held: pure geometry and arithmetic."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from health.domain.layout import BOX_HEIGHT, BOX_WIDTH, Layout, layout
from health.domain.timeline import Turn, stretches

START = datetime(2026, 3, 1, tzinfo=UTC)
NODES = st.integers(1, 14).map(lambda count: [f"n{number}" for number in range(count)])
STATES = st.sampled_from(["up", "down", "degraded", "unknown"])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    nodes = draw(NODES)
    name = st.sampled_from([*nodes, "elsewhere"])
    return nodes, draw(st.lists(st.tuples(name, name), max_size=30))


def overlapping(found: Layout[str]) -> list[tuple[str, str]]:
    boxes = sorted(found.corners.items())
    return [
        (one, other)
        for number, (one, (x, y)) in enumerate(boxes)
        for other, (u, v) in boxes[number + 1 :]
        if abs(x - u) < BOX_WIDTH and abs(y - v) < BOX_HEIGHT
    ]


@given(graphs())
def test_any_graph_is_drawn_inside_its_bounds_without_overlaps(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    nodes, edges = graph
    found = layout(nodes, edges)
    assert set(found.corners) == set(nodes)
    assert overlapping(found) == []
    for x, y in found.corners.values():
        assert 0 < x <= found.width - BOX_WIDTH
        assert 0 < y <= found.height - BOX_HEIGHT
    assert set(found.paths) <= set(edges)
    # The same question has the same answer: a live page does not jump.
    assert layout(nodes, edges) == found


@given(graphs())
def test_whoever_needs_something_stands_left_of_it(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    nodes, edges = graph
    forward = [(a, b) for a, b in edges if a in nodes and b in nodes and int(a[1:]) < int(b[1:])]
    found = layout(nodes, forward)
    assert set(found.paths) == set(forward)
    for child, parent in forward:
        assert found.corners[child][0] < found.corners[parent][0]


def test_a_line_that_passes_a_column_crosses_no_box_in_it() -> None:
    found = layout(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
    across = found.paths["a", "c"]
    lane = re.search(r"(\d+)H(\d+)", across)
    assert lane is not None
    x, y = found.corners["b"]
    assert float(lane[2]) - x >= BOX_WIDTH
    assert not y < float(lane[1]) < y + BOX_HEIGHT


def test_a_cycle_is_cut_and_not_followed_for_ever() -> None:
    found = layout(["a", "b"], [("a", "b"), ("b", "a"), ("a", "a")])
    assert list(found.paths) == [("a", "b")]


@given(
    st.lists(st.tuples(st.integers(-50, 150), STATES), max_size=12),
    STATES,
)
def test_stretches_cover_the_time_and_say_what_was_told_last(
    told: list[tuple[int, str]], otherwise: str
) -> None:
    """Against a second-by-second model: a later turn holds from its time on, whatever stood there."""
    turns, model = [], dict.fromkeys(range(-60, 100), otherwise)
    before = otherwise
    for second, state in told:
        turns.append(Turn(START + timedelta(seconds=second), before, state))
        model |= dict.fromkeys(range(second, 100), state)
        before = state
    found = stretches(turns, START, START + timedelta(seconds=100), otherwise)
    assert found[0].start == START
    assert found[-1].end == START + timedelta(seconds=100)
    for one, following in pairwise(found):
        assert one.end == following.start
        assert one.state != following.state
    for each in found:
        first = int((each.start - START).total_seconds())
        last = int((each.end - START).total_seconds())
        assert {model[second] for second in range(first, last)} == {each.state}

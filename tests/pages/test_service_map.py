"""Where the services stand on the map."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analytics.selectors.rollups import Edge, Figures
from resilience_site.pages.service_map import BOX_HEIGHT, BOX_WIDTH, MOST_NODES, draw, layers

names = st.sampled_from("abcdefgh")
pairs = st.lists(st.tuples(names, names).filter(lambda pair: pair[0] != pair[1]), max_size=20)


def edge(caller: str, callee: str, calls: int = 100, errors: int = 0) -> Edge:
    return Edge(caller, callee, Figures(60, calls, errors, 1.0, 1.0, 1.0, 1.0, 1.0))


def test_what_is_called_stands_right_of_all_its_callers() -> None:
    assert layers([("web", "shop"), ("shop", "db"), ("web", "db")]) == {
        "web": 0, "shop": 1, "db": 2,
    }  # fmt: skip


def test_a_circle_is_cut_where_it_closes() -> None:
    assert layers([("in", "a"), ("a", "b"), ("b", "a")]) == {"in": 0, "a": 1, "b": 2}


@given(pairs)
def test_any_graph_has_a_place_for_each_node(edges: list[tuple[str, str]]) -> None:
    column = layers(edges)
    assert set(column) == {name for pair in edges for name in pair}
    assert all(0 <= place < len(column) for place in column.values())


@given(pairs)
def test_boxes_lie_on_the_map_and_never_on_each_other(edges: list[tuple[str, str]]) -> None:
    drawing = draw([edge(*pair) for pair in edges], {"alone": "healthy"})
    assert len({(node.x, node.y) for node in drawing.nodes}) == len(drawing.nodes)
    for node in drawing.nodes:
        assert 0 <= node.x <= drawing.width - BOX_WIDTH
        assert 0 <= node.y <= drawing.height - BOX_HEIGHT


def test_calls_of_a_service_to_itself_draw_no_arrow() -> None:
    drawing = draw([edge("a", "a"), edge("a", "b")], {})
    assert [(arrow.edge.caller, arrow.edge.callee) for arrow in drawing.arrows] == [("a", "b")]


def test_figures_stand_where_their_arrow_is_alone() -> None:
    out = draw([edge("a", callee) for callee in "bcde"], {})
    middles = {node.name: node.middle for node in out.nodes}
    for arrow in out.arrows:
        nearest = min("bcde", key=lambda name: abs(middles[name] - arrow.y))
        assert nearest == arrow.edge.callee
    into = draw([edge(caller, "x") for caller in "bcde"], {})
    middles = {node.name: node.middle for node in into.nodes}
    for arrow in into.arrows:
        nearest = min("bcde", key=lambda name: abs(middles[name] - arrow.y))
        assert nearest == arrow.edge.caller


@given(pairs)
def test_figures_lie_on_no_box_and_on_no_others(edges: list[tuple[str, str]]) -> None:
    drawing = draw([edge(*pair) for pair in dict.fromkeys(edges)], {})
    for arrow in drawing.arrows:
        assert 50 <= arrow.x <= drawing.width - 50
        assert 10 <= arrow.y <= drawing.height - 20
        assert not any(n.x - 30 < arrow.x < n.x + BOX_WIDTH + 30 for n in drawing.nodes)
        for other in drawing.arrows:
            apart = abs(other.x - arrow.x) >= 100 or abs(other.y - arrow.y) >= 30
            assert other is arrow or apart


def test_few_failed_calls_do_not_colour_an_arrow() -> None:
    drawing = draw([edge("a", "b", 9, 9), edge("b", "c", 100, 50)], {})
    assert [arrow.failing for arrow in drawing.arrows] == [False, True]


def test_few_calls_of_an_hour_are_not_none_a_second() -> None:
    seldom = Edge("a", "b", Figures(3600, 14, 0, 1.0, 1.0, 1.0, 1.0, 1.0))
    assert draw([seldom], {}).arrows[0].rate.startswith("0.00389/s")


def test_what_finds_no_room_is_counted() -> None:
    many = [edge(f"a{n}", f"b{n}") for n in range(50)]
    drawing = draw(many, {})
    assert len(drawing.nodes) == MOST_NODES
    assert drawing.left_out == 100 - MOST_NODES


def test_an_empty_map_has_no_nodes() -> None:
    assert draw([], {}).nodes == []

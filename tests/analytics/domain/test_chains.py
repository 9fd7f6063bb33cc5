"""How failures spread: by structure first, by clocks last, and the same from any input order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.chains import Chain, ChainError, ChainSpan, chain, windows

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(
    id_: str,
    parent: str = "",
    start: int = 0,
    *,
    service: str = "planner",
    failed: bool = False,
    end: int = 1_000,
    trace: str = TRACE,
) -> ChainSpan:
    return ChainSpan(id_, parent, service, f"do {id_}", 1, start, end, failed, trace)


def error(
    id_: str, span_id: str = "", at: int = 0, *, service: str = "planner", trace: str = TRACE
) -> ChainError:
    return ChainError(id_, span_id, service, "TimeoutError", at, trace)


def rows(found: Chain) -> list[tuple[str, int, bool]]:
    return [(row.span_id, row.depth, row.gap) for row in found.rows]


def test_the_deepest_failing_span_is_the_root_cause() -> None:
    found = chain(
        [
            span("tool", start=0, failed=True, service="mcp"),
            span("summary", "tool", 10, failed=True),
            span("cache", "summary", 20, service="redis"),
            span("graph", "summary", 30, failed=True, service="graph", end=1_500),
        ],
        [
            error("tool failed", "tool", 900, service="mcp"),
            error("summary failed", "summary", 800),
            error("graph answered 503", "graph", 700, service="graph"),
        ],
    )
    assert found.root_cause == "graph answered 503"
    assert found.events == ["graph answered 503", "summary failed", "tool failed"]
    assert found.path == ["graph", "summary", "tool"]
    assert found.services == ["graph", "planner", "mcp"]
    assert found.gaps == []
    assert (found.started_ns, found.ended_ns) == (0, 1_500)
    assert rows(found) == [
        ("tool", 0, False), ("summary", 1, False), ("cache", 2, False), ("graph", 2, False),
    ]  # fmt: skip


def test_of_equally_deep_failures_the_earliest_is_the_root_cause() -> None:
    found = chain(
        [span("entry", failed=True), span("b", "entry", 5), span("a", "entry", 9)],
        [error("second", "a", 20), error("first", "b", 30), error("entry failed", "entry", 40)],
    )
    assert found.events == ["first", "second", "entry failed"]


def test_a_failure_that_its_caller_survived_yields_to_one_that_spread() -> None:
    """A cache that could not be read and was done without did not fail the request."""
    found = chain(
        [
            span("entry", failed=True),
            span("read cache", "entry", 1),
            span("redis", "read cache", 2, failed=True, service="redis"),
            span("read graph", "entry", 3, failed=True),
            span("graph", "read graph", 4, failed=True, service="graph"),
        ],
        [
            error("cache", "redis", 2, service="redis"),
            error("graph", "graph", 5, service="graph"),
            error("reading", "read graph", 6),
            error("entry", "entry", 7),
        ],
    )
    assert found.events == ["graph", "reading", "cache", "entry"]


def test_of_several_errors_on_a_span_the_earliest_comes_first() -> None:
    found = chain([span("a")], [error("late", "a", 9), error("early", "a", 3)])
    assert found.events == ["early", "late"]


def test_a_clock_that_runs_ahead_does_not_put_a_callee_behind_its_caller() -> None:
    found = chain(
        [span("caller", start=100, failed=True), span("callee", "caller", 90_000, failed=True)],
        [error("caller failed", "caller", 200), error("callee failed", "callee", 95_000)],
    )
    assert found.events == ["callee failed", "caller failed"]


def test_a_missing_parent_is_a_gap_that_holds_its_children() -> None:
    found = chain(
        [span("b", "lost", 20, service="graph"), span("a", "lost", 10, service="graph")],
        [error("e", "b", 30, service="graph")],
    )
    assert [(gap.span_id, gap.children, gap.service) for gap in found.gaps] == [
        ("lost", ["a", "b"], "graph")
    ]
    assert rows(found) == [("lost", 0, True), ("a", 1, False), ("b", 1, False)]
    assert found.path == ["b", "lost"]
    assert found.services == ["graph"]


def test_a_gap_hangs_under_the_entry_of_its_trace() -> None:
    found = chain(
        [span("entry"), span("near", "entry", 5), span("far", "lost", 9, failed=True)],
        [error("near failed", "near", 6), error("far failed", "far", 10)],
    )
    assert rows(found) == [
        ("entry", 0, False), ("near", 1, False), ("lost", 1, True), ("far", 2, False),
    ]  # fmt: skip
    assert found.root_cause == "far failed"
    assert found.path == ["far", "lost", "entry"]


def test_an_error_of_an_unknown_span_makes_a_gap_of_its_service() -> None:
    found = chain([span("entry")], [error("e", "unknown", 5, service="graph")])
    assert [(gap.span_id, gap.children, gap.service) for gap in found.gaps] == [
        ("unknown", [], "graph")
    ]
    assert found.events == ["e"]
    assert found.rows[1].errors == ["e"]
    assert found.services == ["graph", "planner"]


def test_an_error_outside_of_any_span_comes_after_those_whose_place_is_known() -> None:
    found = chain([span("a", start=50)], [error("somewhere", "", 1), error("there", "a", 60)])
    assert found.events == ["there", "somewhere"]


def test_without_spans_errors_come_in_the_order_of_time() -> None:
    found = chain(
        [],
        [
            error("b", at=20, service="graph", trace=""),
            error("a", at=10, service="redis", trace=""),
            error("c", at=30, service="redis", trace=""),
        ],
    )
    assert found.events == ["a", "b", "c"]
    assert found.root_cause == "a"
    assert found.services == ["redis", "graph"]
    assert (found.path, found.rows, found.gaps) == ([], [], [])
    assert (found.started_ns, found.ended_ns) == (10, 30)


def test_traces_and_lone_errors_of_one_correlation_id_follow_each_other() -> None:
    found = chain(
        [span("x", trace="1"), span("y", "x", 5, trace="1"), span("x", trace="2", start=50)],
        [
            error("second trace", "x", 60, trace="2"),
            error("caller", "x", 20, trace="1"),
            error("callee", "y", 25, trace="1"),
            error("between", at=40, trace=""),
            error("unsent spans", "z", 80, trace="3"),
        ],
    )
    assert found.events == ["callee", "caller", "between", "second trace", "unsent spans"]
    assert found.path == ["y", "x"]


@pytest.mark.parametrize(
    "parents",
    [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a", "d": "a", "e": "d"}],
)
def test_parents_in_a_circle_are_cut_above_the_earliest(parents: dict[str, str]) -> None:
    spans = [span(key, parent, ord(key)) for key, parent in parents.items()]
    found = chain(spans, [error(f"in {key}", key, 5) for key in parents])
    assert found.rows[0].span_id == "a"
    assert found.rows[0].parent_id == ""
    assert {row.span_id for row in found.rows} == set(parents)
    assert len(found.events) == len(parents)


def test_nothing_is_an_empty_chain() -> None:
    assert chain([], []) == Chain(None, [], [], [], [], 0, 0, [])


def test_a_healthy_trace_has_rows_and_no_root_cause() -> None:
    found = chain([span("a"), span("b", "a")], [])
    assert found.root_cause is None
    assert (found.events, found.path, found.services) == ([], [], [])
    assert len(found.rows) == 2


def test_a_span_that_failed_without_an_error_leaves_the_cause_to_its_caller() -> None:
    found = chain(
        [span("entry", failed=True), span("deep", "entry", failed=True)], [error("e", "entry")]
    )
    assert found.root_cause == "e"
    assert [row.failed for row in found.rows] == [True, True]


def test_a_trace_thousands_deep_needs_no_recursion() -> None:
    spans = [span(f"{n}", f"{n - 1}" if n else "", n, failed=True) for n in range(10_000)]
    found = chain(spans, [error(f"e{n}", f"{n}", n) for n in range(0, 10_000, 1_000)])
    assert found.events[0] == "e9000"
    assert found.rows[-1].depth == 9_999


names = st.sampled_from("abcdefgh")
spans_of_a_trace = st.builds(
    span,
    names,
    st.one_of(names, st.sampled_from(["", "lost", "gone"])),
    st.integers(0, 5),
    service=st.sampled_from(["planner", "graph"]),
    failed=st.booleans(),
    end=st.integers(5, 20),
    trace=st.sampled_from(["1", "2", ""]),
)
errors_of_a_trace = st.builds(
    error,
    st.sampled_from([f"e{n}" for n in range(6)]),
    st.one_of(names, st.sampled_from(["", "unknown"])),
    st.integers(0, 9),
    service=st.sampled_from(["planner", "graph", "redis"]),
    trace=st.sampled_from(["1", "2", ""]),
)
traces = st.tuples(st.lists(spans_of_a_trace, max_size=12), st.lists(errors_of_a_trace, max_size=8))
Trace = tuple[list[ChainSpan], list[ChainError]]


def shuffled(items: Sequence[object], seed: int) -> list[object]:
    return random.Random(seed).sample(items, len(items))


@given(traces, st.integers())
def test_no_order_of_arrival_and_no_repetition_changes_a_chain(trace: Trace, seed: int) -> None:
    spans, errors = trace
    found = chain(spans, errors)
    assert chain(shuffled(spans, seed), shuffled(errors, seed)) == found
    assert chain([*spans, *reversed(spans)], [*errors, *reversed(errors)]) == found


@given(traces)
def test_every_error_is_told_once_and_the_first_is_the_root_cause(trace: Trace) -> None:
    spans, errors = trace
    found = chain(spans, errors)
    assert sorted(found.events) == sorted({each.id for each in errors})
    assert found.root_cause == (found.events[0] if found.events else None)


@given(traces)
def test_every_span_has_its_row_below_its_parent(trace: Trace) -> None:
    spans, errors = trace
    found = chain(spans, errors)
    drawn = [(row.trace_id, row.span_id) for row in found.rows]
    assert len(drawn) == len(set(drawn))
    assert {(each.trace_id, each.id) for each in spans} <= set(drawn)
    above: list[str] = []
    for row in found.rows:
        assert row.depth <= len(above)
        del above[row.depth :]
        assert row.parent_id == (above[-1] if above else "")
        above.append(row.span_id)


@given(traces)
def test_a_gap_is_what_was_named_and_never_arrived(trace: Trace) -> None:
    spans, errors = trace
    known = {(each.trace_id, each.id) for each in spans}
    unique = {each.id: each for each in sorted(errors)}.values()
    found = chain(spans, errors)
    gaps = {(gap.trace_id, gap.span_id) for gap in found.gaps}
    assert not gaps & known
    for each in unique:
        if each.span_id:
            assert (each.trace_id, each.span_id) in gaps | known


@given(traces)
def test_no_callee_s_error_comes_behind_its_caller_s(trace: Trace) -> None:
    found = chain(*trace)
    place = {event: index for index, event in enumerate(found.events)}
    above: list[list[str]] = []
    for row in found.rows:
        del above[row.depth :]
        for caller in above:
            assert all(place[own] < place[other] for own in row.errors for other in caller)
        above.append(row.errors)


@given(st.lists(st.integers(0, 1_000)), st.integers(0, 100))
def test_windows_part_where_the_silence_is_longer_than_the_window(
    times: list[int], window: int
) -> None:
    groups = windows(times, window)
    assert sorted(index for group in groups for index in group) == list(range(len(times)))
    moments = [[times[index] for index in group] for group in groups]
    for group in moments:
        assert all(0 <= b - a <= window for a, b in pairwise(group))
    for before, after in pairwise(moments):
        assert after[0] - before[-1] > window

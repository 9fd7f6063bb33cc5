"""Adding, subtracting and reading distributions, and the growth of running totals."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.distributions import MAX_BUCKETS, add, normal, quantile, subtract
from analytics.domain.streams import YOUNG_NS, Growth, Total, growth

counts = st.integers(0, 2**40)
bounds = st.lists(st.floats(-1e6, 1e6), unique=True, max_size=12).map(sorted)


@st.composite
def explicit(draw: st.DrawFn, edges: list[float] | None = None) -> dict[str, Any]:
    edges = draw(bounds) if edges is None else edges
    size = len(edges) + 1
    return {"bounds": edges, "counts": draw(st.lists(counts, min_size=size, max_size=size))}


@st.composite
def exponential(draw: st.DrawFn) -> dict[str, Any]:
    def part() -> dict[str, Any] | None:
        return draw(
            st.none()
            | st.fixed_dictionaries(
                {
                    "offset": st.integers(-(2**31), 2**31),
                    "counts": st.lists(counts, max_size=200),
                }
            )
        )

    document = normal(
        {
            "scale": draw(st.integers(-12, 20)),
            "zero_count": draw(counts),
            "positive": part(),
            "negative": part(),
        }
    )
    assert document is not None
    return document


def total(document: dict[str, Any]) -> int:
    if "bounds" in document:
        return sum(document["counts"])
    return document["zero_count"] + sum(
        sum(document[sign]["counts"]) for sign in ("positive", "negative")
    )


def observed(values: list[float], scale: int) -> dict[str, Any]:
    """The exponential histogram of positive values, by the definition of its buckets."""
    base = 2.0 ** (2.0**-scale)
    indexes = [math.ceil(math.log(value, base)) - 1 for value in values]
    low = min(indexes)
    tally = [indexes.count(i) for i in range(low, max(indexes) + 1)]
    document = normal(
        {"scale": scale, "zero_count": 0, "positive": {"offset": low, "counts": tally}}
    )
    assert document is not None
    return document


@given(st.tuples(explicit(), explicit()) | st.tuples(exponential(), exponential()))
def test_adding_loses_no_observation(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    a, b = pair
    both = add(a, b)
    assert both is not None
    assert total(both) == total(a) + total(b)
    assert add(b, a) == both
    assert add(a, None) == a
    assert add(None, b) == b
    if "scale" in both:
        assert all(len(both[s]["counts"]) <= MAX_BUCKETS for s in ("positive", "negative"))


@given(st.data(), bounds)
def test_subtracting_undoes_adding(data: st.DataObject, edges: list[float]) -> None:
    a, b = data.draw(explicit(edges)), data.draw(explicit(edges))
    assert subtract(add(a, b), b) == a


@given(exponential(), exponential())
def test_subtracting_undoes_adding_up_to_the_scale(a: dict[str, Any], b: dict[str, Any]) -> None:
    both = add(a, b)
    assert both is not None
    rest = subtract(both, b)
    assert rest is not None
    assert total(rest) == total(a)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40), st.integers(-2, 6))
def test_an_exponential_quantile_is_within_its_bucket(values: list[float], scale: int) -> None:
    document = observed(values, scale)
    width = 2.0 ** (2.0 ** -document["scale"])
    for q in (0.0, 0.5, 1.0):
        true = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
        read = quantile(document, q)
        assert read is not None
        assert true / width * 0.999 <= read <= true * width * 1.001


@given(
    st.lists(st.floats(0.001, 1e6), min_size=1, max_size=30),
    st.lists(st.floats(0.001, 1e6), min_size=1, max_size=30),
)
def test_added_exponentials_are_that_of_all_values(a: list[float], b: list[float]) -> None:
    both = add(observed(a, 3), observed(b, 1))
    together = observed(a + b, 1)
    scale = min(both["scale"], together["scale"]) if both else 0
    coarse = {"scale": scale, "zero_count": 0, "positive": None, "negative": None}
    start = normal(coarse)
    assert add(both, start) == add(together, start)


def test_different_bounds_meet_in_those_they_share() -> None:
    a = {"bounds": [1.0, 2.0, 5.0], "counts": [1, 2, 3, 4]}
    b = {"bounds": [2.0, 3.0, 5.0], "counts": [10, 20, 30, 40]}
    assert add(a, b) == {"bounds": [2.0, 5.0], "counts": [13, 53, 44]}
    assert add(a, {"bounds": [9.0], "counts": [1, 1]}) == {"bounds": [], "counts": [12]}


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        {"bounds": [1.0], "counts": [1]},
        {"bounds": [2.0, 1.0], "counts": [1, 1, 1]},
        {"bounds": [math.nan], "counts": [1, 1]},
        {"bounds": [1.0], "counts": [1, -1]},
        {"scale": 900, "zero_count": 0, "positive": {"offset": 0, "counts": [1]}},
        {"scale": 0, "zero_count": 0, "positive": {"offset": 2**40, "counts": [1]}},
        {"scale": 0, "zero_count": -1},
    ],
)
def test_what_is_no_distribution_is_none(broken: Any) -> None:
    assert normal(broken) is None


@pytest.mark.parametrize(
    ("q", "value"), [(0.0, 0.0), (0.25, 1.0), (0.5, 1.5), (0.75, 2.0), (1.0, 2.0)]
)
def test_quantiles_interpolate_and_never_pass_the_last_bound(q: float, value: float) -> None:
    assert quantile({"bounds": [1.0, 2.0], "counts": [1, 2, 1]}, q) == pytest.approx(value)


def test_no_observations_have_no_quantile() -> None:
    assert quantile(None, 0.5) is None
    assert quantile({"bounds": [1.0], "counts": [0, 0]}, 0.5) is None
    assert quantile({"bounds": [], "counts": [5]}, 0.5) is None
    assert quantile({"quantiles": []}, 0.5) is None


# --- running totals ---------------------------------------------------------------------------

START = 1_000_000_000_000_000_000


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.sets(st.integers(0, 29)))
def test_growth_adds_up_to_all_that_was_counted(steps: list[int], resets: set[int]) -> None:
    """A writer counts up, and sometimes restarts; the first total is young, so all is seen."""
    seen, value, start, before = 0.0, 0, START, None
    for index, step in enumerate(steps):
        if index in resets and index:
            start, value = START + index * 1_000 - 500, 0
        value += step
        now = Total(start, START + index * 1_000, float(value), 0, None)
        grown = growth(before, now, first_ever=False)
        assert grown is not None
        assert grown.reset == (index in resets and bool(index))
        seen += grown.value
        before = now
    assert seen == sum(steps)


def test_a_total_is_young_for_two_minutes() -> None:
    def first(age_ns: int, *, start: int = START, known: bool = False) -> Growth | None:
        return growth(None, Total(start, start + age_ns, 5.0, 0, None), first_ever=known)

    assert first(YOUNG_NS) == Growth(5.0, 0, None, reset=False)
    assert first(YOUNG_NS + 1) is None
    assert first(YOUNG_NS + 1, known=True) == Growth(5.0, 0, None, reset=False)
    assert first(5, start=0) is None


def test_a_sum_of_observations_may_fall_without_a_reset() -> None:
    document = {"bounds": [0.0], "counts": [1, 1]}
    before = Total(START, START + 1, 3.0, 2, document)
    now = Total(START, START + 2, -7.0, 3, {"bounds": [0.0], "counts": [2, 1]})
    assert growth(before, now, first_ever=False) == Growth(
        -10.0, 1, {"bounds": [0.0], "counts": [1, 0]}, reset=False
    )


def test_a_count_that_fell_in_one_bucket_is_a_reset() -> None:
    before = Total(START, START + 1, 3.0, 3, {"bounds": [1.0], "counts": [3, 0]})
    now = Total(START, START + 2, 9.0, 4, {"bounds": [1.0], "counts": [0, 4]})
    assert growth(before, now, first_ever=False) == Growth(9.0, 4, now.distribution, reset=True)

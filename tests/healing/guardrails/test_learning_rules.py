"""What past runs teach, as pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.domain.learning import Outcome, Rung, Tries, rungs_ordered, suggestion_of
from healing.domain.wilson import wilson_lower, wilson_upper

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
LADDER: Final = [
    Rung(each, each) for each in ("reprobe", "recycle_pool", "warm_cache", "restart", "degrade")
]


def outcomes(healed: str) -> list[Outcome]:
    """`+` healed and `-` did not, the last run first."""
    return [Outcome(NOW - n * timedelta(hours=1), each == "+") for n, each in enumerate(healed)]


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"),
    # By the formula of Wilson (1927), as R's prop.test(correct = FALSE) gives it.
    [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0)],
)
def test_wilson_bounds_are_those_of_the_literature(
    successes: int, trials: int, lower: float, upper: float
) -> None:
    assert wilson_lower(successes, trials) == pytest.approx(lower, abs=1e-4)
    assert wilson_upper(successes, trials) == pytest.approx(upper, abs=1e-4)


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_share_that_was_seen_lies_between_its_bounds(seen: tuple[int, int]) -> None:
    successes, trials = seen
    share = successes / trials if trials else 0.5
    low, high = wilson_lower(*seen), wilson_upper(*seen)
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1
    # More of the same narrows what is known.
    assert wilson_lower(2 * successes, 2 * trials) >= low


def test_more_successes_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="between none and all"):
        wilson_lower(2, 1)


@pytest.mark.parametrize(
    ("mode", "runs", "to"),
    [
        ("suggest", "+" * 10, "approve"),
        ("approve", "+" * 10, "auto"),
        ("approve", "+" * 9, None),
        ("approve", "+" * 9 + "-", None),
        ("approve", "+" * 19 + "-", "auto"),
        ("auto", "+" * 30, None),
        ("auto", "---" + "+" * 30, "approve"),
        ("auto", "--" + "+" * 30, None),
        ("auto", "+----", "approve"),
        ("approve", "-+---", "suggest"),
        ("suggest", "-----", None),
        ("auto", "", None),
    ],
)
def test_a_mode_is_suggested_by_what_the_runs_came_to(mode: str, runs: str, to: str | None) -> None:
    found = suggestion_of(mode, outcomes(runs), 3)
    assert (found.to_mode if found else None) == to
    if found is not None:
        assert found.from_mode == mode
        assert found.at == NOW
        assert found.why
        assert found.promotion is (to == "auto" or mode == "suggest")


def test_a_ladder_without_history_is_climbed_as_written() -> None:
    assert rungs_ordered(LADDER, {}, {}) == [each.step for each in LADDER]


def test_what_worked_goes_first_and_what_never_worked_before_doing_without() -> None:
    kind = {
        "recycle_pool": Tries(0, 4),
        "restart": Tries(6, 6),
        "degrade": Tries(9, 9),
    }
    assert rungs_ordered(LADDER, {}, kind) == [
        "reprobe", "restart", "warm_cache", "recycle_pool", "degrade",
    ]  # fmt: skip


def test_what_worked_on_the_service_itself_goes_before_what_worked_on_others() -> None:
    own = {"warm_cache": Tries(2, 2)}
    kind = {"warm_cache": Tries(2, 9), "restart": Tries(50, 50)}
    assert rungs_ordered(LADDER, own, kind)[:3] == ["reprobe", "warm_cache", "restart"]


@given(
    st.lists(st.sampled_from("abcdef"), unique=True, min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)),
    st.data(),
)
def test_every_rung_is_climbed_once_and_after_those_it_names(
    steps: list[str], healed: dict[str, int], data: st.DataObject
) -> None:
    rungs = [
        Rung(step, step, frozenset(data.draw(st.sets(st.sampled_from(steps[:n]))) if n else ()))
        for n, step in enumerate(steps)
    ]
    found = rungs_ordered(rungs, {}, {key: Tries(n, 9) for key, n in healed.items()})
    assert sorted(found) == sorted(steps)
    for rung in rungs:
        assert all(found.index(each) < found.index(rung.step) for each in rung.after)


def test_rungs_that_wait_for_each_other_are_still_all_climbed() -> None:
    rungs = [Rung("a", "a", frozenset("b")), Rung("b", "b", frozenset("a"))]
    assert sorted(rungs_ordered(rungs, {}, {})) == ["a", "b"]

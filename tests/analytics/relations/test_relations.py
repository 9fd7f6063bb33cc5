"""Which of two things comes before the other, and what is no more than chance."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.domain.relations import (
    FALSE_SHARE,
    MIN_LIFT,
    MIN_SUPPORT,
    attributable,
    matches,
    relations,
)
from analytics.selectors.relation_onsets import MOST_PATTERNS

DAY = 86_400.0
WITHIN = 300.0
moments = st.lists(st.floats(0, DAY), max_size=30)


def spread(chance: random.Random, times: int) -> list[float]:
    return [chance.uniform(0, DAY) for _ in range(times)]


def test_what_follows_again_and_again_is_found_with_its_figures() -> None:
    base = [3_600.0 * n for n in range(1, 11)]
    found = relations(
        {"cause": base, "effect": [at + 40 for at in base[:8]], "other": [1_000.0, 9e3, 4e4]},
        length=DAY,
        within=WITHIN,
    )
    (only,) = found
    assert (only.before, only.after, only.support) == ("cause", "effect", 8)
    assert (only.confidence, only.lag, only.before_spells) == (0.8, 40.0, 10)
    assert 0.05 < only.expected < 0.06
    assert abs(only.lift - 0.8 / only.expected) < 1e-9


def test_without_a_lag_what_is_called_comes_first() -> None:
    base = [3_600.0 * n for n in range(1, 9)]
    onsets = {"web": base, "database": [at + 0.5 for at in base]}
    calls = {("web", "database")}
    (found,) = relations(
        onsets, length=DAY, within=WITHIN, calls=lambda one, other: (one, other) in calls
    )
    assert (found.before, found.by_dependency, found.lag) == ("database", True, -0.5)
    (by_lag,) = relations(onsets, length=DAY, within=WITHIN)
    assert (by_lag.before, by_lag.by_dependency) == ("web", False)
    (one_clock,) = relations(
        onsets,
        length=DAY,
        within=WITHIN,
        calls=lambda one, other: (one, other) in calls,
        same_clock=lambda one, other: True,
    )
    assert one_clock.before == "web"


def test_a_lag_longer_than_clocks_differ_beats_the_dependency() -> None:
    base = [3_600.0 * n for n in range(1, 9)]
    (found,) = relations(
        {"web": base, "database": [at + 60 for at in base]},
        length=DAY,
        within=WITHIN,
        calls=lambda one, other: (one, other) == ("web", "database"),
    )
    assert (found.before, found.by_dependency) == ("web", False)


def test_of_many_patterns_by_chance_hardly_any_are_related() -> None:
    chance = random.Random(6)
    false = 0
    for _ in range(5):
        onsets = {n: spread(chance, chance.randint(3, 60)) for n in range(60)}
        false += len(relations(onsets, length=DAY, within=WITHIN))
    # 8,850 pairs in all; tested each by itself at this level, 88 of them would be.
    assert false <= 3


def test_a_true_pair_is_found_among_many() -> None:
    chance = random.Random(7)
    onsets = {f"noise {n}": spread(chance, 20) for n in range(60)}
    cause = sorted(spread(chance, 15))
    onsets["cause"] = cause
    onsets["effect"] = [at + chance.uniform(20, 90) for at in cause]
    found = relations(onsets, length=DAY, within=WITHIN)
    assert ("cause", "effect") in {(each.before, each.after) for each in found}


def test_as_many_patterns_as_are_looked_at_take_short() -> None:
    chance = random.Random(8)
    onsets = {n: spread(chance, 40) for n in range(MOST_PATTERNS)}
    began = time.process_time()
    relations(onsets, length=DAY, within=WITHIN)
    assert time.process_time() - began < 20


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 6), moments, max_size=6), st.integers(0, 5))
def test_figures_are_within_their_bounds_whatever_comes(
    onsets: dict[int, list[float]], shift: int
) -> None:
    onsets[99] = [at + shift for at in onsets.get(0, [])]
    found = relations(onsets, length=DAY, within=WITHIN)
    for each in found:
        assert each.before != each.after
        assert MIN_SUPPORT <= each.support <= min(each.before_spells, each.after_spells)
        assert 0 < each.confidence <= 1
        assert 0 <= each.expected <= 1
        assert each.lift >= MIN_LIFT
        assert abs(each.lag) <= WITHIN
        assert 0 <= each.p_value <= FALSE_SHARE
    pairs = [frozenset((each.before, each.after)) for each in found]
    assert len(pairs) == len(set(pairs))


@given(moments, moments)
def test_matches_are_one_to_one_and_near(one: list[float], other: list[float]) -> None:
    lags = matches(sorted(one), sorted(other), WITHIN)
    assert len(lags) <= min(len(one), len(other))
    assert all(abs(lag) <= WITHIN for lag in lags)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0, 1))
def test_what_chance_does_not_account_for_is_a_share(
    together: int, of: int, by_chance: float
) -> None:
    assert 0 <= attributable(min(together, of), of, by_chance) <= 1


def test_the_share_grows_with_what_was_seen_and_falls_with_chance() -> None:
    assert attributable(1, 1, 0.01) < attributable(20, 20, 0.01)
    assert attributable(20, 20, 0.5) < attributable(20, 20, 0.01)
    assert attributable(1, 20, 0.3) == 0

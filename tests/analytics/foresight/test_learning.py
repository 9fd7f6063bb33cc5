"""Trees, features, rhythm, alarms and their score: what predictions are made of."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.domain.foresight import features
from analytics.domain.foresight import model as model_module
from analytics.domain.foresight.alarms import score, spaced
from analytics.domain.foresight.histories import histories_of
from analytics.domain.foresight.model import Aim, Model, calibrated, fit_model
from analytics.domain.foresight.recurrence import recurrence_of
from analytics.domain.foresight.trees import Growth, Trees, fit

HOUR = 3600.0
DAY = 24 * HOUR
HORIZON = 48 * HOUR

times = st.integers(0, 2_000).map(lambda hour: hour * HOUR)
events = st.lists(st.tuples(st.just("a"), times, st.sampled_from("xyz")), min_size=1, max_size=40)
failures = st.lists(st.tuples(st.just("a"), times), max_size=8)


def test_trees_tell_apart_what_only_two_columns_together_say() -> None:
    random = np.random.default_rng(1)
    table = random.normal(size=(1_500, 5))
    table[::7, 2] = np.inf
    answers = (table[:, 0] > 0) != (table[:, 1] > 0)
    trees = fit(table[:1_000], answers[:1_000], random, Growth(rounds=60, columns=1.0))
    found = trees.log_odds(table[1_000:]) > 0
    assert (found == answers[1_000:]).mean() > 0.9
    again = Trees.from_json(json.loads(json.dumps(trees.as_json())))
    assert np.allclose(again.log_odds(table), trees.log_odds(table), atol=1e-3)


def test_trees_need_rows_of_both_answers() -> None:
    with pytest.raises(ValueError, match="both answers"):
        fit(np.zeros((3, 1)), np.ones(3, dtype=bool), np.random.default_rng(1))


def test_columns_without_difference_leave_the_share_of_all_rows() -> None:
    trees = fit(np.ones((40, 3)), np.arange(40) < 10, np.random.default_rng(1))
    assert 1 / (1 + np.exp(-trees.log_odds(np.ones((1, 3)))))[0] == pytest.approx(0.25, abs=0.06)


@settings(max_examples=25, deadline=None)
@given(events, failures, events, failures)
def test_rows_of_a_moment_know_nothing_of_what_comes_later(
    told: list[tuple[str, float, str]],
    failed: list[tuple[str, float]],
    later: list[tuple[str, float, str]],
    failed_later: list[tuple[str, float]],
) -> None:
    before = histories_of(told, failed, types=("x", "y", "z"))
    end = before.until
    more = histories_of(
        [*told, *((name, end + 1 + at, kind) for name, at, kind in later)],
        # A failure at the very moment is not past either.
        [*failed, *((name, end + at) for name, at in failed_later)],
        types=("x", "y", "z"),
    )
    plan = features.plan_of(before, HORIZON, failures_known=True)
    moments = before.entities["a"].moments
    first = features.rows(plan, features.renumbered(before, plan.types).entities["a"], moments)
    second = features.rows(plan, features.renumbered(more, plan.types).entities["a"], moments)
    assert np.array_equal(first, second)
    assert first.shape == (len(moments), len(plan.columns()))


def test_types_that_were_not_learnt_count_as_other() -> None:
    plan = features.plan_of(
        histories_of([("a", 0.0, "x"), ("a", 9.0, "y")], []), HORIZON, failures_known=False
    )
    strange = features.renumbered(histories_of([("a", 0.0, "q")], []), plan.types)
    row = dict(
        zip(
            plan.columns(),
            features.rows(plan, strange.entities["a"], np.zeros(1))[0],
            strict=True,
        )
    )
    assert row["other now"] == 1
    assert row["x now"] == 0
    assert row["since x"] == np.inf


def test_failures_in_rhythm_are_likelier_when_their_time_comes() -> None:
    weekly = [np.arange(start, 60.0, 7.0) * DAY for start in range(6)]
    rhythm = recurrence_of(weekly, 0.0, 60 * DAY)
    due, not_due = rhythm.ratio(np.array([6.5 * DAY, 3.0 * DAY]), DAY)
    assert due > 4
    assert not_due < 0.25
    nothing = recurrence_of([], 0.0, 0.0)
    assert nothing.ratio(np.array([DAY]), DAY)[0] == 1.0


@given(st.lists(times, max_size=60).map(sorted), st.floats(1.0, 1e6))
def test_alarms_are_spaced_and_none_is_lost_for_longer(at: list[float], quiet: float) -> None:
    moments = np.array(at, dtype=np.float64)
    kept = moments[spaced(moments, quiet)]
    assert (np.diff(kept) >= quiet).all()
    for moment in moments:
        assert ((kept <= moment) & (moment - kept < quiet)).any()


def test_a_score_counts_alarms_failures_and_days() -> None:
    histories = histories_of(
        [("a", 0.0, "x"), ("b", 10 * DAY, "x")], [("a", 3 * DAY), ("a", 9 * DAY), ("b", 5 * DAY)]
    )
    result = score(
        {
            # Right, too early, at the very moment of the failure: one of three.
            "a": np.array([1.0 * DAY, 6.5 * DAY, 9.0 * DAY]),
            "b": np.array([3.5 * DAY, 4.5 * DAY]),
        },
        histories,
        HORIZON,
    )
    assert (result.alarms, result.hits, result.failures, result.foreseen) == (5, 3, 3, 2)
    assert result.precision == 3 / 5
    assert result.recall == 2 / 3
    assert result.false_per_day == pytest.approx(2 / 20)
    assert result.lead_seconds == pytest.approx(1.75 * DAY)


def test_a_score_of_no_alarms_is_not_a_precision_of_nought() -> None:
    result = score({}, histories_of([("a", 0.0, "x")], []), HORIZON)
    assert result.precision is None
    assert result.recall is None
    assert result.f1 == 0.0


def test_calibration_makes_overstated_odds_honest() -> None:
    random = np.random.default_rng(3)
    odds = random.normal(size=20_000)
    answers = random.random(20_000) < 1 / (1 + np.exp(-(odds - 1)))
    slope, shift = calibrated(3 * odds, answers)
    assert slope == pytest.approx(1 / 3, abs=0.03)
    assert shift == pytest.approx(-1, abs=0.1)


def test_few_entities_are_learnt_from_by_stretches_of_time() -> None:
    random = np.random.default_rng(5)
    told: list[tuple[str, float, str]] = []
    failed: list[tuple[str, float]] = []
    for name in ("planner", "mail"):
        for at in random.choice(400, 40, replace=False) * DAY:
            failed.append((name, at))
            told += [(name, at - 20 * HOUR, "slow"), (name, at - 19 * HOUR, "refused")]
        told += [(name, at, "slow") for at in random.uniform(0, 400 * DAY, 150)]
    histories = histories_of(told, failed)
    quick = Growth(rounds=60, rate=0.15)
    model = fit_model(histories, Aim(HORIZON, DAY, 0.1), np.random.default_rng(1), growth=quick)
    assert model.held_back.f1 > 0.8
    again = Model.from_json(json.loads(json.dumps(model.as_json())))
    history = features.renumbered(histories, again.plan.types).entities["mail"]
    chances = model.chances(history, history.moments)
    assert np.allclose(again.chances(history, history.moments), chances, atol=1e-3)
    assert again.held_back == model.held_back
    # Probabilities come true about as often as they say.
    answers = features.answers(history, history.moments, HORIZON)
    assert chances.mean() == pytest.approx(answers.mean(), abs=0.08)


def test_too_few_failures_are_not_learnt_from() -> None:
    histories = histories_of([("a", 0.0, "x")], [("a", DAY)])
    with pytest.raises(ValueError, match="needs 20 failures to learn from, has 1"):
        fit_model(histories, Aim(HORIZON, DAY), np.random.default_rng(1))


def test_long_histories_are_learnt_from_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "_MOST_MOMENTS", 1_200)
    random = np.random.default_rng(9)

    def fitted(names: range, quick: Growth) -> Model:
        told: list[tuple[str, float, str]] = []
        failed: list[tuple[str, float]] = []
        for name in map(str, names):
            told += [(name, at, "noise") for at in random.uniform(0, 400 * DAY, 450)]
            for at in random.uniform(5, 400, 30) * DAY:
                failed.append((name, at))
                told.append((name, at - 20 * HOUR, "sign"))
        aim = Aim(HORIZON, DAY, 0.1, spacing=HOUR)
        return fit_model(histories_of(told, failed), aim, random, growth=quick)

    quick = Growth(rounds=30, rate=0.3)
    for names in (range(14), range(4)):
        model = fitted(names, quick)
        assert model.held_back.failures < 30 * len(names)
        assert model.held_back.f1 > 0.8

"""The detector of one series: what it finds, what it leaves alone, and what it can be fed."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.domain.anomalies.detector import NEEDS, REFRACTORY, THRESHOLD, Detector, Verdict
from analytics.domain.anomalies.expectation import Expectation

STEP = 300
DAY = 86_400 // STEP


def daily(count: int, seed: int = 1) -> list[float]:
    """A wave by the day, with noise of 5 % of its height."""
    noise = random.Random(seed)
    return [100 + 20 * math.sin(2 * math.pi * i / DAY) + noise.gauss(0, 2) for i in range(count)]


def judged(values: list[float | None], detector: Detector | None = None) -> list[Verdict]:
    detector = detector or Detector()
    return [detector.update(row * STEP, value) for row, value in enumerate(values)]


def alarms(values: list[float | None]) -> list[int]:
    return [row for row, verdict in enumerate(judged(values)) if verdict.is_anomaly]


def test_a_jump_is_found_at_once_and_told_once() -> None:
    values = daily(5 * DAY)
    for row in range(1300, 1350):
        values[row] += 60
    assert [row for row in alarms([*values]) if row >= 1290][:1] == [1300]
    assert len([row for row in alarms([*values]) if 1300 <= row < 1300 + REFRACTORY]) == 1


def test_a_quiet_night_at_noon_is_found_though_each_value_is_common() -> None:
    values = daily(6 * DAY)
    noon = 5 * DAY + DAY // 4
    for row in range(noon, noon + 40):
        values[row] -= 40
    assert any(noon <= row < noon + 10 for row in alarms([*values]))


def test_noise_alone_raises_few_alarms() -> None:
    noise = random.Random(3)
    assert len(alarms([noise.gauss(50, 5) for _ in range(1200)])) <= 4


def test_what_was_expected_is_told_with_its_band() -> None:
    values = daily(4 * DAY)
    peak = 3 * DAY + DAY // 4
    verdict = judged([*values[:peak], 500.0])[-1]
    assert verdict.expected == pytest.approx(120, abs=6)
    assert verdict.lower is not None
    assert verdict.upper is not None
    assert verdict.lower < 120 < verdict.upper < 150


def test_a_constant_series_is_never_unusual() -> None:
    assert {verdict.score for verdict in judged([0.1] * 600)} == {0.0}


def test_the_first_change_of_a_constant_series_is_an_anomaly() -> None:
    assert alarms([*[45.0] * 1000, 46.0]) == [1000]


def test_too_few_values_are_not_judged() -> None:
    values = [*daily(NEEDS - 1), 1e6]
    assert {verdict.score for verdict in judged([*values])} == {0.0}


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_a_missing_value_scores_nothing_and_teaches_nothing(missing: float | None) -> None:
    values = daily(400)
    gaps = [(row, value) for row, value in enumerate(values) if row % 7]
    plain, gapped = Detector(), Detector()
    expected = [plain.update(row * STEP, value) for row, value in gaps]
    found = []
    for row, value in enumerate(values):
        verdict = gapped.update(row * STEP, value if row % 7 else missing)
        if row % 7:
            found.append(verdict)
        else:
            assert verdict.score == 0
    assert found == expected


values_of_all_kinds = st.one_of(
    st.none(),
    st.sampled_from([0.0, 1.0, 1.0, 1.0, 2.0, -0.0, 1e308, -1e308, 5e-324, math.nan, math.inf]),
    st.floats(),
)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-(10**6), 10**11), values_of_all_kinds), max_size=40),
    st.integers(0, 250),
)
def test_any_series_gives_scores_between_0_and_1(
    odd: list[tuple[int, float | None]], before: int
) -> None:
    detector = Detector()
    rows: list[tuple[int, float | None]] = [
        (row * 60, value) for row, value in enumerate(daily(before))
    ]
    for at, value in [*rows, *odd]:
        verdict = detector.update(at, value)
        assert 0 <= verdict.score <= 1
        assert verdict.rarity >= 0
        for bound in (verdict.expected, verdict.lower, verdict.upper):
            assert bound is None or math.isfinite(bound)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_a_score_depends_on_no_later_value(data: st.DataObject) -> None:
    values: list[float | None] = [*daily(data.draw(st.integers(150, 400)))]
    cut = data.draw(st.integers(1, len(values)))
    other = values[:cut] + data.draw(st.lists(st.floats(allow_nan=False), max_size=20))
    assert judged(values)[:cut] == judged(other)[:cut]


@pytest.mark.parametrize("cut", [1, 700])
def test_what_is_known_survives_being_written_down(cut: int) -> None:
    values = daily(800)
    values[cut - 1 : cut + 2] = [400.0] * len(values[cut - 1 : cut + 2])
    whole, first = Detector(), Detector()
    expected = [whole.update(row * STEP, value).score for row, value in enumerate(values)]
    for row in range(cut):
        first.update(row * STEP, values[row])
    second = Detector.load(first.dump())
    found = [second.update(row * STEP, values[row]).score for row in range(cut, len(values))]
    assert found == pytest.approx(expected[cut:], abs=1e-6)
    assert second.points == len(values)


def test_the_threshold_is_half() -> None:
    assert THRESHOLD == 0.5


def test_the_minutes_before_midnight_are_not_taken_for_a_past_day() -> None:
    expectation = Expectation()
    for minute in range(-300, 0):
        expectation.add(minute * 60, 5.0 if minute < -4 else 900.0)
    assert expectation.expected(0) == 5.0

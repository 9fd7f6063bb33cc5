"""Numbers and times as people read them, and sparklines."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience_site.core import formatting, sparklines
from resilience_site.core.badges import BADGES, badge_for

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "n/a"),
        (float("nan"), "n/a"),
        (0, "0 s"),
        (0.00084, "840 µs"),
        (0.0124, "12.4 ms"),
        (0.9996, "1 s"),
        (1.24, "1.24 s"),
        (59.96, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h"),
        (-0.5, "-500 ms"),
    ],
)
def test_durations_have_three_digits_and_a_fitting_unit(seconds: float | None, text: str) -> None:
    assert formatting.duration(seconds) == text


@given(FINITE)
def test_every_duration_is_a_number_with_a_unit(seconds: float) -> None:
    text = formatting.duration(seconds)
    assert re.fullmatch(r"-?[0-9.]+ (µs|ms|s|min|h|d)( [0-9]+ (s|min|h))?", text)
    assert "1000 " not in text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(milliseconds=400), "just now"),
        (timedelta(seconds=12), "12 s ago"),
        (timedelta(seconds=200), "3 min ago"),
        (timedelta(hours=50), "2 d ago"),
        (timedelta(seconds=-90), "in 1 min"),
    ],
)
def test_relative_times_use_one_unit(ago: timedelta, text: str) -> None:
    assert formatting.relative(NOW - ago, NOW) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (21, 500, "4.2 %"),
        (0, 500, "0 %"),
        (500, 500, "100 %"),
        (0, 0, "n/a"),
        (1, 10_000_000, "<0.01 %"),
        (9_999_999, 10_000_000, ">99.99 %"),
        (9_990, 10_000, "99.9 %"),
    ],
)
def test_percentages_never_round_to_a_false_nothing_or_all(
    part: int, whole: int, text: str
) -> None:
    assert formatting.percent(part, whole) == text


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_only_nothing_is_zero_percent_and_only_all_is_a_hundred(part: int, rest: int) -> None:
    whole = part + rest
    assert (formatting.percent(part, whole) == "0 %") == (part == 0)
    assert formatting.percent(part, whole) != "100 %"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (950, "950"),
        (9_999, "9,999"),
        (12_400, "12.4k"),
        (999_900, "1M"),
        (0.5, "0.5"),
    ],
)
def test_large_numbers_are_short(value: float | None, text: str) -> None:
    assert formatting.compact(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "last 60 s"), (900, "last 15 min"), (3600, "last 1 h"), (86_400, "last 24 h")],
)
def test_windows_have_the_names_that_people_use(seconds: int, text: str) -> None:
    assert formatting.window(seconds) == text


@given(st.lists(st.one_of(st.none(), FINITE), max_size=60))
def test_sparklines_stay_in_their_box(values: list[float | None]) -> None:
    drawn = sparklines.sparkline(values)
    points = re.findall(r"(-?[0-9.]+) (-?[0-9.]+)", drawn.line)
    assert all(0 <= float(x) <= sparklines.WIDTH for x, _ in points)
    assert all(0 <= float(y) <= sparklines.HEIGHT for _, y in points)
    assert bool(points) == any(value is not None for value in values)


@given(st.lists(st.one_of(st.none(), FINITE), max_size=60))
def test_each_stretch_between_gaps_is_a_line_of_its_own(values: list[float | None]) -> None:
    known = "".join("." if value is None else "#" for value in values)
    stretches = [stretch for stretch in known.split(".") if stretch]
    assert sparklines.sparkline(values).line.count("M") == len(stretches)


def test_every_state_has_word_tone_and_shape() -> None:
    for kind, values in BADGES.items():
        looks = [(badge.word, badge.tone, badge.icon) for badge in values.values()]
        assert all(all(look) for look in looks), kind
        assert len({icon for _, _, icon in looks}) == len(looks), (
            f"{kind}: two states share a shape"
        )


def test_an_unknown_state_keeps_its_own_word() -> None:
    badge = badge_for("pattern", "half_forgotten")
    assert (badge.word, badge.tone) == ("Half forgotten", "idle")

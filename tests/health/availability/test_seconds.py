"""Seconds by state against a model that walks second by second."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health.domain.availability import (
    COLUMNS,
    DEFAULT,
    Availability,
    Policy,
    Seconds,
    Segment,
    combined,
    percent_text,
    segments,
    sums,
    total,
    underlying,
)
from health.domain.timeline import UNKNOWN, Turn, stretches
from health.domain.windows import Rule, Span, merged, occurrences

STATES = ["up", "degraded", "down", "unreachable", "unknown"]
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
# Half an hour before the clocks change.
STARTS = {
    "Europe/Berlin": [
        datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    ],
    "America/New_York": [
        datetime(2026, 3, 8, 6, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    ],
}
LENGTH = 90  # minutes


@dataclass(frozen=True)
class Weekly:
    """A window of every day, by the clock on a wall."""

    zone: str
    minute_of_day: int
    seconds: int

    def rule(self) -> Rule:
        hour, minute = divmod(self.minute_of_day, 60)
        time = datetime(2000, 1, 1, hour, minute).time()
        return Rule("weekly", weekdays=frozenset(range(7)), start_time=time,
                    duration=timedelta(seconds=self.seconds), timezone=self.zone)  # fmt: skip

    def begins(self, start: datetime, end: datetime) -> list[datetime]:
        """Each day, the first second at which the clock shows the time or later."""
        found, days = [], set()
        at = start
        while at < end:
            wall = at.astimezone(ZoneInfo(self.zone))
            if wall.date() not in days and wall.hour * 60 + wall.minute >= self.minute_of_day:
                days.add(wall.date())
                found.append(at)
            at += MINUTE
        return found


@st.composite
def scenes(draw: st.DrawFn) -> tuple[datetime, list[Turn], list[Weekly]]:
    """Changes in the order of writing, their times in any order: what is dated back, what a clock
    wrote that had jumped ahead, what was written again after a restart."""
    zone = draw(st.sampled_from(sorted(STARTS)))
    start = draw(st.sampled_from(STARTS[zone]))
    seconds = st.integers(-300, LENGTH * 60 + 300)
    states = draw(st.lists(st.tuples(seconds, st.sampled_from(STATES)), max_size=12))
    turns, before = [], UNKNOWN
    for second, state in states:
        turns.append(Turn(start + second * SECOND, before, state))
        before = state
    windows = st.builds(Weekly, st.just(zone), st.integers(0, 5 * 60), st.integers(1, 5_000))
    return start, turns, draw(st.lists(windows, max_size=3))


def spans(windows: list[Weekly], start: datetime, end: datetime) -> list[Span]:
    return merged(span for each in windows for span in occurrences(each.rule(), start, end))


def state_at(turns: list[Turn], at: datetime) -> str:
    """The last one written that is in effect."""
    return next((turn.state for turn in reversed(turns) if turn.since <= at), UNKNOWN)


@settings(deadline=None)
@given(scenes())
def test_minutes_are_what_a_walk_second_by_second_finds(
    scene: tuple[datetime, list[Turn], list[Weekly]],
) -> None:
    start, turns, windows = scene
    end = start + LENGTH * MINUTE

    begins = [
        (begin, begin + each.seconds * SECOND)
        for each in windows
        for begin in each.begins(start.replace(hour=0, minute=0) - timedelta(hours=30), end)
    ]
    expected = []
    for minute in range(LENGTH):
        counts = dict.fromkeys(COLUMNS, 0.0)
        for second in range(60):
            at = start + minute * MINUTE + second * SECOND
            covered = any(since <= at < until for since, until in begins)
            counts["maintenance_" * covered + state_at(turns, at)] += 1
        expected.append((start + minute * MINUTE, Seconds(**counts)))

    found = segments(stretches(turns, start, end, UNKNOWN), spans(windows, start, end))
    assert list(sums(found, start, MINUTE)) == expected
    assert total(row for _, row in sums(found, start, timedelta(minutes=LENGTH))) == total(
        row for _, row in expected
    )


fractions = st.integers(0, 3 * 60 * 1_000_000)


@settings(deadline=None)
@given(
    st.lists(st.tuples(fractions, st.sampled_from(STATES)), max_size=8),
    st.lists(st.tuples(fractions, fractions), max_size=4),
)
def test_every_microsecond_is_counted_once(
    changes: list[tuple[int, str]], windows: list[tuple[int, int]]
) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    micro = timedelta(microseconds=1)
    turns = [Turn(start + micros * micro, UNKNOWN, state) for micros, state in changes]
    covering = merged(
        Span(start + min(w) * micro, start + max(w) * micro) for w in windows if w[0] != w[1]
    )
    rows = [
        row
        for _, row in sums(
            segments(stretches(turns, start, start + 3 * MINUTE, UNKNOWN), covering), start, MINUTE
        )
    ]
    assert [sum(row) for row in rows] == [pytest.approx(60, abs=1e-9)] * 3
    assert sum(row.maintenance for row in rows) == pytest.approx(
        sum((span.ends_at - span.starts_at).total_seconds() for span in covering), abs=1e-9
    )


@settings(deadline=None)
@given(st.lists(scenes(), min_size=1, max_size=4))
def test_a_service_is_bad_when_a_check_is_and_good_when_one_is_and_none_is_bad(
    scene: list[tuple[datetime, list[Turn], list[Weekly]]],
) -> None:
    start = scene[0][0]
    end = start + LENGTH * MINUTE
    parts = [
        segments(
            stretches(
                [Turn(t.since - own + start, t.before, t.state) for t in turns], start, end, UNKNOWN
            ),
            spans(windows, start, end),
        )
        for own, turns, windows in scene
    ]

    def column_at(part: list[Segment], at: datetime) -> str:
        return next(each.column for each in part if each.start <= at < each.end)

    good = bad = 0
    for second in range(LENGTH * 60):
        columns = {column_at(part, start + second * SECOND) for part in parts}
        if columns & DEFAULT.bad:
            bad += 1
        elif columns & DEFAULT.good:
            good += 1
    found = combined(parts)
    assert [each.end for each in found[:-1]] == [each.start for each in found[1:]]
    seconds = total(row for _, row in sums(found, start, MINUTE))
    assert DEFAULT.apply(seconds) == Availability(good, bad, LENGTH * 60 - good - bad)


def test_the_policy_can_be_changed_afterwards() -> None:
    seconds = Seconds(
        up=3_000, degraded=300, down=100, unreachable=50, unknown=50, maintenance_down=100
    )
    assert DEFAULT.apply(seconds) == Availability(good=3_300, bad=150, excluded=150)
    strict = Policy(good=frozenset({"up"}), bad=frozenset({"degraded", "down", "maintenance_down"}))
    assert strict.apply(seconds) == Availability(good=3_000, bad=500, excluded=100)


def test_a_policy_names_columns_and_each_once() -> None:
    with pytest.raises(ValueError, match="no columns of seconds: upp"):
        Policy(good=frozenset({"upp"}), bad=frozenset())
    with pytest.raises(ValueError, match="both good and bad: up"):
        Policy(good=frozenset({"up"}), bad=frozenset({"up"}))


def test_without_data_there_is_no_availability() -> None:
    nothing = DEFAULT.apply(Seconds(unknown=60, maintenance_up=60))
    assert nothing.ratio is None
    assert nothing.met(0.999) is None
    assert percent_text(nothing.ratio) == "n/a"


def test_the_budget_of_thirty_days_is_43_minutes() -> None:
    month = Availability(good=30 * 86_400 - 600, bad=600, excluded=0)
    assert month.budget(0.999) == pytest.approx(43.2 * 60)
    assert month.budget_left(0.999) == pytest.approx(33.2 * 60)
    assert month.met(0.999) is True
    assert Availability(good=86_400 - 600, bad=600, excluded=0).met(0.999) is False


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.0, "100.000 %"),
        (0.9999999, "99.999 %"),
        (0.99951, "99.951 %"),
        (0.0, "0.000 %"),
        (0.29, "29.000 %"),
    ],
)
def test_a_percentage_is_never_rounded_up(ratio: float, text: str) -> None:
    assert percent_text(ratio) == text


@pytest.mark.parametrize(
    ("state", "own", "blamed", "meant"),
    [
        ("down", "down", False, "down"),
        ("unreachable", "down", True, "unreachable"),
        ("maintenance", "up", False, "up"),
        ("maintenance", "down", False, "down"),
        ("maintenance", "down", True, "unreachable"),
        ("maintenance", "up", True, "degraded"),
        ("maintenance", "unknown", False, "unknown"),
    ],
)
def test_maintenance_is_looked_through(state: str, own: str, blamed: bool, meant: str) -> None:
    assert underlying(state, own, blamed) == meant

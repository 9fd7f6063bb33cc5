"""What moves a pattern from state to state, and the limit that its own history gives it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain import pattern_states as states
from analytics.domain.pattern_limits import BURST, FLOOR, LEAST, SPIKE, YOUNG, limit_of
from analytics.domain.pattern_states import Standing, comes_back, follow

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STATES = ["new", "ongoing", "escalating", "regressed", "resolved", "ignored"]
ages = st.integers(0, 30 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes))
standings = st.builds(
    Standing,
    state=st.sampled_from(STATES),
    since=ages,
    first_seen=ages,
    count=st.integers(0, 10_000),
    limit=st.none() | st.floats(1, 1_000),
    ignored_until=st.none() | ages,
    ignored_until_count=st.none() | st.integers(0, 10_000),
    ignored_until_escalating=st.booleans(),
)
counts = st.integers(0, 2_000)


def standing(
    state: str, *, age: timedelta = HOUR, limit: float | None = 50.0, **more: Any
) -> Standing:
    return Standing(state, NOW - age, NOW - age, 100, limit)._replace(**more)


@given(standings, counts, counts)
def test_what_was_decided_is_not_decided_again(before: Standing, hour: int, earlier: int) -> None:
    change = follow(before, hour, earlier, NOW)
    if change is not None:
        assert change.state != before.state
        assert change.reason
        after = before._replace(state=change.state, since=NOW)
        again = follow(after, hour, earlier, NOW)
        # Only what has become ongoing with too many errors moves on, once.
        assert again is None or (change.state, again.state) == ("ongoing", "escalating")
        last = follow(after._replace(state="escalating"), hour, earlier, NOW)
        assert again is None or last is None


@given(standings, counts, counts)
def test_only_people_resolve_ignore_and_take_back_a_resolve(
    before: Standing, hour: int, earlier: int
) -> None:
    change = follow(before, hour, earlier, NOW)
    assert change is None or change.state in ("ongoing", "escalating")
    assert before.state != "resolved" or change is None


@given(standings, counts, counts)
def test_nothing_escalates_within_its_limit_or_without_one(
    before: Standing, hour: int, earlier: int
) -> None:
    change = follow(before, hour, earlier, NOW)
    if change is not None and change.state == "escalating":
        assert before.limit is not None
        assert hour > before.limit
        assert before.state != "ignored" or before.ignored_until_escalating


def test_a_pattern_is_new_for_a_day_or_as_long_as_is_asked() -> None:
    assert follow(standing("new", age=DAY - HOUR), 1, 1, NOW) is None
    change = follow(standing("new", age=DAY), 1, 1, NOW)
    assert change == states.Change("ongoing", "pattern.ongoing", "known for 1 day")
    short = states.Rules(new_for=HOUR)
    assert follow(standing("new", age=HOUR), 1, 1, NOW, short) is not None


def test_an_escalation_ends_after_two_hours_within_the_limit() -> None:
    before = standing("escalating")
    assert follow(before, 51, 0, NOW) is None
    assert follow(before, 0, 51, NOW) is None
    change = follow(before, 50, 50, NOW)
    assert change is not None
    assert (change.state, change.kind) == ("ongoing", "pattern.calmed")
    assert "limit of 50 an hour" in change.reason


def test_a_week_above_the_limit_is_the_new_normal() -> None:
    change = follow(standing("escalating", age=7 * DAY), 500, 500, NOW)
    assert change is not None
    assert change.state == "ongoing"
    assert "learnt anew" in change.reason


@pytest.mark.parametrize(
    ("more", "state", "kind"),
    [
        ({"ignored_until": NOW}, "ongoing", "pattern.unignored"),
        ({"ignored_until": NOW + HOUR}, "", ""),
        ({"ignored_until_count": 100}, "ongoing", "pattern.unignored"),
        ({"ignored_until_count": 101}, "", ""),
        ({"ignored_until_escalating": True}, "escalating", "pattern.escalating"),
        ({"ignored_until_escalating": True, "limit": None}, "", ""),
        ({}, "", ""),
    ],
)
def test_what_is_ignored_stays_so_until_what_was_said(
    more: dict[str, Any], state: str, kind: str
) -> None:
    change = follow(standing("ignored")._replace(**more), 60, 0, NOW)
    assert (change.state, change.kind) == (state, kind) if change else not state


def test_an_error_after_the_resolve_brings_a_pattern_back() -> None:
    known = {"1.0": NOW - 9 * DAY, "1.1": NOW - DAY, "1.2": NOW + HOUR, "2.0": NOW + 2 * HOUR}

    def back(seen: datetime, resolved_in: str = "", *versions: str) -> str:
        return comes_back(
            resolved_at=NOW, resolved_in=resolved_in, seen_at=seen,
            versions=versions, known=known,
        )  # fmt: skip

    assert not back(NOW)
    assert back(NOW + HOUR) == states.BACK_BY_TIME
    assert not back(NOW + HOUR, "1.2", "1.0", "1.1")
    assert not back(NOW + HOUR, "1.2", "")
    assert not back(NOW + HOUR, "1.2")
    assert back(NOW + HOUR, "1.2", "1.0", "1.2") == states.BACK_BY_VERSION
    assert back(NOW + HOUR, "1.2", "2.0") == states.BACK_BY_VERSION
    assert not back(NOW - HOUR, "1.2", "2.0")
    # Resolved in the version that runs: those before it are earlier, it is not.
    assert not back(NOW + HOUR, "1.1", "1.0")
    assert back(NOW + HOUR, "1.1", "1.1")
    assert back(NOW + HOUR, "9.9", "8.0") == states.BACK_BY_VERSION


def test_limits_are_those_of_the_stated_rules() -> None:
    steady = limit_of([10] * 168)
    # No scatter: the average plus five times the average.
    assert (steady.rule, round(steady.value or 0, 6)) == (SPIKE, 60.0)
    nightly = limit_of([200 if hour % 24 == 2 else 0 for hour in range(168)])
    assert (nightly.rule, nightly.value) == (BURST, 400.0)
    assert limit_of([0] * 168)[:2] == (LEAST, FLOOR)
    young = limit_of([4, 4, 4])
    assert (young.rule, young.value) == (YOUNG, 40.0)
    assert limit_of([500, 0, 0, 0]).value == 1_250
    few = limit_of([900, 900])
    assert few.value is None
    assert few.words == "not enough data: needs 3 complete hours, has 2"
    assert "60 errors an hour, several times its average (mean 10" in steady.words


def test_recent_days_weigh_more() -> None:
    rising, falling = [5] * 84 + [20] * 84, [20] * 84 + [5] * 84
    assert (limit_of(rising).value or 0) > (limit_of(falling).value or 0)


@given(st.lists(st.integers(0, 100_000), max_size=200))
def test_no_hour_of_the_history_itself_is_an_escalation(hours: list[int]) -> None:
    limit = limit_of(hours)
    assert limit.words
    if limit.value is None:
        assert len(hours) < 3
    else:
        assert limit.value >= max([LEAST, *hours[-168:]])

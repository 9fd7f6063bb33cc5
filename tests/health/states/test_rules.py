"""Thresholds, flapping and the schedule against plain models of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.domain import schedule
from health.domain.flapping import START_PERCENT, STOP_PERCENT, change_percent, is_flapping
from health.domain.schedule import Pace, current_interval, first_due, next_due, stale_after
from health.domain.state import OwnState, Thresholds, after

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STATUSES = st.lists(st.sampled_from(["up", "degraded", "down"]), max_size=60)
THRESHOLDS = st.builds(Thresholds, st.integers(1, 20), st.integers(1, 20))
PACES = st.builds(
    Pace,
    st.floats(1, 86_400, allow_nan=False),
    st.floats(0.1, 300, allow_nan=False),
    st.integers(1, 20),
)


def at(index: int) -> datetime:
    return START + timedelta(seconds=30 * index)


def replay(statuses: list[str], thresholds: Thresholds) -> list[OwnState]:
    own = OwnState("unknown", START)
    states = []
    for index, status in enumerate(statuses):
        own = after(own, status, at(index), thresholds)
        states.append(own)
    return states


def down_by_model(statuses: list[str], thresholds: Thresholds) -> list[tuple[bool, int]]:
    """After each result: whether down, and the index of the run since which that holds."""
    down, since, found = False, 0, []
    for index in range(len(statuses)):
        seen = ["down" if s == "down" else "up" for s in statuses[: index + 1]]
        needed = thresholds.successes_to_up if down else thresholds.failures_to_down
        wanted = "up" if down else "down"
        tail = seen[-needed:]
        if len(tail) == needed and set(tail) == {wanted}:
            down = not down
            since = index - needed + 1
        found.append((down, since))
    return found


@given(STATUSES, THRESHOLDS)
def test_down_begins_and_ends_as_counted_by_hand(
    statuses: list[str], thresholds: Thresholds
) -> None:
    states = replay(statuses, thresholds)
    for own, (down, since) in zip(states, down_by_model(statuses, thresholds), strict=True):
        assert (own.state == "down") == down
        if down:
            assert own.since == at(since)


@given(STATUSES, THRESHOLDS)
def test_counts_and_history_tell_the_last_results(
    statuses: list[str], thresholds: Thresholds
) -> None:
    for index, own in enumerate(replay(statuses, thresholds)):
        letters = "".join({"up": "u", "degraded": "g", "down": "d"}[s] for s in statuses)
        assert own.history == letters[: index + 1][-21:]
        assert (own.failures > 0) == (statuses[index] == "down")
        assert (own.failures > 0) != (own.successes > 0)
        assert own.undecided == (own.state != "down" if own.failures else own.state == "down")


def test_one_slow_answer_does_not_degrade_and_one_quick_one_does_not_heal() -> None:
    thresholds = Thresholds(3, 2)
    words = ["up"] * 3 + ["degraded"] * 2 + ["up", "degraded", "degraded", "degraded"]
    states = [own.state for own in replay(words, thresholds)]
    assert states == ["up"] * 8 + ["degraded"]
    words += ["up", "degraded", "up", "up"]
    assert [own.state for own in replay(words, thresholds)][-4:] == [
        "degraded", "degraded", "degraded", "up",
    ]  # fmt: skip


def test_nothing_is_remembered_of_a_time_that_is_not_known() -> None:
    forgotten = OwnState("unknown", at(9))
    assert after(forgotten, "down", at(10), Thresholds(3, 2)).state == "unknown"
    assert after(forgotten, "up", at(10), Thresholds(3, 2)).state == "up"


# --- Flapping


@given(st.text("ugd", max_size=21))
def test_the_share_of_changes_lies_between_none_and_all(history: str) -> None:
    assert 0 <= change_percent(history) <= 100.000001


def test_the_weights_are_those_of_nagios() -> None:
    assert change_percent("ud" * 10 + "u") == pytest.approx(100)
    assert change_percent("u" * 21) == 0
    assert change_percent("ug" * 10) == 0
    # The newest change weighs 1.25 of 20, the oldest 0.75 of 20.
    assert change_percent("u" * 20 + "d") == 6.25
    assert change_percent("d" + "u" * 20) == 3.75


@given(st.text("ud", min_size=21, max_size=21))
def test_flapping_does_not_itself_flap(history: str) -> None:
    percent = change_percent(history)
    if STOP_PERCENT <= percent < START_PERCENT:
        assert is_flapping(history, True)
        assert not is_flapping(history, False)
    else:
        assert is_flapping(history, True) == is_flapping(history, False)


# --- The schedule


@given(st.uuids(), PACES, st.integers(0, 500), st.booleans(), st.integers(0, 2**32))
def test_the_next_run_comes_neither_too_soon_nor_too_late(
    check_id: UUID, pace: Pace, failures: int, hurried: bool, seed: int
) -> None:
    due = next_due(
        check_id,
        pace,
        now=START,
        failures=failures,
        hurried=hurried,
        rng=random.Random(seed),
    )
    wait = (due - START).total_seconds()
    interval = current_interval(pace, failures)
    assert wait > 0
    if hurried:
        assert wait <= min(pace.interval, 5.001)
    else:
        assert 0.44 * interval <= wait <= 1.56 * interval
        assert wait < stale_after(pace, failures)


def test_runs_of_a_check_keep_to_its_grid_but_for_a_jitter() -> None:
    """Else those that begin together meet at their target for ever."""
    check_id, interval, rng = UUID(int=7), 30.0, random.Random(7)
    pace = Pace(interval, 5, 1)
    on_grid = first_due(check_id, interval, START + timedelta(seconds=interval / 2))
    off = [
        (next_due(check_id, pace, now=START, failures=0, hurried=False, rng=rng) - on_grid)
        / timedelta(seconds=interval)
        for _ in range(200)
    ]
    assert -0.05 <= min(off) < -0.04
    assert 0.04 < max(off) <= 0.05


@given(PACES, st.integers(0, 1000))
def test_back_off_is_bounded_and_never_quickens(pace: Pace, failures: int) -> None:
    interval = current_interval(pace, failures)
    assert pace.interval <= interval
    assert interval <= max(pace.interval, schedule.BACKOFF_LONGEST)
    assert interval <= pace.interval * schedule.BACKOFF_LARGEST
    assert interval <= current_interval(pace, failures + 1)


def test_five_thousand_checks_are_spread_over_their_interval() -> None:
    rng = random.Random(7)
    seconds = [0] * 30
    for _ in range(5000):
        check_id = UUID(int=rng.getrandbits(128), version=4)
        seconds[int((first_due(check_id, 30, START) - START).total_seconds())] += 1
    assert max(seconds) < 1.4 * 5000 / 30
    assert min(seconds) > 0.6 * 5000 / 30


@given(st.uuids(), st.floats(1, 3600), st.integers(0, 10**8))
def test_a_check_keeps_its_place_in_the_interval(
    check_id: UUID, interval: float, offset: int
) -> None:
    now = START + timedelta(seconds=offset)
    due = first_due(check_id, interval, now)
    assert timedelta() <= due - now <= timedelta(seconds=interval)
    again = first_due(check_id, interval, due + timedelta(milliseconds=5))
    assert abs((again - due).total_seconds() - interval) < 0.02

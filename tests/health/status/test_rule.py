"""The rule of the five states, days and outages, without a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.choices import PublicImpact
from health.domain.public import (
    CLOSE,
    DEGRADED,
    MAINTENANCE,
    MAJOR,
    OPERATIONAL,
    PARTIAL,
    STATES,
    DayTold,
    Stretch,
    joined,
    overall,
    state_of_parts,
    worst,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_states_are_those_of_the_store_in_their_order() -> None:
    assert list(STATES) == PublicImpact.values


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ([], None),
        (["unknown"], None),
        (["up"], OPERATIONAL),
        (["up", "unknown"], OPERATIONAL),
        (["up", "maintenance"], MAINTENANCE),
        (["up", "degraded"], DEGRADED),
        (["up", "down"], PARTIAL),
        (["down", "degraded"], PARTIAL),
        (["down"], MAJOR),
        (["down", "unreachable"], MAJOR),
        (["down", "unknown"], MAJOR),
    ],
)
def test_a_public_service_is_as_well_as_its_parts(parts: list[str], state: str | None) -> None:
    assert state_of_parts(parts) == state


@pytest.mark.parametrize(
    ("services", "announced", "under_way", "state"),
    [
        ([], [], False, OPERATIONAL),
        ([(None, True)], [], False, OPERATIONAL),
        ([], [], True, MAINTENANCE),
        ([(MAINTENANCE, False)], [], False, MAINTENANCE),
        ([], [DEGRADED], True, DEGRADED),
        ([], [MAJOR], False, MAJOR),
        # Half of the critical ones is not most of them.
        ([(MAJOR, True), (OPERATIONAL, True)], [], False, PARTIAL),
        ([(MAJOR, True), (MAJOR, True), (OPERATIONAL, True)], [], False, MAJOR),
        # What is not critical counts only where nothing is.
        ([(MAJOR, False), (MAJOR, False), (OPERATIONAL, True)], [], False, PARTIAL),
        ([(MAJOR, False), (MAJOR, False), (OPERATIONAL, False)], [], False, MAJOR),
        # One that is not measured may be well.
        ([(MAJOR, True), (None, True)], [], False, PARTIAL),
        ([(PARTIAL, True)], [], False, PARTIAL),
        ([(DEGRADED, True), (OPERATIONAL, True)], [], False, DEGRADED),
    ],
)
def test_the_whole_is_told_by_the_rule(
    services: list[tuple[str | None, bool]], announced: list[str], under_way: bool, state: str
) -> None:
    assert overall(services, announced, under_way) == state


@given(
    st.lists(st.tuples(st.sampled_from([None, *STATES]), st.booleans())),
    st.lists(st.sampled_from(STATES)),
    st.booleans(),
)
def test_nothing_that_is_announced_is_told_milder(
    services: list[tuple[str | None, bool]], announced: list[str], under_way: bool
) -> None:
    told = overall(services, announced, under_way)
    assert STATES.index(told) >= STATES.index(worst(announced))
    troubled = [state for state, _ in services if state not in (None, OPERATIONAL)]
    assert (told == OPERATIONAL) is (
        worst(announced) == OPERATIONAL and not (troubled or under_way)
    )


@pytest.mark.parametrize(
    ("day", "level"),
    [
        (DayTold(), None),
        (DayTold(excluded=60), MAINTENANCE),
        (DayTold(good=3_600), OPERATIONAL),
        (DayTold(good=3_600, degraded=60), OPERATIONAL),
        (DayTold(good=3_600, degraded=600), DEGRADED),
        (DayTold(good=86_300, bad=100), PARTIAL),
        (DayTold(good=80_000, bad=6_400), MAJOR),
        (DayTold(bad=61), MAJOR),
    ],
)
def test_a_day_has_the_level_of_its_trouble(day: DayTold, level: str | None) -> None:
    assert day.level == level


def test_no_data_is_no_share() -> None:
    assert DayTold().share is None
    assert DayTold(excluded=86_400).share is None
    assert DayTold(good=1).share == 1


_minutes = st.integers(0, 600)


@given(st.lists(st.tuples(_minutes, st.one_of(st.none(), st.integers(0, 60)))))
def test_joined_outages_cover_the_same_minutes_and_stand_apart(
    drawn: list[tuple[int, int | None]],
) -> None:
    def at(minute: int) -> datetime:
        return NOON + timedelta(minutes=minute)

    stretches = [
        Stretch(at(start), None if length is None else at(start + length))
        for start, length in drawn
    ]
    told = joined(stretches)
    for one, other in pairwise(told):
        assert one.ended_at is not None
        assert other.started_at > one.ended_at + CLOSE
    end = at(10_000)
    for stretch in stretches:
        [home] = [
            each
            for each in told
            if each.started_at <= stretch.started_at
            and (each.ended_at or end) >= (stretch.ended_at or end)
        ]
        assert home in told
    starts = {stretch.started_at for stretch in stretches}
    assert {each.started_at for each in told} <= starts

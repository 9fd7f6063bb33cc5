"""What took place beside what would have been, in order of time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from breakers.domain.replay_result import Transition
from breakers.domain.replay_rows import Row, merged
from tests.breakers.domain.scripts import at


def move(second: float, to_state: str = "open") -> Transition:
    return Transition(at(second), "closed", to_state, "failure_rate", 0.5, 20)


def test_a_later_move_of_the_candidate_stands_in_a_row_of_its_own() -> None:
    early, shared, late = move(24), move(60), move(456)
    assert merged([early, shared], [shared, late]) == [
        Row(at(24), early, None),
        Row(at(60), shared, shared),
        Row(at(456), None, late),
    ]
    assert merged([], [late]) == [Row(at(456), None, late)]
    assert merged([], []) == []


def test_only_the_same_move_in_the_same_second_shares_a_row() -> None:
    recorded, candidate = move(10.2), move(10.9)
    assert merged([recorded], [candidate]) == [Row(at(10.2), recorded, candidate)]
    assert merged([candidate], [recorded]) == [Row(at(10.2), candidate, recorded)]
    isolated = move(10.2, "isolated")
    assert merged([recorded], [isolated]) == [
        Row(at(10.2), recorded, None),
        Row(at(10.2), None, isolated),
    ]
    next_second = move(11.1)
    assert merged([candidate], [next_second]) == [
        Row(at(10.9), candidate, None),
        Row(at(11.1), None, next_second),
    ]


courses = st.lists(
    st.builds(
        move, st.integers(0, 60).map(lambda tenths: tenths / 10), st.sampled_from(["open", "x"])
    ),
    max_size=12,
).map(lambda moves: sorted(moves, key=lambda each: each.at))


@given(courses, courses)
def test_every_move_is_shown_once_and_in_order(
    recorded: list[Transition], candidate: list[Transition]
) -> None:
    rows = merged(recorded, candidate)
    assert [row.recorded for row in rows if row.recorded] == recorded
    assert [row.candidate for row in rows if row.candidate] == candidate
    seconds = [row.at.replace(microsecond=0) for row in rows]
    assert seconds == sorted(seconds)

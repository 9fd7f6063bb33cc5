"""Bars of a tile: what is there is seen, what is not leaves a gap."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from breakers.domain.bars import HEIGHT, Slice, bars

counts = st.integers(0, 10**9)
slices = st.lists(st.none() | st.tuples(counts, counts, counts), max_size=6)


def heights(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"v([0-9.]+)h-", path)]


def test_parts_are_stacked_from_the_ground_up() -> None:
    drawn = bars([Slice(failed=1, passed=2, rejected=1)])
    assert drawn.failed == "M1 75h8v25h-8z"
    assert drawn.passed == "M1 25h8v50h-8z"
    assert drawn.rejected == "M1 0h8v25h-8z"
    assert drawn.ground == "M1 100h8"


def test_no_data_leaves_a_gap_and_no_calls_leave_the_ground() -> None:
    drawn = bars([None, Slice(0, 0, 0), None])
    assert (drawn.failed, drawn.passed, drawn.rejected) == ("", "", "")
    assert drawn.ground == "M11 100h8"
    assert bars([None] * 12) == ("", "", "", "")


def test_one_failure_among_thousands_is_seen() -> None:
    assert heights(bars([Slice(1, 9_999, 0)]).failed) == [5]


@given(slices)
def test_no_bar_is_higher_than_the_box(counted: list[tuple[int, int, int] | None]) -> None:
    drawn = [each and Slice(*each) for each in counted]
    paths = bars(drawn)
    for path in (paths.failed, paths.passed, paths.rejected):
        tops = [float(each) for each in re.findall(r"M\d+ ([0-9.-]+)h", path)]
        assert all(0 <= top <= HEIGHT for top in tops)
    known = [each for each in drawn if each is not None]
    assert paths.ground.count("M") == len(known)
    assert paths.failed.count("M") == sum(each.failed > 0 for each in known)

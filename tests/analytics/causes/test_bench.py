"""The measure of rankings gives known values before any figure of it is believed."""

from __future__ import annotations

import pytest

from tests.bench import causes


def test_a_place_counts_from_one_and_who_is_not_named_has_none() -> None:
    scores = {"a": 0.5, "b": 0.9, "c": 0.5}
    assert [causes.place(scores, name) for name in ("b", "a", "c")] == [1, 2, 3]
    assert causes.place(scores, "d") > max(causes._TOPS)


def test_the_null_ranking_gets_nothing_and_the_perfect_one_all() -> None:
    nobody, truth = causes.place({}, "a"), causes.place({"a": 1.0}, "a")
    assert causes.tops([nobody] * 4) == {"top1": 0, "top3": 0, "top5": 0}
    assert causes.tops([truth] * 4) == {"top1": 1, "top3": 1, "top5": 1}
    assert causes.tops([1, 2, 4, 10_000]) == {"top1": 0.25, "top3": 0.5, "top5": 0.75}


@pytest.mark.shared
def test_recorded_issues_are_ranked_beside_the_anchors() -> None:
    found = list(causes.cases({"petshop"}, most=2))
    if not found:
        pytest.skip(f"no cases in {causes.DATA}")
    for case in found:
        assert causes.place(causes.ours(case.incident), case.truth) == 1
        assert causes.traversal(case.incident)
        assert len(causes.robust_z(case.incident)) > 20

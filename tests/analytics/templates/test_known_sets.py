"""The figures of the benchmark, on public sets whose groups are known."""

from __future__ import annotations

import statistics

import pytest

from tests.bench import patterns

# Measured beforehand with drain3 0.9.11 and the same masks, GA of each set.
DRAIN_B = {
    "Apache": 1.000,
    "HDFS": 0.998,
    "HPC": 0.887,
    "Hadoop": 0.963,
    "Linux": 0.687,
    "OpenSSH": 0.718,
    "OpenStack": 0.310,
    "Windows": 0.565,
}


def test_the_score_is_by_exactly_right_groups() -> None:
    true = ["a", "a", "b", "c"]
    assert patterns.score([1, 1, 2, 3], true) == (1.0, 1.0, 3, 3)
    assert patterns.score([1, 1, 2, 2], true) == (0.5, 0.4, 2, 3)
    assert patterns.score([1, 1, 1, 1], true) == (0.0, 0.0, 1, 3)
    with pytest.raises(ValueError, match="3 groups for 4 lines"):
        patterns.score([1, 2, 3], true)


def known_sets() -> dict[str, tuple[list[str], list[str]]]:
    """Messages and true groups of each public set; skips where there are none."""
    names = patterns.sets()
    if not names:
        pytest.skip(f"no message sets in {patterns.DATA}")
    return {name: patterns.read(name) for name in names}


@pytest.mark.shared
def test_the_score_gives_the_known_values_of_drain3() -> None:
    pytest.importorskip("drain3", reason="drain3 comes with the benchmarks: make bench")
    for name, (messages, true) in known_sets().items():
        if name in DRAIN_B:
            anchor = patterns.score(patterns.WAYS["drain3 B"](messages), true)
            assert anchor.ga == pytest.approx(DRAIN_B[name], abs=0.002)


@pytest.mark.shared
def test_groups_of_public_messages_are_above_the_targets() -> None:
    sets = known_sets().values()
    ours = [patterns.score(patterns.ours(messages), true) for messages, true in sets]
    assert statistics.mean(score.ga for score in ours) >= patterns.LEAST_GA
    assert statistics.mean(score.fga for score in ours) >= patterns.LEAST_FGA
    assert min(score.ga for score in ours) >= patterns.LEAST_WORST

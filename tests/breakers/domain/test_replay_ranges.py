"""Ranges, gaps, and the fields of a candidate."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from breakers.domain.replay import parse_policy
from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.policy_fields import POLICY_FIELDS, to_fields
from breakers.runtime.recorder import Recorder
from tests.breakers.domain.scripts import Script, at, moves, run


def hours(script: Script) -> None:
    """A batch for each of ten hours, with two failures, 8 successes and three seconds between."""
    for hour in range(10):
        script.sequence("ffssssssss", begin=3600 * hour, step=3)
        script.collect()


def test_the_range_chooses_calls_and_transitions() -> None:
    script = Script(BreakerPolicy(3, 10))
    hours(script)
    found = run(script.batches, BreakerPolicy(2, 10), at(3 * 3600), at(6 * 3600), bins=6)
    assert (found.calls, found.failures) == (30, 6)
    assert found.simulated.opened == 3
    # At 3 s it opens for 10 s: 6, 9 and 12 are refused in each hour.
    assert found.good_calls_refused == 9
    assert [each.calls for each in found.series] == [10, 0, 10, 0, 10, 0]
    assert [each.refused for each in found.series] == [3, 0, 3, 0, 3, 0]
    assert [each.at for each in found.series] == [at(3 * 3600 + 1800 * n) for n in range(6)]
    assert (found.since, found.until) == (at(3 * 3600), at(6 * 3600))
    cut = run(script.batches, None, at(4 * 3600 + 3), at(4 * 3600 + 9), bins=2)
    assert (cut.calls, cut.failures) == (2, 1)


def test_where_the_record_begins_and_ends_is_told_where_the_range_is_wider() -> None:
    script = Script(BreakerPolicy(3, 10))
    hours(script)
    begin, end = script.batches[0].since, script.batches[-1].until
    wide = run([batch for batch in script.batches if batch.number != 4])
    assert (wide.record_since, wide.record_until) == (begin, end) == (at(0), at(9 * 3600 + 27))
    assert (wide.begins_late, wide.ends_early) == (begin, end)
    within = run(script.batches, None, at(3 * 3600), at(6 * 3600))
    assert within.record_since == script.batches[2].until
    assert within.record_until == script.batches[6].until
    assert (within.begins_late, within.ends_early) == (None, None)
    hardly = run(script.batches, None, begin - timedelta(seconds=0.9), end + timedelta(seconds=1))
    assert (hardly.begins_late, hardly.ends_early) == (None, end)


def test_a_gap_is_told_and_the_replay_starts_anew_after_it() -> None:
    script = Script(BreakerPolicy(3, 10))
    hours(script)
    batches = [batch for batch in script.batches if batch.number not in (4, 5)]
    found = run(batches, BreakerPolicy(2, 100_000))
    (gap,) = found.gaps
    assert gap.reason == "missing"
    assert (gap.since, gap.until) == (script.batches[3].until, script.batches[6].since)
    # Open for more than a day, and after the gap as the record says: closed, until it opens anew.
    assert [second for second, *_ in moves(found)] == [3, 6 * 3600 + 3]
    assert found.good_calls_refused == 8 * 8 - 0
    again = run([*reversed(batches), *batches], BreakerPolicy(2, 100_000))
    assert again == found


def test_a_restart_and_what_was_dropped_are_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakers.runtime.recorder._FULL", 20)
    first = Script(BreakerPolicy(3, 10))
    first.sequence("ssssssss", begin=0)
    first.collect()
    first.sequence("ss", begin=9)
    first.collect()
    second = Script(BreakerPolicy(3, 10))
    second.until(20)
    second.recorder = Recorder(second.breaker)
    second.sequence("ss", begin=21)
    second.collect()
    found = run([*first.batches, *second.batches])
    assert [(gap.reason, gap.since, gap.until) for gap in found.gaps] == [
        ("dropped", at(4), at(7)),
        ("restarted", at(10), at(20)),
    ]
    assert found.reproduced
    assert found.calls == 5 + 2 + 2


def test_a_record_that_was_changed_is_not_verified() -> None:
    script = Script(BreakerPolicy(3, 10))
    script.sequence("fff", begin=0)
    script.collect()
    (batch,) = script.batches
    kinds = bytes([0, *batch.columns.kinds[1:]])
    found = run([replace(batch, columns=replace(batch.columns, kinds=kinds))])
    assert not found.verified
    assert not found.reproduced


def test_the_clock_of_the_wall_may_be_set_between_batches() -> None:
    script = Script(BreakerPolicy(3, 10))
    script.sequence("fff", begin=0)
    script.until(3)
    script.collect()
    script.sequence("sss", begin=12)
    script.collect()
    first, second = script.batches
    found = run([first, replace(second, offset=second.offset + 5)])
    assert [second for second, *_ in moves(found)] == [2, 17, 19]
    assert found.reproduced


def test_nothing_recorded_is_nothing_found() -> None:
    found = run([])
    assert (found.calls, found.recorded.transitions, found.gaps) == (0, (), ())
    assert (found.begins_late, found.ends_early) == (None, None)
    assert found.reproduced
    assert len(found.series) == 60


@pytest.mark.parametrize("bins", [0, 2001])
def test_a_range_and_its_bins_have_to_make_sense(bins: int) -> None:
    with pytest.raises(ValueError, match="bins"):
        run([], bins=bins)
    with pytest.raises(ValueError, match="range"):
        run([], since=at(0), until=at(0))


# --- The candidate's fields


def test_a_candidate_is_made_of_fields_and_changes() -> None:
    base = to_fields(BreakerPolicy(4, 30)) | {"of a later version": 1}
    made = parse_policy(base, {"timeout": 60, "sliding_window_type": "count"})
    assert (made.failure_threshold, made.timeout) == (4, 60)
    assert made.sliding_window_type == "count"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"failure_treshold": 3}, "'failure_treshold' is no setting.*failure_threshold, timeout"),
        ({"expected_exception": "OSError"}, "no setting"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": "30"}, "timeout is '30'"),
        ({"failure_rate_threshold": 2}, "failure_rate_threshold"),
        ({"sliding_window_type": "moon"}, "consecutive, count or time"),
        ({"sliding_window_type": "count", "sliding_window_size": 10**9}, "at most 100,000 calls"),
        ({"permitted_calls_in_half_open_state": 10**9}, "at most 100,000 calls"),
        ({"timeout": math.inf}, "timeout"),
    ],
)
def test_a_candidate_that_cannot_work_is_refused_with_the_reason(
    changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        parse_policy(to_fields(BreakerPolicy()), changes)
    assert "record_result" not in POLICY_FIELDS

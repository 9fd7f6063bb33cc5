"""What a candidate takes over where the record begins, and beside what it goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from breakers.domain.tapes import tapes
from breakers.runtime.circuit_state import BreakerPolicy
from tests.breakers.domain.scripts import BEGIN, ZERO, Script, moves, run


def count(**more: Any) -> BreakerPolicy:
    """By the share of failures among the last calls, from two calls on."""
    settings: dict[str, Any] = {"sliding_window_type": "count", "minimum_number_of_calls": 2}
    return BreakerPolicy(timeout=10, **(settings | more))


def test_a_smaller_window_holds_the_newest_of_the_known_calls() -> None:
    script = Script(count(sliding_window_size=3, failure_rate_threshold=1.0))
    script.sequence("fssf", begin=0)
    script.collect()
    script.sequence("f", begin=5)
    script.collect()
    smaller = count(sliding_window_size=2, failure_rate_threshold=1.0)
    assert moves(run(script.batches[1:], smaller)) == [(5, "open", "failure_rate")]


def test_a_row_of_failures_is_known_beyond_the_window() -> None:
    script = Script(BreakerPolicy(10, 10))
    script.sequence("fff", begin=0)
    script.collect()
    script.sequence("f", begin=5)
    script.collect()
    found = run(script.batches[1:], BreakerPolicy(4, 10, sliding_window_size=2))
    assert moves(found) == [(5, "open", "failure_threshold")]


def test_which_known_calls_were_slow_is_not_known_by_another_threshold() -> None:
    script = Script(count(slow_call_duration_threshold=1.0, slow_call_rate_threshold=1.0))
    for place, duration in enumerate((0, 1, 1)):
        script.until(10 * place)
        script.call("success", duration)
    script.collect()
    script.until(40)
    script.call("success", 0)
    script.collect()
    known = count(slow_call_duration_threshold=1.0, slow_call_rate_threshold=0.5)
    assert moves(run(script.batches[1:], known)) == [(40, "open", "slow_call_rate")]
    unknown = count(slow_call_duration_threshold=0.9, slow_call_rate_threshold=0.5)
    assert moves(run(script.batches[1:], unknown)) == []


def test_a_wait_for_probes_under_way_has_the_candidates_length() -> None:
    def waiting(seconds: float) -> BreakerPolicy:
        return BreakerPolicy(
            1, 10, permitted_calls_in_half_open_state=2,
            max_wait_duration_in_half_open_state=seconds,
        )  # fmt: skip

    script = Script(waiting(100))
    script.sequence("f", begin=0)
    script.until(10)
    script._acquire()
    script.collect()
    script.sequence("s", begin=20)
    script.collect()
    found = run(script.batches[1:], waiting(5))
    assert moves(found) == [(15, "open", "probes_overdue")]
    assert found.good_calls_refused == 1


def test_probes_that_began_anew_by_a_change_are_not_the_candidates() -> None:
    policy = BreakerPolicy(2, 10, permitted_calls_in_half_open_state=2)
    script = Script(policy)
    script.sequence("ff", begin=-1)
    script.sequence("s", begin=10)
    script.until(11)
    script.breaker.configure(replace(policy, minimum_number_of_calls=20))
    script.sequence("ss", begin=12)
    script.collect()
    found = run(script.batches, policy)
    assert moves(found, simulated=False)[-1] == (13, "closed", "recovered")
    assert moves(found)[-1] == (12, "closed", "recovered")
    assert found.verified


def test_open_times_have_the_recorded_chance_while_both_go_the_same_way() -> None:
    policy = BreakerPolicy(2, 10, timeout_jitter=0.4)
    script = Script(policy)
    for begin in range(0, 300, 30):
        script.sequence("fs" if begin % 60 else "ff", begin=begin, step=2)
    script.collect()
    found = run(script.batches, replace(policy, minimum_number_of_calls=20))
    assert found.reproduced
    assert found.recorded.opened > 4
    waits = [e.retry_after for e in script.transitions() if e.retry_after is not None]
    assert len(set(waits)) == len(waits)


def test_calls_that_begin_earlier_are_let_through_first() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.sequence("ff", begin=1)
    script.until(12)
    first = script.breaker.acquire()
    script.until(13)
    second = script.breaker.acquire()
    script.until(14)
    second.success()
    script.until(20)
    first.success()
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 10, permitted_calls_in_half_open_state=1))
    # Open at 2: what begins at 12 is the one probe, and what begins at 13 is refused.
    assert moves(found)[1:] == [(12, "half_open", "timeout"), (20, "closed", "recovered")]
    assert found.good_calls_refused == 1


class NoLease:
    """All replicas together have placed all their probes."""

    def take(self) -> bool:
        return False

    def done(self, success: bool | None) -> None:
        """Nothing is placed."""


def test_calls_that_were_rejected_for_want_of_a_lease_may_be_unknown() -> None:
    script = Script(BreakerPolicy(1, 10))
    script.sequence("f", begin=0)
    script.breaker.limit_probes(NoLease())
    script.until(11)
    script.collect()
    script.sequence("ss", begin=12)
    script.until(15)
    script.collect()
    assert run(script.batches, None).unknown == 0
    assert run(script.batches, BreakerPolicy(1, 9)).unknown == 2
    assert run(script.batches, BreakerPolicy(1, 20)).unknown == 0


def test_rejections_lie_in_the_time_of_their_batch() -> None:
    policy = BreakerPolicy(
        1, 10, permitted_calls_in_half_open_state=1, max_wait_duration_in_half_open_state=5
    )
    script = Script(policy)
    script.sequence("f", begin=0)
    script.until(10)
    script._acquire()
    script.until(20)
    script.collect()
    # The wait for the probe was over at 15; its next one is due at 25, and nobody has looked.
    script.sequence("s", begin=21)
    script.until(22)
    script.collect()
    (tape,), _ = tapes(script.batches)
    offset = BEGIN.timestamp() - ZERO
    assert list(tape.rejections()) == [(ZERO + 20, ZERO + 22, 1, offset)]


def test_the_state_at_the_beginning_is_part_of_what_a_candidate_finds() -> None:
    script = Script(BreakerPolicy(2, 10, sliding_window_size=50))
    script.sequence("sf", begin=0)
    script.collect()
    script.sequence("fs", begin=2)
    script.collect()
    later = script.batches[1:]
    assert run(later).reproduced
    assert moves(run(later, BreakerPolicy(1, 10))) == [(2, "open", "failure_threshold")]
    # The one failure that it knows of counts, also in a window of another size.
    known = run(later, BreakerPolicy(2, 99, sliding_window_size=20))
    assert moves(known) == [(2, "open", "failure_threshold")]
    # A window by time cannot know when that was, and begins empty.
    by_time = BreakerPolicy(
        sliding_window_type="time", minimum_number_of_calls=2, failure_rate_threshold=1.0
    )
    assert moves(run(later, by_time)) == []


def test_an_open_time_under_way_has_the_candidates_length() -> None:
    script = Script(BreakerPolicy(1, 10, permitted_calls_in_half_open_state=1))
    script.sequence("f", begin=0)
    script.collect()
    script.sequence("s", begin=10)
    script.collect()
    later = script.batches[1:]
    assert moves(run(later)) == [(10, "half_open", "timeout"), (10, "closed", "recovered")]
    longer = run(later, BreakerPolicy(1, 11, permitted_calls_in_half_open_state=1))
    assert moves(longer) == []
    assert longer.good_calls_refused == 1
    assert longer.simulated.open_seconds == 10

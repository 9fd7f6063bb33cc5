"""Replays: the policy in force repeats the record exactly, and candidates do what can be computed."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakers.domain.replay import parse_policy, replay
from breakers.domain.replay_result import Replay
from breakers.runtime.batches import Batch
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.outcomes import decode, encode
from breakers.runtime.policy_fields import POLICY_FIELDS, to_fields
from breakers.runtime.recorder import Recorder
from tests.runtime.recorded import Recorded, actions, policies

ZERO = 1_000.0
"""What the clock of a script shows at its beginning; its batches say that this is BEGIN."""
BEGIN = datetime(2026, 11, 26, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


class Script(Recorded):
    """Calls at certain seconds, of a length that is part of the script."""

    def __init__(self, policy: BreakerPolicy) -> None:
        super().__init__(policy, now=ZERO)

    def collect(self) -> None:
        count = len(self.batches)
        super().collect()
        if len(self.batches) > count:
            offset = BEGIN.timestamp() - ZERO
            self.batches[-1] = decode(encode(replace(self.batches[-1], offset=offset)))

    def until(self, second: float) -> None:
        self.clock.now = ZERO + second

    def sequence(self, outcomes: str, *, begin: float, step: float = 1.0) -> None:
        """One call after the other, without duration: `f` fails, `s` succeeds, `-` is none."""
        for place, letter in enumerate(outcomes):
            self.until(begin + place * step)
            if letter != "-":
                self.call({"f": "failure", "s": "success", "i": "ignore"}[letter])


def run(
    batches: Sequence[Batch],
    policy: BreakerPolicy | None = None,
    since: datetime = BEGIN - timedelta(hours=1),
    until: datetime = BEGIN + timedelta(days=7),
    **more: Any,
) -> Replay:
    return replay(batches, policy, since=since, until=until, **more)


def moves(found: Replay, *, simulated: bool = True) -> list[tuple[float, str, str]]:
    """Seconds after BEGIN, to which state, and why."""
    course = found.simulated if simulated else found.recorded
    return [
        ((each.at - BEGIN).total_seconds(), each.to_state, each.reason)
        for each in course.transitions
    ]


# --- The policy that was in force


@settings(max_examples=200, deadline=None)
@given(policies(), st.lists(actions, max_size=60), st.integers(0, 9))
def test_the_policy_in_force_reproduces_the_record_exactly(
    policy: BreakerPolicy, played: list[tuple[Any, ...]], seed: int
) -> None:
    recorded = Recorded(policy, seed=seed)
    recorded.play(played)
    batches = [decode(encode(batch)) for batch in recorded.batches]
    wide = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}
    found = replay(batches, None, **wide)
    assert found.reproduced
    assert found.verified
    assert found.gaps == ()
    assert found.simulated == found.recorded
    told = [
        (e.from_state.value, e.to_state.value, e.reason, e.failure_rate, e.calls)
        for e in recorded.transitions()
    ]
    assert [
        (t.from_state, t.to_state, t.reason, t.failure_rate, t.calls)
        for t in found.recorded.transitions
    ] == told
    refused = found.failures_avoided + found.good_calls_refused + found.slow_avoided
    assert (refused, found.unknown) == (0, 0)
    assert found.rejected == recorded.breaker.not_permitted_calls
    if not any(action[0] == "configure" for action in played):
        candidate = parse_policy(to_fields(policy), {})
        again = replay(batches, candidate, **wide)
        assert replace(again, policy=None) == found


@settings(max_examples=200, deadline=None)
@given(policies(), policies(), st.lists(actions, max_size=60))
def test_a_candidate_accounts_for_every_call(
    policy: BreakerPolicy, candidate: BreakerPolicy, played: list[tuple[Any, ...]]
) -> None:
    recorded = Recorded(policy)
    recorded.play(played)
    wide = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}
    found = replay(recorded.batches, candidate, **wide)
    assert found.verified
    assert 0 <= found.failures_avoided <= found.failures <= found.calls
    assert 0 <= found.good_calls_refused <= found.calls - found.failures
    assert 0 <= found.unknown <= found.rejected
    assert sum(each.calls for each in found.series) == found.calls
    assert sum(each.admitted + each.refused for each in found.series) == found.calls
    assert sum(each.failures - each.failed for each in found.series) == found.failures_avoided
    if found.diverged_at is None:
        # The same moves at the same times, perhaps for other reasons.
        same = [move[:2] for move in moves(found, simulated=False)]
        assert [move[:2] for move in moves(found)] == same
        assert found.failures_avoided == found.good_calls_refused == 0


def busy(calls: int) -> tuple[list[Batch], list[BreakerEvent]]:
    """A breaker by a time window with all that can vary, over so many calls of two callers."""
    policy = BreakerPolicy(
        timeout=3, sliding_window_type="time", sliding_window_size=10, minimum_number_of_calls=20,
        failure_rate_threshold=0.5, slow_call_duration_threshold=0.4, slow_call_rate_threshold=0.8,
        permitted_calls_in_half_open_state=5, timeout_multiplier=1.5, timeout_jitter=0.2,
    )  # fmt: skip
    chance = random.Random(7)
    recorded = Recorded(policy, seed=3)
    made = 0
    while made < calls:
        clock = recorded.clock
        second = int(clock.now)
        bad = 0.9 if second % 37 < 6 else 0.02
        slow = 0.9 if 20 < second % 53 < 31 else 0.05
        duration = chance.uniform(0.4, 0.6) if chance.random() < slow else chance.uniform(0, 0.02)
        try:
            recorded.running.append(recorded.breaker.acquire())
        except CallNotPermitted:
            clock.now += 0.05
        else:
            clock.now += 0.02 + duration / 4
        if len(recorded.running) > 4 or (recorded.running and chance.random() < 0.3):
            failed = chance.random() < bad
            recorded._settle("failure" if failed else "success", duration, chance.randrange(5))
            made += 1
        if int(clock.now) != second:
            recorded.collect()
    recorded.collect()
    return recorded.batches, recorded.transitions()


def test_a_hundred_thousand_outcomes_reproduce_their_transitions_exactly_and_quickly() -> None:
    batches, told = busy(100_000)
    batches = [decode(encode(batch)) for batch in batches]
    assert len(told) > 200
    assert {event.reason for event in told} >= {
        "failure_rate", "slow_call_rate", "timeout", "recovered",
    }  # fmt: skip
    wide = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}
    began = time.process_time()
    found = replay(batches, None, **wide)
    spent = time.process_time() - began
    assert found.calls == 100_000
    assert found.reproduced
    assert [
        (t.to_state, t.reason, t.failure_rate, t.calls) for t in found.simulated.transitions
    ] == [(e.to_state.value, e.reason, e.failure_rate, e.calls) for e in told]
    assert spent < 2
    candidate = parse_policy(to_fields(batches[0].policy), {"failure_rate_threshold": 0.3})
    began = time.process_time()
    other = replay(batches, candidate, **wide)
    spent = time.process_time() - began
    assert other.verified
    assert other.diverged_at is not None
    assert not other.reproduced
    assert spent < 4


def test_what_threads_did_is_reproduced_exactly() -> None:
    policy = BreakerPolicy(
        sliding_window_type="count", sliding_window_size=30, minimum_number_of_calls=10,
        failure_rate_threshold=0.4, timeout=0.02, timeout_jitter=0.5,
    )  # fmt: skip
    breaker = CircuitBreaker.of("threads", policy)
    told: list[BreakerEvent] = []
    breaker.on_event(lambda event: told.append(event))
    recorder = Recorder(breaker)
    batches: list[Batch] = []
    enough = threading.Event()

    def work(number: int) -> None:
        count = number
        while not enough.is_set():
            count += 1
            try:
                with breaker:
                    enough.wait(0.0002 * (count % 5))
                    if count // 40 % 3 == 1:
                        raise OSError
            except Exception:
                enough.wait(0.0005)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        enough.wait(0.02)
        batches += filter(None, [recorder.collect()])
    enough.set()
    for thread in threads:
        thread.join()
    batches += filter(None, [recorder.collect()])
    batches = [decode(encode(batch)) for batch in batches]
    now = datetime.now(UTC)
    found = replay(batches, None, since=now - timedelta(hours=1), until=now + timedelta(hours=1))
    assert found.reproduced
    assert found.gaps == ()
    assert len(found.recorded.transitions) == len(told) > 10
    assert found.rejected == breaker.not_permitted_calls


# --- Candidates, computed by hand


def test_a_lower_threshold_opens_earlier_and_refuses_what_came_then() -> None:
    script = Script(BreakerPolicy(5, 10))
    # Failures at 0..4 open it at 4 until 14; successes at 14, 15 and 16 close it.
    script.sequence("fffff---------sssss", begin=0)
    script.collect()
    found = run(script.batches, BreakerPolicy(3, 10))
    assert moves(found, simulated=False) == [
        (4, "open", "failure_threshold"),
        (14, "half_open", "timeout"),
        (16, "closed", "recovered"),
    ]
    # It opens at 2 until 12: the failures at 3 and 4 are spared, nothing else changes.
    assert moves(found) == [
        (2, "open", "failure_threshold"),
        (14, "half_open", "timeout"),
        (16, "closed", "recovered"),
    ]
    assert found.diverged_at == at(2)
    assert (found.calls, found.failures) == (10, 5)
    assert (found.failures_avoided, found.good_calls_refused, found.unknown) == (2, 0, 0)
    assert (found.recorded.opened, found.simulated.opened) == (1, 1)
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (10, 12)
    assert not found.reproduced
    assert found.verified


def test_a_lower_threshold_refuses_good_calls_as_well() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.sequence("fffsssssssssssssss", begin=0)
    script.collect()
    found = run(script.batches, BreakerPolicy(3, 10))
    # Open from 2 to 12: the successes at 3..11 are refused, those of 12, 13 and 14 are the probes.
    assert moves(found) == [
        (2, "open", "failure_threshold"),
        (12, "half_open", "timeout"),
        (14, "closed", "recovered"),
    ]
    assert (found.failures_avoided, found.good_calls_refused) == (0, 9)
    assert found.recorded.transitions == ()
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (0, 10)


def test_a_higher_threshold_never_opens_and_what_was_rejected_stays_unknown() -> None:
    script = Script(BreakerPolicy(2, 10, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=0)
    # Seven are rejected while it is open, from 1 to 11; the one at 11 closes it again.
    script.sequence("sssssss", begin=2)
    script.sequence("ss", begin=11)
    script.collect()
    found = run(script.batches, BreakerPolicy(3, 10, permitted_calls_in_half_open_state=1))
    assert moves(found) == []
    assert (found.rejected, found.unknown) == (7, 7)
    assert (found.failures_avoided, found.good_calls_refused) == (0, 0)
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (10, 0)


def test_a_shorter_open_time_leaves_a_part_of_the_rejected_unknown() -> None:
    script = Script(BreakerPolicy(2, 20, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=-1)
    # Open from 0 to 20, with one rejected call a second.
    script.sequence("s" * 20, begin=0)
    script.sequence("s", begin=20)
    script.collect()
    shorter = BreakerPolicy(2, 5, permitted_calls_in_half_open_state=1)
    found = run(script.batches, shorter)
    assert found.rejected == 20
    assert found.unknown == 15
    # Of the calls between 5 and 20 nothing is known, so the first probe is the one at 20.
    assert moves(found) == moves(found, simulated=False)
    assert found.diverged_at is None


def test_a_longer_open_time_refuses_the_recorded_probes() -> None:
    script = Script(BreakerPolicy(2, 5, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=-1)
    script.sequence("fsfs", begin=5)
    script.collect()
    # 5: a probe fails, open until 10; the rest of the sequence is rejected.
    script.sequence("sss", begin=10)
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 11, permitted_calls_in_half_open_state=1))
    assert moves(found, simulated=False) == [
        (0, "open", "failure_threshold"),
        (5, "half_open", "timeout"),
        (5, "open", "failure_threshold"),
        (10, "half_open", "timeout"),
        (10, "closed", "recovered"),
    ]
    assert moves(found) == [
        (0, "open", "failure_threshold"),
        (11, "half_open", "timeout"),
        (11, "closed", "recovered"),
    ]
    assert (found.failures_avoided, found.good_calls_refused) == (1, 1)
    assert (found.rejected, found.unknown) == (3, 0)
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (10, 11)


def test_a_call_is_refused_by_its_beginning_not_by_its_end() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.until(0)
    early = script.breaker.acquire()
    script.sequence("ff", begin=1)
    script.until(2.5)
    late = script.breaker.acquire()
    script.until(4)
    early.success()
    late.success()
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 10))
    # It opens at 2: what began at 0 ends in peace, what began at 2.5 is refused.
    assert moves(found) == [(2, "open", "failure_threshold")]
    assert found.good_calls_refused == 1
    assert found.calls == 4


def test_more_probes_take_the_calls_that_came_after_the_recovery() -> None:
    script = Script(BreakerPolicy(2, 10, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=-1)
    # The probe at 10 closes it; 11 fails, 12 succeeds.
    script.sequence("sfs", begin=10)
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 10, permitted_calls_in_half_open_state=3))
    # With three probes the one that fails at 11 opens it again until 21.
    assert moves(found) == [
        (0, "open", "failure_threshold"),
        (10, "half_open", "timeout"),
        (11, "open", "failure_threshold"),
    ]
    assert found.diverged_at == at(10)
    assert (found.failures_avoided, found.good_calls_refused) == (0, 1)


def test_fewer_probes_refuse_the_others() -> None:
    script = Script(BreakerPolicy(2, 10, permitted_calls_in_half_open_state=3))
    script.sequence("ff", begin=-1)
    script.until(10)
    probes = [script.breaker.acquire() for _ in range(3)]
    for probe in probes:
        script.clock.now += 1
        probe.success()
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 10, permitted_calls_in_half_open_state=1))
    # One probe is placed at 10 and closes it at 11; the other two were refused at 10.
    assert moves(found)[-1] == (11, "closed", "recovered")
    assert found.good_calls_refused == 2


def test_slow_calls_that_are_spared_are_counted_by_the_candidates_threshold() -> None:
    script = Script(BreakerPolicy(50, 10, minimum_number_of_calls=2))
    for second, duration in ((0, 2), (4, 3), (8, 2), (10, 1), (12, 5)):
        script.until(second)
        script.call("success", duration)
    script.collect()
    slow = BreakerPolicy(
        50, 60, minimum_number_of_calls=2, slow_call_duration_threshold=2,
        slow_call_rate_threshold=1.0,
    )  # fmt: skip
    found = run(script.batches, slow)
    assert moves(found) == [(7, "open", "slow_call_rate")]
    assert found.slow_calls == 4
    assert (found.slow_avoided, found.good_calls_refused) == (2, 3)
    plain = run(script.batches)
    assert (plain.slow_calls, plain.slow_avoided) == (0, 0)


def test_decisions_of_people_hold_for_the_candidate_as_well() -> None:
    script = Script(BreakerPolicy(2, 100))
    script.sequence("ff", begin=0)
    script.until(5)
    script.breaker.reset("operator")
    script.sequence("ss", begin=6)
    script.until(8)
    script.breaker.force_open("maintenance")
    script.sequence("s", begin=9)
    script.until(10)
    script.breaker.reset("operator")
    script.sequence("sff", begin=11)
    script.collect()
    found = run(script.batches, BreakerPolicy(1, 100))
    assert moves(found) == [
        (0, "open", "failure_threshold"),
        (5, "closed", "operator"),
        (8, "forced_open", "maintenance"),
        (10, "closed", "operator"),
        (12, "open", "failure_threshold"),
    ]
    assert (found.failures_avoided, found.good_calls_refused) == (2, 0)
    # What a person forced open is open for the candidate too.
    assert (found.rejected, found.unknown) == (1, 0)


def test_changes_of_the_policy_belong_to_the_one_in_force_and_not_to_a_candidate() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.sequence("ff", begin=0)
    script.breaker.configure(BreakerPolicy(2, 10))
    script.sequence("ff", begin=2)
    script.collect()
    in_force = run(script.batches)
    assert in_force.reproduced
    assert moves(in_force) == [(3, "open", "failure_threshold")]
    held = run(script.batches, BreakerPolicy(5, 10))
    assert held.verified
    assert moves(held) == []
    lower = run(script.batches, BreakerPolicy(3, 10))
    assert moves(lower) == [(2, "open", "failure_threshold")]
    assert lower.failures_avoided == 1


def test_what_other_replicas_decided_holds() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.sequence("s", begin=0)
    script.breaker.adopt_open("shared", 3)
    script.sequence("sss", begin=1)
    script.until(4)
    script.breaker.adopt_closed("shared")
    script.sequence("s", begin=5)
    script.collect()
    for policy in (None, BreakerPolicy(4, 10)):
        found = run(script.batches, policy)
        assert found.reproduced
        assert moves(found)[0] == (0, "open", "shared")
        assert found.rejected == 2


# --- The range, gaps and the series


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
    assert found.reproduced
    assert len(found.series) == 60


@pytest.mark.parametrize("bins", [0, 2001])
def test_a_range_and_its_bins_have_to_make_sense(bins: int) -> None:
    with pytest.raises(ValueError, match="bins"):
        run([], bins=bins)
    with pytest.raises(ValueError, match="range"):
        run([], since=at(0), until=at(0))


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

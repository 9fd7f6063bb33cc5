"""What is recorded of a breaker is its true history."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakers.runtime import recorder as recorders
from breakers.runtime.batches import MARKS, Batch, Moved
from breakers.runtime.call_meter import CallMeter
from breakers.runtime.checkpoint import take_locked
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerPolicy, CircuitState
from breakers.runtime.collaborators import ADMITTED, FAILURE, IGNORED, LOOKED, MOVED, SUCCESS
from breakers.runtime.outcomes import decode, encode
from breakers.runtime.recorder import Recorder
from breakers.runtime.reenactment import Reenactment
from breakers.runtime.testing import FakeClock
from tests.patience import PATIENCE
from tests.runtime.recorded import Recorded, actions, policies


def live_again(batches: list[Batch]) -> Reenactment:
    """Go through batches that follow each other; each has to find what the next one begins with."""
    machine = Reenactment(batches[0])
    for place, batch in enumerate(batches):
        marks = iter(batch.columns.marks)
        drawn = [m.drawn for m in batch.columns.marks if isinstance(m, Moved)]
        opens = iter(drawn)
        entries = list(batch.entries())
        for number, (now, duration, kind, era) in enumerate(entries):
            mark = next(marks) if kind in MARKS else None
            if kind == MOVED:
                continue
            machine.draw = 0.5
            for later in range(number + 1, len(entries)):
                if entries[later][2] != MOVED:
                    break
                machine.draw = next(opens)
            if kind <= IGNORED:
                machine.settle(kind, era, duration, now)
            elif kind == ADMITTED:
                assert machine.admit(now) is not None
            elif kind == LOOKED:
                machine.look(now)
            else:
                assert mark is not None
                machine.obey(mark, now)
        if place + 1 < len(batches):
            assert batches[place + 1].follows(batch)
            assert take_locked(machine) == batches[place + 1].start
    return machine


@settings(max_examples=300, deadline=None)
@given(policies(), st.lists(actions, max_size=60), st.integers(0, 9))
def test_what_is_recorded_leads_through_the_same_states(
    policy: BreakerPolicy, played: list[tuple[Any, ...]], seed: int
) -> None:
    recorded = Recorded(policy, seed=seed)
    recorded.play(played)
    if not recorded.batches:
        assert not recorded.told
        return
    machine = live_again(recorded.batches)
    assert machine.moves == recorded.transitions()
    with recorded.breaker._lock:
        assert take_locked(machine) == take_locked(recorded.breaker)


def agree(recorded: Recorded) -> None:
    """The record leads to the same transitions and the same state."""
    recorded.collect()
    machine = live_again(recorded.batches)
    assert machine.moves == recorded.transitions()
    assert take_locked(machine) == take_locked(recorded.breaker)


def test_a_look_that_lets_a_bucket_end_is_part_of_the_record() -> None:
    policy = BreakerPolicy(sliding_window_type="time", sliding_window_size=10)
    recorded = Recorded(policy)
    recorded.call()
    for seconds in (0.9, 1.3, 30.0):
        recorded.clock.now += seconds
        recorded.breaker.snapshot()
        recorded.breaker.snapshot()
    recorded.call()
    agree(recorded)
    kinds = recorded.batches[0].columns.kinds
    # The first and the third look change nothing, nor does one that repeats another.
    assert list(kinds) == [SUCCESS, LOOKED, LOOKED, SUCCESS]


@pytest.mark.parametrize("look", ["state", "snapshot", "is_open"])
def test_a_look_that_ends_a_wait_for_probes_is_part_of_the_record(look: str) -> None:
    policy = BreakerPolicy(1, 5, permitted_calls_in_half_open_state=1)
    recorded = Recorded(policy)
    recorded.call("failure")
    recorded.clock.now += 5
    late = recorded.breaker.acquire()
    recorded.clock.now += 5
    recorded._look(look)
    late.success()
    agree(recorded)
    assert recorded.transitions()[-1].reason == "probes_overdue"


def test_a_late_probe_that_nobody_looked_after_closes_it_again() -> None:
    recorded = Recorded(BreakerPolicy(1, 5, permitted_calls_in_half_open_state=1))
    recorded.call("failure")
    recorded.clock.now += 5
    late = recorded.breaker.acquire()
    recorded.clock.now += 500
    late.success()
    agree(recorded)
    assert recorded.transitions()[-1].reason == "recovered"


def test_open_times_go_on_growing_from_batch_to_batch() -> None:
    policy = BreakerPolicy(1, 5, timeout_multiplier=2, timeout_jitter=0.3)
    recorded = Recorded(policy)
    for _ in range(5):
        recorded.call("failure")
        recorded.collect()
        recorded.clock.now += 120
    agree(recorded)
    assert len(recorded.batches) == 5
    assert recorded.batches[-1].start.open_for == 40.0
    assert recorded.batches[-1].columns.marks[-1].drawn != 0.5  # type: ignore[union-attr]


def test_each_batch_can_be_the_first() -> None:
    policy = BreakerPolicy(
        2, 5, sliding_window_type="time", sliding_window_size=10, minimum_number_of_calls=3,
        timeout_jitter=0.2, timeout_multiplier=3,
    )  # fmt: skip
    recorded = Recorded(policy)
    for round_ in range(12):
        for place in range(8):
            recorded.call("failure" if (round_ + place) % 3 else "success", 0.4)
            recorded.clock.now += 1.1
        recorded.collect()
    assert len(recorded.transitions()) > 6
    for first in range(len(recorded.batches)):
        told = [decode(encode(batch)) for batch in recorded.batches[first:]]
        moved = [m.event for b in told for m in b.columns.marks if isinstance(m, Moved)]
        assert live_again(told).moves == moved


def test_a_batch_begins_with_the_policy_of_its_beginning() -> None:
    first, second = BreakerPolicy(5, 10), BreakerPolicy(2, 10)
    recorded = Recorded(first)
    recorded.call("failure")
    recorded.breaker.configure(second)
    recorded.call("failure")
    recorded.collect()
    recorded.call("failure")
    recorded.collect()
    assert [batch.policy for batch in recorded.batches] == [first, second]
    assert [e.reason for e in live_again(recorded.batches[1:]).moves] == ["failure_threshold"]


def test_a_recorder_counts_as_a_meter_does() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(5, clock=clock)
    meter, recorder = CallMeter(), Recorder(breaker)
    for place in range(1000):
        duration, failed = place % 130 / 10, place % 7 == 0
        permit = breaker.acquire()
        if failed:
            permit.failure(OSError(), duration)
        else:
            permit.success(duration)
        meter.record(FAILURE if failed else SUCCESS, duration, 0.0, 1)
        if place % 90 == 0:
            recorder.collect()
        if place % 55 == 0:
            assert recorder.read() == meter.read()
    assert recorder.read() == meter.read()


def test_what_is_too_much_is_counted_but_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "_FULL", 40)
    recorded = Recorded(BreakerPolicy(3, 5))
    for _ in range(25):
        recorded.call()
    recorded.breaker.force_open("by hand")
    recorded.breaker.reset()
    recorded.collect()
    recorded.call()
    recorded.collect()
    full, after = recorded.batches
    assert (len(full.columns), full.dropped) == (10, 15 + 4)
    assert (len(after.columns), after.dropped) == (1, 0)
    assert not after.follows(full)
    (calls,) = recorded.recorder.read()
    assert sum(calls.buckets) == 26
    assert live_again([after]).state is CircuitState.CLOSED


def test_rejections_alone_make_a_batch_and_silence_makes_none() -> None:
    recorded = Recorded(BreakerPolicy(1, 60))
    assert recorded.recorder.collect() is None
    recorded.call("failure")
    recorded.collect()
    assert recorded.recorder.collect() is None
    for _ in range(7):
        assert not recorded.call()
    recorded.clock.now += 1
    recorded.collect()
    last = recorded.batches[-1]
    assert (len(last.columns), last.rejected, last.ends - last.begins) == (0, (0, 7), 1.0)
    assert decode(encode(last)) == last


def test_durations_that_no_clock_gives_do_no_harm() -> None:
    recorded = Recorded(
        BreakerPolicy(3, slow_call_duration_threshold=1, slow_call_rate_threshold=0.2)
    )
    for duration in (math.inf, math.nan, -math.inf, -1.0, 5):
        recorded.breaker.acquire().success(duration)
    agree(recorded)
    (batch,) = recorded.batches
    assert list(batch.columns.durations)[1] == 0.0
    assert decode(encode(batch)) == batch
    with pytest.raises(TypeError):
        recorded.breaker.acquire().success("long")  # type: ignore[arg-type]
    assert recorded.recorder.collect() is None


def test_slow_calls_are_counted_whatever_becomes_of_them() -> None:
    recorded = Recorded(BreakerPolicy(2, 60, slow_call_duration_threshold=1))
    late = recorded.breaker.acquire()
    recorded.call("success", 1.0)
    recorded.call("success", 0.99)
    recorded.call("failure", 3.0)
    recorded.call("failure", 0.0)
    late.success(9)
    assert recorded.breaker.slow_calls == 3
    recorded.breaker.disable()
    recorded.call("success", 9)
    assert recorded.breaker.slow_calls == 3


# --- Threads


def test_the_record_of_many_threads_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is too much, though the collector may be kept waiting.
    monkeypatch.setattr(recorders, "_FULL", 4 * 90_000)
    policy = BreakerPolicy(
        sliding_window_type="time", sliding_window_size=0.5, minimum_number_of_calls=20,
        failure_rate_threshold=0.4, timeout=0.02, timeout_jitter=0.5, timeout_multiplier=1.5,
        slow_call_duration_threshold=0.002, slow_call_rate_threshold=0.9,
    )  # fmt: skip
    breaker = CircuitBreaker.of("threads", policy)
    told = []
    breaker.on_event(lambda event: told.append(event))
    recorder = Recorder(breaker)
    batches: list[Batch] = []
    stop = threading.Event()
    begun = threading.Barrier(6)

    def work(number: int) -> None:
        begun.wait()
        count = number
        while not stop.is_set():
            count += 1
            try:
                with breaker.acquire():
                    stop.wait(0.0003 * (count % 4))
                    if count // 50 % 3 == 1:
                        raise OSError
            except Exception:
                stop.wait(0.0005)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    begun.wait()
    looks: list[Callable[[], object]] = [breaker.snapshot, lambda: breaker.state, breaker.reset]
    deadline = time.monotonic() + PATIENCE
    for place in itertools.count():
        # As long as it takes where the threads hardly have a turn.
        if place >= 60 and (len(told) > 10 or time.monotonic() > deadline):
            break
        stop.wait(0.02)
        looks[place % 3 if place % 9 == 2 else place % 2]()
        batch = recorder.collect()
        if batch is not None:
            batches.append(decode(encode(batch)))
    stop.set()
    for thread in threads:
        thread.join()
    batch = recorder.collect()
    if batch is not None:
        batches.append(batch)
    machine = live_again(batches)
    assert len(told) > 10
    assert machine.moves == told
    assert take_locked(machine) == take_locked(breaker)
    counted = sum(sum(each.buckets) for each in recorder.read())
    assert counted == sum(kind <= IGNORED for each in batches for kind in each.columns.kinds)

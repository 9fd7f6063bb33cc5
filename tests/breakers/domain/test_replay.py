"""The policy that was in force repeats the record exactly; any other accounts for every call."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from breakers.domain.replay import parse_policy, replay
from breakers.runtime.batches import Batch
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.outcomes import decode, encode
from breakers.runtime.policy_fields import to_fields
from breakers.runtime.recorder import Recorder
from tests.breakers.domain.scripts import moves
from tests.runtime.recorded import Recorded, actions, policies


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


def test_a_hundred_thousand_outcomes_reproduce_their_transitions_exactly() -> None:
    batches, told = busy(100_000)
    batches = [decode(encode(batch)) for batch in batches]
    assert len(told) > 200
    assert {event.reason for event in told} >= {
        "failure_rate", "slow_call_rate", "timeout", "recovered",
    }  # fmt: skip
    wide = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}
    found = replay(batches, None, **wide)
    assert found.calls == 100_000
    assert found.reproduced
    assert [
        (t.to_state, t.reason, t.failure_rate, t.calls) for t in found.simulated.transitions
    ] == [(e.to_state.value, e.reason, e.failure_rate, e.calls) for e in told]
    candidate = parse_policy(to_fields(batches[0].policy), {"failure_rate_threshold": 0.3})
    other = replay(batches, candidate, **wide)
    assert other.verified
    assert other.diverged_at is not None
    assert not other.reproduced


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

"""The corners of the circuit breaker: windows, half-open, what is kept, what others decide."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from breakers.runtime import events
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.testing import FakeClock as Clock
from tests.runtime.given import by_rate, opened, succeed
from tests.test_circuit_breaker import attempt, fail


def test_rates_decide_from_the_minimum_on_and_also_at_a_success(clock: Clock) -> None:
    breaker = by_rate(clock)
    for func in (fail, fail, fail, succeed):
        attempt(breaker, func)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().failure_rate is None
    attempt(breaker, succeed)
    seen = breaker.snapshot()
    assert seen.state is CircuitState.OPEN
    assert (seen.failure_rate, seen.calls, seen.failed_calls) == (0.6, 5, 3)
    assert not attempt(breaker)
    assert breaker.snapshot().not_permitted_calls == 1


def test_a_rate_that_equals_its_threshold_opens(clock: Clock) -> None:
    breaker = by_rate(clock)
    for func in (succeed, succeed, succeed, fail, fail):
        attempt(breaker, func)
        clock.now += 1
    assert breaker.snapshot().failure_rate == 0.4
    assert breaker.state is CircuitState.CLOSED
    attempt(breaker)
    assert breaker.state is CircuitState.OPEN


@pytest.mark.parametrize(
    ("calls", "minimum", "failures", "threshold", "opens"),
    [
        (10, 10, 0, 0.1, False),
        (10, 10, 1, 0.1, True),
        (11, 10, 3, 0.2, True),
        (9, 10, 9, 0.1, False),
    ],
)
def test_minimum_and_threshold(
    clock: Clock, calls: int, minimum: int, failures: int, threshold: float, opens: bool
) -> None:
    breaker = CircuitBreaker(
        sliding_window_type="count",
        minimum_number_of_calls=minimum,
        failure_rate_threshold=threshold,
        clock=clock,
    )
    for place in range(calls):
        attempt(breaker, fail if place < failures else succeed)
    assert (breaker.state is CircuitState.OPEN) is opens


def test_calls_leave_the_time_window(clock: Clock) -> None:
    breaker = by_rate(clock)
    for _ in range(4):
        attempt(breaker)
    clock.now += 20
    attempt(breaker)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().calls == 1


def test_slow_calls_open_by_their_own_rate(clock: Clock) -> None:
    breaker = by_rate(clock)

    def slow() -> None:
        clock.now += 4

    for func in (slow, slow, succeed, succeed):
        attempt(breaker, func)
    assert breaker.state is CircuitState.CLOSED
    attempt(breaker, slow)
    assert breaker.state is CircuitState.OPEN
    seen = breaker.snapshot()
    assert (seen.slow_calls, seen.slow_call_rate, seen.failure_rate) == (3, 0.6, 0.0)


def test_half_open_caps_placed_calls_and_a_freed_place_admits_one_more(clock: Clock) -> None:
    breaker = opened(clock)
    permits = [breaker.acquire() for _ in range(4)]
    for _ in range(2):
        with pytest.raises(CallNotPermitted) as refused:
            breaker.acquire()
        assert refused.value.state == "half_open"
    assert breaker.snapshot().not_permitted_calls == 2
    permits[0].ignore()
    permits[0].ignore()
    permits.append(breaker.acquire())
    with pytest.raises(CallNotPermitted):
        breaker.acquire()
    for each in permits:
        each.failure(OSError())
    assert breaker.state is CircuitState.OPEN
    clock.now += 5
    for _ in range(4):
        breaker.acquire()


def test_half_open_waits_for_all_probes_before_rates_decide(clock: Clock) -> None:
    breaker = opened(clock)
    for func in (succeed, fail, succeed):
        attempt(breaker, func)
        assert breaker.state is CircuitState.HALF_OPEN
    attempt(breaker, succeed)
    assert breaker.state is CircuitState.CLOSED
    breaker = opened(clock)
    for func in (succeed, fail, fail, succeed):
        attempt(breaker, func)
    assert breaker.state is CircuitState.OPEN


@pytest.mark.parametrize("outcome", ["ignored", "predicate", "exit"])
def test_what_does_not_count_frees_its_probe(clock: Clock, outcome: str) -> None:
    def judge(error: Exception) -> bool:
        raise ZeroDivisionError

    breaker = opened(clock)
    if outcome == "predicate":
        breaker.configure(
            BreakerPolicy(timeout=5, ignored_exceptions=judge, permitted_calls_in_half_open_state=4)
        )
    raised = {"ignored": ValueError, "predicate": OSError, "exit": SystemExit}[outcome]

    for _ in range(4):
        breaker.acquire().failure(raised())
    seen = breaker.snapshot()
    assert seen.state is CircuitState.HALF_OPEN
    assert seen.calls == 0
    for _ in range(4):
        attempt(breaker, succeed)
    assert breaker.state is CircuitState.CLOSED


def test_a_result_predicate_that_raises_frees_its_probe_and_the_caller_gets_the_result(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def judge(result: int) -> bool:
        return 1 / result > 1

    breaker = CircuitBreaker(
        1, 5, permitted_calls_in_half_open_state=1, record_result=judge, clock=clock
    )
    attempt(breaker)
    clock.now += 5
    assert breaker.call_sync(lambda: 0) == 0
    assert breaker.state is CircuitState.HALF_OPEN
    assert "record_result" in caplog.text
    assert breaker.call_sync(lambda: 1) == 1
    assert breaker.state is CircuitState.CLOSED


def test_a_hung_probe_opens_it_again_after_the_longest_wait(clock: Clock) -> None:
    breaker = opened(clock, max_wait_duration_in_half_open_state=1)
    hung = breaker.acquire()
    clock.now += 0.999
    assert breaker.state is CircuitState.HALF_OPEN
    clock.now += 0.002
    assert breaker.state is CircuitState.OPEN
    hung.success()
    assert breaker.state is CircuitState.OPEN
    clock.now += 5
    breaker.acquire()
    assert breaker.state is CircuitState.HALF_OPEN


def test_long_after_a_hung_probe_the_next_call_is_a_probe_again(clock: Clock) -> None:
    breaker = opened(clock)
    breaker.acquire()
    clock.now += 3600
    assert attempt(breaker, succeed)
    assert breaker.state is CircuitState.HALF_OPEN


def test_metrics_only_reports_once_and_lets_all_pass(clock: Clock) -> None:
    breaker = by_rate(clock)
    seen: list[BreakerEvent] = []
    breaker.metrics_only()
    breaker.on_event(seen.append)
    for func in (fail, fail, fail, succeed, succeed, fail, fail):
        assert attempt(breaker, func)
    assert breaker.state is CircuitState.METRICS_ONLY
    assert [(e.kind, e.reason, e.failure_rate) for e in seen] == [
        ("rate_exceeded", "failure_rate", 0.6)
    ]


def test_disabled_records_nothing(clock: Clock) -> None:
    breaker = by_rate(clock)
    breaker.disable()
    for _ in range(20):
        assert attempt(breaker)
    assert breaker.snapshot().calls == 0
    assert breaker.last_failure == ""


def test_growing_open_times_end_at_their_cap_and_start_anew_after_recovery(clock: Clock) -> None:
    breaker = CircuitBreaker(
        1,
        10,
        permitted_calls_in_half_open_state=1,
        timeout_multiplier=2,
        max_timeout=35,
        clock=clock,
    )

    def open_for() -> float:
        attempt(breaker)
        wait = breaker.snapshot().retry_after
        assert wait is not None
        clock.now += wait
        return wait

    assert [open_for() for _ in range(4)] == [10, 20, 35, 35]
    attempt(breaker, succeed)
    assert breaker.state is CircuitState.CLOSED
    assert open_for() == 10


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 80), (0.5, 100), (1.0, 120)])
def test_jitter_spreads_the_open_time_both_ways(clock: Clock, chance: float, wait: float) -> None:
    breaker = CircuitBreaker(1, 100, timeout_jitter=0.2, clock=clock, chance=lambda: chance)
    attempt(breaker)
    assert breaker.snapshot().retry_after == pytest.approx(wait)


def test_a_new_policy_applies_at_once_and_the_state_stays(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 100, clock=clock)
    attempt(breaker)
    clock.now += 10
    breaker.configure(BreakerPolicy(failure_threshold=2, timeout=30))
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().retry_after == 20
    assert (breaker.failure_threshold, breaker.timeout) == (2, 30)


# --- What stays behind


def test_the_last_failure_keeps_no_frame_alive(clock: Clock) -> None:
    class Request:
        pass

    breaker = CircuitBreaker(1, 60, clock=clock)
    request = Request()
    gone = weakref.ref(request)

    def call(request: Request) -> None:
        raise OSError("down")

    gc.disable()
    try:
        for _ in range(2):
            with pytest.raises((OSError, CallNotPermitted)) as raised:
                breaker.call_sync(call, request)
            del raised
        del request
        assert gone() is None
    finally:
        gc.enable()
    assert breaker.last_failure == "OSError: down"


def test_long_and_unreadable_messages_are_kept_short(clock: Clock) -> None:
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def unreadable() -> None:
        raise Unreadable

    def long() -> None:
        raise OSError("x" * 10_000)

    breaker = CircuitBreaker(9, 60, clock=clock)
    attempt(breaker, long)
    assert len(breaker.last_failure) < 250
    attempt(breaker, unreadable)
    assert breaker.last_failure == "Unreadable: its message cannot be read"


def test_transitions_are_events(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[events.Event] = []
    stop = events.subscribe(lambda event: seen.append(event) if "breaker" in event.name else None)
    try:
        breaker = by_rate(clock)
        with caplog.at_level(logging.INFO):
            for _ in range(5):
                attempt(breaker)
    finally:
        stop()
    assert seen == [
        events.Event(
            "resilience.breaker.transition",
            {
                "resilience.breaker.name": "rate",
                "resilience.breaker.from_state": "closed",
                "resilience.breaker.to_state": "open",
                "resilience.breaker.reason": "failure_rate",
                "resilience.breaker.calls": 5,
                "resilience.breaker.failure_rate": 1.0,
                "resilience.breaker.retry_after": 5.0,
            },
        )
    ]
    assert "'rate': closed → open (failure_rate)" in caplog.text


# --- What other replicas decide


def test_another_replica_s_verdict_is_adopted_unless_a_person_decided(clock: Clock) -> None:
    breaker = CircuitBreaker(5, 60, clock=clock)
    breaker.adopt_open("shared", 12)
    assert breaker.snapshot().retry_after == 12
    breaker.adopt_open("shared", 99)
    assert breaker.snapshot().retry_after == 12
    breaker.adopt_closed("shared")
    assert breaker.state is CircuitState.CLOSED
    for decide in (breaker.force_closed, breaker.force_open, breaker.disable, breaker.metrics_only):
        decide()
        state = breaker.state
        breaker.adopt_open("shared", 12)
        breaker.adopt_closed("shared")
        assert breaker.state is state


def test_probes_can_be_handed_out_by_others(clock: Clock) -> None:
    class Source:
        def __init__(self) -> None:
            self.left = 0
            self.ends: list[bool | None] = []

        def take(self) -> bool:
            self.left -= 1
            return self.left >= 0

        def done(self, success: bool | None) -> None:
            self.ends.append(success)

    source = Source()
    breaker = CircuitBreaker(1, 60, permitted_calls_in_half_open_state=2, clock=clock)
    breaker.limit_probes(source)
    attempt(breaker)
    clock.now += 60
    assert not attempt(breaker, succeed)
    assert breaker.state is CircuitState.OPEN
    source.left = 1
    assert attempt(breaker, succeed)
    assert breaker.state is CircuitState.HALF_OPEN
    assert not attempt(breaker, succeed)
    source.left = 1
    assert attempt(breaker, succeed)
    assert breaker.state is CircuitState.CLOSED
    assert source.ends == [True, True]
    attempt(breaker, succeed)
    assert source.ends == [True, True]

"""The circuit breaker as its users know it; its corners are tested in tests/runtime."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, CircuitState
from breakers.runtime.deadlines import deadline
from breakers.runtime.errors import CallNotPermitted, DeadlineExceeded
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ConfigError


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail() -> None:
    raise ConnectionError("refused")


def attempt(breaker: CircuitBreaker, func: Callable[[], object] = fail) -> bool:
    """Whether the call was let through."""
    try:
        breaker.call_sync(func)
    except CallNotPermitted:
        return False
    except Exception:
        return True
    return True


async def test_circuit_breaker_opens_on_failures(clock: Clock) -> None:
    breaker = CircuitBreaker(3, 120, ConnectionError, name="graph", clock=clock)
    calls = 0

    async def broken() -> None:
        nonlocal calls
        calls += 1
        raise ConnectionError("refused")

    for failures in (1, 2, 3):
        assert breaker.state is CircuitState.CLOSED
        with pytest.raises(ConnectionError):
            await breaker.call(broken)
        assert breaker.failure_count == failures
    assert breaker.state is CircuitState.OPEN
    assert await breaker.is_open()

    with pytest.raises(CallNotPermitted) as rejected:
        await breaker.call(broken)
    assert calls == 3
    assert rejected.value.name == "graph"
    assert rejected.value.state == "open"
    assert rejected.value.retry_after == 120
    assert rejected.value.last_failure == "ConnectionError: refused"
    assert "'graph' is open" in str(rejected.value)
    assert breaker.snapshot().not_permitted_calls == 1


def test_a_success_ends_the_row_of_failures(clock: Clock) -> None:
    breaker = CircuitBreaker(3, 60, clock=clock)
    for func in (fail, fail, lambda: None, fail, fail):
        attempt(breaker, func)
    assert breaker.state is CircuitState.CLOSED
    attempt(breaker)
    assert breaker.state is CircuitState.OPEN


async def test_exactly_at_the_timeout_the_next_call_is_admitted(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, clock=clock)
    attempt(breaker)
    clock.now += 59.999
    assert await breaker.is_open()
    assert not attempt(breaker)
    clock.now = 1060.0
    assert not await breaker.is_open()
    assert attempt(breaker, lambda: None)
    assert breaker.state is CircuitState.HALF_OPEN


def test_it_closes_when_every_probe_succeeded(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, permitted_calls_in_half_open_state=3, clock=clock)
    attempt(breaker)
    clock.now += 60
    for _ in range(2):
        attempt(breaker, lambda: None)
        assert breaker.state is CircuitState.HALF_OPEN
    attempt(breaker, lambda: None)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.failure_count == 0


def test_one_failing_probe_opens_it_again(clock: Clock) -> None:
    breaker = CircuitBreaker(5, 60, clock=clock)
    for _ in range(5):
        attempt(breaker)
    clock.now += 60
    attempt(breaker, lambda: None)
    attempt(breaker)
    assert breaker.state is CircuitState.OPEN
    clock.now += 59
    assert not attempt(breaker)


async def test_the_story_s_record_keeping_works_without_call(clock: Clock) -> None:
    breaker = CircuitBreaker(failure_threshold=2, timeout=60, clock=clock)
    assert breaker.last_failure_time is None
    await breaker.record_failure(OSError("a"))
    await breaker.record_success()
    assert breaker.failure_count == 0
    await breaker.record_failure(OSError("a"))
    await breaker.record_failure(OSError("b"))
    assert breaker.state is CircuitState.OPEN
    assert breaker.last_failure_time == clock.now
    await breaker.record_success()  # too late to count: nobody admitted this call
    assert breaker.state is CircuitState.OPEN
    clock.now += 60
    assert not await breaker.is_open()
    for _ in range(3):
        await breaker.record_success()
    assert breaker.state is CircuitState.CLOSED


def test_other_exceptions_than_the_expected_are_answers(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 60, expected_exception=(OSError,), clock=clock)

    def not_found() -> None:
        raise KeyError("x")

    attempt(breaker)
    attempt(breaker, not_found)
    attempt(breaker)
    assert breaker.state is CircuitState.CLOSED


def test_ignored_exceptions_count_neither_way(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 60, ignored_exceptions=ValueError, clock=clock)

    def nonsense() -> None:
        raise ValueError

    for func in (fail, nonsense, fail):
        attempt(breaker, func)
    assert breaker.state is CircuitState.OPEN


def test_a_result_can_be_a_failure(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 60, record_result=lambda status: status >= 500, clock=clock)
    assert [breaker.call_sync(lambda: 503) for _ in range(2)] == [503, 503]
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().last_failure == "a result of type int"


async def test_cancellation_by_the_caller_is_neither_success_nor_failure(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, permitted_calls_in_half_open_state=1, clock=clock)
    attempt(breaker)
    clock.now += 60
    entered = asyncio.Event()

    async def hang() -> None:
        entered.set()
        await asyncio.Event().wait()

    for _ in range(20):
        entered.clear()
        task = asyncio.create_task(breaker.call(hang))
        await entered.wait()
        assert not attempt(breaker, lambda: None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert breaker.state is CircuitState.HALF_OPEN
    attempt(breaker, lambda: None)
    assert breaker.state is CircuitState.CLOSED


async def test_the_own_deadline_is_a_failure() -> None:
    breaker = CircuitBreaker(1, 60)

    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlineExceeded):
        async with deadline(0.001):
            await breaker.call(hang)
    assert breaker.state is CircuitState.OPEN
    assert breaker.last_failure.startswith("CancelledError")


def test_no_lock_is_held_while_a_call_runs() -> None:
    breaker = CircuitBreaker(1, 60)
    together = threading.Barrier(8, timeout=30)
    threads = [threading.Thread(target=breaker.call_sync, args=(together.wait,)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert breaker.snapshot().calls == 8  # none could have passed the barrier alone


def test_a_slow_success_from_before_the_opening_does_not_close_it(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, permitted_calls_in_half_open_state=1, clock=clock)
    old = breaker.acquire()
    attempt(breaker)
    assert breaker.state is CircuitState.OPEN
    old.success()
    assert breaker.state is CircuitState.OPEN
    older = breaker
    clock.now += 60
    probe = older.acquire()
    old.failure(OSError())
    assert breaker.state is CircuitState.HALF_OPEN
    probe.success()
    assert breaker.state is CircuitState.CLOSED


def test_manual_states_hold_until_they_are_taken_back(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 60, clock=clock)
    breaker.force_open()
    clock.now += 10_000
    assert not attempt(breaker, lambda: None)
    breaker.force_closed()
    assert all(attempt(breaker) for _ in range(10))
    assert breaker.snapshot().failed_calls == 10
    breaker.disable()
    assert all(attempt(breaker) for _ in range(10))
    breaker.reset()
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().calls == 0


def test_it_tells_each_transition_once(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 60, permitted_calls_in_half_open_state=1, name="db", clock=clock)
    seen: list[BreakerEvent] = []
    stop = breaker.on_event(seen.append)
    for _ in range(5):
        attempt(breaker)
    clock.now += 60
    attempt(breaker, lambda: None)
    breaker.reset()
    breaker.force_open("maintenance")
    breaker.force_open("again")
    stop()
    breaker.reset()
    assert [(e.from_state.value, e.to_state.value, e.reason) for e in seen] == [
        ("closed", "open", "failure_threshold"),
        ("open", "half_open", "timeout"),
        ("half_open", "closed", "recovered"),
        ("closed", "forced_open", "maintenance"),
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"failure_threshold": -1}, "failure_threshold is -1"),
        ({"failure_threshold": 2.5}, "failure_threshold is 2.5"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"expected_exception": "OSError"}, "expected_exception is 'OSError'"),
        ({"sliding_window_type": "tumbling"}, "sliding_window_type is 'tumbling'"),
        ({"sliding_window_size": 0, "sliding_window_type": "count"}, "sliding_window_size is 0"),
        ({"failure_rate_threshold": 50}, "failure_rate_threshold is 50"),
        ({"slow_call_rate_threshold": 0}, "slow_call_rate_threshold is 0"),
        (
            {"permitted_calls_in_half_open_state": True},
            "permitted_calls_in_half_open_state is True",
        ),
        (
            {"sliding_window_type": "count", "sliding_window_size": 5},
            "minimum_number_of_calls is 10, but has to be at most the 5 calls",
        ),
        ({"record_result": 500}, "record_result is 500"),
        ({"timeout_jitter": 1}, "timeout_jitter is 1"),
    ],
)
def test_nonsense_is_refused_at_construction(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        CircuitBreaker(**arguments)  # type: ignore[arg-type]

"""The corners of the circuit breaker: windows, half-open, races, streams, what others decide."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from breakers.runtime import events
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.testing import FakeClock as Clock
from tests.test_circuit_breaker import attempt, clock, fail

__all__ = ["clock"]


def succeed() -> None:
    """A call that works."""


def by_rate(clock: Clock, **more: object) -> CircuitBreaker:
    """Half of at least 5 calls in 20 s; slow from 4 s on; open for 5 s; 4 probes."""
    settings: dict[str, object] = {
        "timeout": 5,
        "sliding_window_type": "time",
        "sliding_window_size": 20,
        "minimum_number_of_calls": 5,
        "slow_call_duration_threshold": 4,
        "slow_call_rate_threshold": 0.5,
        "permitted_calls_in_half_open_state": 4,
        "ignored_exceptions": ValueError,
        "name": "rate",
        "clock": clock,
    }
    return CircuitBreaker(**(settings | more))  # type: ignore[arg-type]


def opened(clock: Clock, **more: object) -> CircuitBreaker:
    breaker = by_rate(clock, **more)
    for _ in range(5):
        attempt(breaker)
    assert breaker.state is CircuitState.OPEN
    clock.now += 5
    return breaker


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


# --- Races


@pytest.mark.parametrize("again", range(50))
def test_threads_failing_at_once_give_one_transition(again: int) -> None:
    breaker = CircuitBreaker(2, 60)
    seen: list[BreakerEvent] = []
    breaker.on_event(seen.append)
    together = threading.Barrier(4, timeout=30)

    def failing() -> None:
        together.wait()
        raise OSError

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: attempt(breaker, failing), range(4)))
    assert len(seen) == 1


def test_a_thousand_callers_at_the_instant_of_half_open(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, permitted_calls_in_half_open_state=4, clock=clock)
    attempt(breaker)
    clock.now += 60
    together = threading.Barrier(100, timeout=50)
    release = threading.Event()
    placed = []

    def probe() -> None:
        placed.append(1)
        release.wait(50)

    refused = threading.Semaphore(0)

    def ten_calls() -> None:
        together.wait()
        for _ in range(10):
            if not attempt(breaker, probe):
                refused.release()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(100) as pool:
            results = [pool.submit(ten_calls) for _ in range(100)]
            # The four threads whose probe was let through are held there; all others are refused.
            for _ in range(960):
                assert refused.acquire(timeout=50)
            assert len(placed) == 4
            release.set()
            for each in results:
                each.result()
    finally:
        sys.setswitchinterval(before)
    assert breaker.state is CircuitState.CLOSED


async def test_a_thousand_tasks_at_the_instant_of_half_open(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, permitted_calls_in_half_open_state=4, clock=clock)
    attempt(breaker)
    clock.now += 60
    placed = 0
    release = asyncio.Event()

    async def probe() -> None:
        nonlocal placed
        placed += 1
        await release.wait()

    tasks = [asyncio.create_task(breaker.call(probe)) for _ in range(1000)]
    await asyncio.sleep(0)  # each task runs once: to its refusal, or to where its probe waits
    assert sum(each.done() for each in tasks) == 996
    assert placed == 4
    release.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(each, CallNotPermitted) for each in results) == 996
    assert breaker.state is CircuitState.CLOSED


def test_listeners_may_use_the_breaker_and_hear_everything_in_order(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, clock=clock)
    heard: list[str] = []

    def reset_at_once(event: BreakerEvent) -> None:
        heard.append(event.to_state.value)
        if event.to_state is CircuitState.OPEN:
            breaker.reset()

    breaker.on_event(reset_at_once)
    attempt(breaker)
    assert heard == ["open", "closed"]
    assert breaker.state is CircuitState.CLOSED


def test_a_failing_listener_is_logged_and_harms_nobody(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = CircuitBreaker(1, 60, clock=clock)
    heard: list[BreakerEvent] = []
    breaker.on_event(lambda event: 1 / 0)
    breaker.on_event(heard.append)
    with pytest.raises(ConnectionError):
        breaker.call_sync(fail)
    assert len(heard) == 1
    assert "ZeroDivisionError" in caplog.text


def test_an_abandoned_stream_ended_by_the_garbage_collector_cannot_lock_up(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, clock=clock)
    again: list[object] = []

    @breaker
    def numbers() -> Iterator[object]:
        yield 1
        yield again

    def collect_inside(event: object) -> None:
        gc.collect()

    stream = numbers()
    next(stream)
    again.append(stream)
    del stream
    with breaker._lock:
        again.clear()
        gc.collect()
    assert breaker.snapshot().calls == 0


# --- Functions, blocks, streams


async def test_one_breaker_decorates_every_kind_of_function(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, clock=clock)

    @breaker
    def plain(a: int, *, b: int = 2) -> int:
        """Adds."""
        return a + b

    @breaker
    async def coroutine(a: int) -> int:
        return a

    @breaker
    def generator(n: int) -> Iterator[int]:
        yield from range(n)

    @breaker
    async def async_generator(n: int) -> AsyncIterator[int]:
        for each in range(n):
            yield each

    assert plain(1, b=3) == 4
    assert plain.__name__ == "plain"
    assert plain.__doc__ == "Adds."
    assert await coroutine(5) == 5
    assert list(generator(3)) == [0, 1, 2]
    assert [each async for each in async_generator(3)] == [0, 1, 2]
    assert breaker.snapshot().calls == 4
    breaker.force_open()
    with pytest.raises(CallNotPermitted):
        plain(1)
    with pytest.raises(CallNotPermitted):
        await coroutine(1)
    with pytest.raises(CallNotPermitted):
        next(generator(1))
    with pytest.raises(CallNotPermitted):
        await anext(async_generator(1))


async def test_a_stream_that_breaks_in_the_middle_is_a_failure(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 60, clock=clock)

    @breaker
    def numbers() -> Iterator[int]:
        yield 1
        raise ConnectionResetError

    @breaker
    async def more() -> AsyncIterator[int]:
        yield 1
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        list(numbers())
    with pytest.raises(ConnectionResetError):
        [each async for each in more()]
    assert breaker.state is CircuitState.OPEN


async def test_who_stops_reading_says_nothing_about_the_stream(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, permitted_calls_in_half_open_state=1, clock=clock)
    closed = []

    @breaker
    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("sync")

    @breaker
    async def more() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("async")

    attempt(breaker)
    clock.now += 60
    stream = numbers()
    assert next(stream) == 1
    stream.close()  # type: ignore[attr-defined]
    other = more()
    assert await anext(other) == 1
    await other.aclose()  # type: ignore[attr-defined]
    assert closed == ["sync", "async"]
    assert breaker.state is CircuitState.HALF_OPEN
    assert list(numbers()) == [1, 2]
    assert breaker.state is CircuitState.CLOSED


def test_the_time_of_a_stream_s_reader_does_not_make_it_slow(clock: Clock) -> None:
    breaker = by_rate(clock)

    @breaker
    def numbers() -> Iterator[int]:
        yield 1
        clock.now += 1
        yield 2

    for _ in numbers():
        clock.now += 100
    assert breaker.snapshot().slow_calls == 0


def test_values_and_errors_can_be_sent_into_a_stream(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, clock=clock)

    @breaker
    def echo() -> Iterator[object]:
        heard: object = "ready"
        while heard != "stop":
            try:
                heard = yield heard  # type: ignore[misc]
            except KeyError as error:
                heard = error
        return "end"

    stream: object = echo()
    assert stream.send(None) == "ready"  # type: ignore[attr-defined]
    assert stream.send("a") == "a"  # type: ignore[attr-defined]
    error = KeyError("b")
    assert stream.throw(error) is error  # type: ignore[attr-defined]
    with pytest.raises(StopIteration) as stopped:
        stream.send("stop")  # type: ignore[attr-defined]
    assert stopped.value.value == "end"
    assert breaker.snapshot().calls == 1


async def test_blocks_nest_and_run_side_by_side(clock: Clock) -> None:
    outer, inner = CircuitBreaker(1, 60, clock=clock), CircuitBreaker(1, 60, clock=clock)

    def nested() -> None:
        with outer:
            with inner:
                succeed()
            raise OSError

    with pytest.raises(OSError):
        nested()
    assert outer.state is CircuitState.OPEN
    assert inner.snapshot().calls == 1

    turn = asyncio.Event()

    async def failing() -> None:
        async with inner:
            await turn.wait()
            raise OSError

    async def working() -> None:
        async with inner:
            turn.set()

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await working()
    with pytest.raises(OSError):
        await task
    assert inner.snapshot().failed_calls == 1
    assert inner.snapshot().calls == 3


def test_a_permit_is_a_block_of_its_own(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 60, clock=clock)
    with breaker.acquire():
        succeed()
    with pytest.raises(OSError), breaker.acquire():
        raise OSError
    assert breaker.state is CircuitState.OPEN


def test_a_permit_takes_the_duration_that_it_is_told(clock: Clock) -> None:
    breaker = by_rate(clock)
    breaker.acquire().success(duration=9)
    breaker.acquire().failure(OSError(), duration=9)
    assert breaker.snapshot().slow_calls == 2


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
    stop = events.subscribe(seen.append)
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

"""Calls through a circuit breaker: races, every kind of function, blocks and streams."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent, CircuitState
from breakers.runtime.errors import CallNotPermitted
from breakers.runtime.testing import FakeClock as Clock
from tests.runtime.given import by_rate, succeed
from tests.test_circuit_breaker import attempt, fail

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
    probing = threading.Semaphore(0)

    def probe() -> None:
        placed.append(1)
        probing.release()
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
            # They are let through before they place their probe.
            for _ in range(4):
                assert probing.acquire(timeout=50)
            release.set()
            assert len(placed) == 4
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

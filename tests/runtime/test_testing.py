"""The test kit itself."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest

from breakers.runtime import CircuitState, ClientVariables, ConfigError, Resilience
from breakers.runtime.testing import FakeClock, Fault, FaultInjector, recorded_events


async def test_a_fake_clock_drives_breakers_and_retries() -> None:
    clock = FakeClock()
    resilience = Resilience(
        ClientVariables({}), clock=clock, sleep=clock.sleep, async_sleep=clock.async_sleep
    )
    faults = FaultInjector(enabled=True)

    @resilience.protect("database")
    @faults.around("database")
    async def rows() -> str:
        return "rows"

    with (
        recorded_events() as told,
        faults.inject("data*", error=ConnectionError) as fault,
        pytest.raises(ConnectionError),
    ):
        await rows()
    assert fault.struck == 3
    assert len(clock.waits) == 2
    assert resilience.breaker("database").state is CircuitState.OPEN
    assert "resilience.breaker.transition" in {event.name for event in told}
    clock.advance(60)
    assert await rows() == "rows"
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)


def test_an_injector_that_is_not_enabled_does_nothing() -> None:
    faults = FaultInjector()
    call = faults.around("db")(lambda: "x")
    with faults.inject("db", error=OSError) as fault:
        assert call() == "x"
        faults.enabled = True
        with pytest.raises(OSError):
            call()
    assert call() == "x"
    assert fault.struck == 1


def test_faults_strike_by_pattern_by_rate_and_by_name() -> None:
    faults = FaultInjector(enabled=True)
    call, other = faults.around("db")(lambda: "."), faults.around("web")(lambda: ".")

    def outcome() -> str:
        try:
            return call()
        except ConnectionResetError:
            return "X"

    with faults.inject("db", reset=True, pattern="..XX."):
        assert "".join(outcome() for _ in range(10)) == "..XX...XX."
        assert other() == "."
    with faults.inject("*", reset=True, rate=0.3, chance=random.Random(7).random):
        assert 250 < sum(outcome() == "X" for _ in range(1000)) < 350


async def test_latency_and_hangs() -> None:
    clock = FakeClock()
    faults = FaultInjector(enabled=True, sleep=clock.sleep, async_sleep=clock.async_sleep)
    plain = faults.around("db")(lambda: "x")

    @faults.around("db")
    async def coroutine() -> str:
        return "x"

    with faults.inject("db", latency=3):
        assert plain() == "x"
        assert await coroutine() == "x"
    assert clock.waits == [3, 3]

    with faults.inject("db", hang=True) as fault:
        task = asyncio.create_task(coroutine())
        cancelled = asyncio.create_task(coroutine())
        thread = threading.Thread(target=plain)
        thread.start()
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert not task.done()
        fault.release()
        assert await task == "x"
        thread.join(30)
        assert not thread.is_alive()


def test_each_call_gets_an_exception_of_its_own() -> None:
    faults = FaultInjector(enabled=True)
    call = faults.around("db")(lambda: "x")
    raised = []
    with faults.inject("db", error=OSError(5, "disk")):
        for _ in range(2):
            with pytest.raises(OSError, match="disk") as error:
                call()
            raised.append(error.value)
    assert raised[0] is not raised[1]


def test_a_fault_that_does_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="error is None"):
        Fault("db")
    with pytest.raises(ConfigError, match="rate is 2"):
        Fault("db", error=OSError, rate=2)

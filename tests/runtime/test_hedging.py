"""A second attempt beside a slow one: the first answer counts, and nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from breakers.runtime import ConfigError, RetryBudget
from breakers.runtime.hedging import Hedge


class Backend:
    """Attempts that end when they are told to, and are counted while they run."""

    def __init__(self) -> None:
        self.attempts: list[asyncio.Future[str]] = []
        self.running = 0
        self.begun = asyncio.Condition()

    async def call(self, name: str = "") -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.attempts.append(future)
        self.running += 1
        async with self.begun:
            self.begun.notify_all()
        try:
            return await future
        finally:
            self.running -= 1

    async def until(self, attempts: int) -> None:
        async with self.begun:
            await self.begun.wait_for(lambda: len(self.attempts) >= attempts)


async def test_a_quick_answer_needs_no_second_attempt() -> None:
    backend = Backend()
    task = asyncio.create_task(Hedge("graph", delay=60).call(backend.call))
    await backend.until(1)
    backend.attempts[0].set_result("first")
    assert await task == "first"
    assert len(backend.attempts) == 1


async def test_the_first_answer_counts_and_the_others_are_cancelled() -> None:
    backend = Backend()
    hedged = Hedge("graph", delay=0.001, max_hedges=2)(backend.call)
    task = asyncio.create_task(hedged(name="x"))  # type: ignore[arg-type]
    await backend.until(3)
    backend.attempts[1].set_result("second")
    assert await task == "second"
    assert backend.running == 0
    assert backend.attempts[0].cancelled()
    assert backend.attempts[2].cancelled()


async def test_a_failure_waits_for_the_other_attempt() -> None:
    backend = Backend()
    task = asyncio.create_task(Hedge("graph", delay=0.001).call(backend.call))
    await backend.until(2)
    backend.attempts[1].set_exception(ConnectionError("second"))
    await asyncio.sleep(0)
    backend.attempts[0].set_result("first")
    assert await task == "first"
    task = asyncio.create_task(Hedge("graph", delay=0.001).call(backend.call))
    await backend.until(4)
    backend.attempts[2].set_exception(ConnectionError("first"))
    backend.attempts[3].set_exception(ConnectionError("second"))
    with pytest.raises(ConnectionError):
        await task


async def test_an_answer_counts_before_a_failure_of_the_same_moment() -> None:
    for place in range(30):
        backend = Backend()
        task = asyncio.create_task(Hedge("graph", delay=0.001).call(backend.call))
        await backend.until(2)
        backend.attempts[place % 2].set_exception(ConnectionError())
        backend.attempts[1 - place % 2].set_result("answer")
        assert await task == "answer"


async def test_hedges_take_from_the_budget_and_stop_where_it_ends() -> None:
    backend = Backend()
    budget = RetryBudget(ratio=0, floor_per_second=1, window=60, limit=1)
    hedge = Hedge("graph", delay=0.001, max_hedges=5, budget=budget)
    task = asyncio.create_task(hedge.call(backend.call))
    await backend.until(2)
    await asyncio.sleep(0.02)
    assert len(backend.attempts) == 2
    backend.attempts[0].set_result("first")
    assert await task == "first"
    assert budget.snapshot().left == 0


async def test_who_is_cancelled_leaves_no_attempt_behind() -> None:
    backend = Backend()
    task = asyncio.create_task(Hedge("graph", delay=0.001).call(backend.call))
    await backend.until(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert backend.running == 0


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigError, match="delay is -1"):
        Hedge("graph", delay=-1)
    with pytest.raises(ConfigError, match="max_hedges is 0"):
        Hedge("graph", delay=1, max_hedges=0)

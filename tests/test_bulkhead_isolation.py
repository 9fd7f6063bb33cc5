"""Bulkheads as their users know them: slots, queues, tiers, and what happens when they are full."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from breakers.runtime import events
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.deadlines import deadline
from breakers.runtime.errors import BulkheadFull
from breakers.runtime.retry import Retry
from breakers.runtime.retry_policy import RetryPolicy
from breakers.runtime.tiers import Tier, tier
from breakers.runtime.variables import ConfigError


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


class Backend:
    """Calls that last until they are let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.running = 0
        self.most = 0
        self.order: list[object] = []

    async def call(self, name: object = None) -> object:
        self.running += 1
        self.most = max(self.most, self.running)
        self.order.append(name)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        return name


async def test_so_many_calls_at_once_and_the_rest_wait_in_line() -> None:
    bulkhead, backend = Bulkhead(3, max_queue=5, max_wait=None), Backend()
    tasks = [asyncio.create_task(bulkhead.call(backend.call, n)) for n in range(9)]
    await settle()
    seen = bulkhead.snapshot()
    assert (seen.active, seen.queued, seen.rejected) == (3, 5, 1)
    with pytest.raises(BulkheadFull) as full:
        await tasks[8]
    assert (full.value.reason, full.value.name) == ("queue_full", "unnamed")
    backend.open.set()
    assert await asyncio.gather(*tasks[:8]) == list(range(8))
    assert backend.most == 3
    assert backend.order == list(range(8))
    assert bulkhead.snapshot()[2:4] == (0, 0)


async def test_who_waits_too_long_is_rejected() -> None:
    bulkhead, backend = Bulkhead(1, max_queue=5, max_wait=0.01), Backend()
    held = asyncio.create_task(bulkhead.call(backend.call))
    await settle()
    with pytest.raises(BulkheadFull) as full:
        await bulkhead.call(backend.call)
    assert full.value.reason == "timeout"
    with ThreadPoolExecutor(1) as pool, pytest.raises(BulkheadFull):
        await asyncio.wrap_future(pool.submit(bulkhead.call_sync, lambda: None))
    backend.open.set()
    await held
    assert await bulkhead.call(backend.call) is None


async def test_nobody_waits_past_the_deadline() -> None:
    bulkhead, backend = Bulkhead(1, max_queue=5, max_wait=None), Backend()
    held = asyncio.create_task(bulkhead.call(backend.call))
    await settle()
    with deadline(0.01), pytest.raises(BulkheadFull):
        await bulkhead.call(backend.call)
    backend.open.set()
    await held


async def test_threads_and_tasks_share_one_bulkhead() -> None:
    bulkhead = Bulkhead(4, max_queue=1000, max_wait=None)
    lock = threading.Lock()
    running = most = 0

    def enter() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)

    def leave() -> None:
        nonlocal running
        with lock:
            running -= 1

    def plain() -> None:
        enter()
        leave()

    async def coroutine() -> None:
        enter()
        await asyncio.sleep(0)
        leave()

    def many() -> None:
        for _ in range(200):
            bulkhead.call_sync(plain)

    with ThreadPoolExecutor(8) as pool:
        threads = [asyncio.wrap_future(pool.submit(many)) for _ in range(8)]
        await asyncio.gather(*[bulkhead.call(coroutine) for _ in range(400)])
        await asyncio.gather(*threads)
    assert most <= 4
    assert bulkhead.snapshot()[2:5] == (0, 0, 0)


async def test_cancelled_waiters_leak_no_slot() -> None:
    bulkhead, backend = Bulkhead(1, max_queue=100, max_wait=None), Backend()
    held = asyncio.create_task(bulkhead.call(backend.call))
    await settle()
    waiting = [asyncio.create_task(bulkhead.call(backend.call)) for _ in range(20)]
    await settle()
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    backend.open.set()
    await held
    assert await asyncio.gather(*[bulkhead.call(backend.call, n) for n in range(5)]) == [*range(5)]
    assert bulkhead.snapshot().active == 0


@pytest.mark.parametrize("step", range(12))
async def test_a_call_that_is_cancelled_anywhere_leaks_no_slot(step: int) -> None:
    """The slot becomes free at once, and the waiting task is cancelled so many steps later."""
    bulkhead, backend = Bulkhead(1, max_queue=2, max_wait=0.5), Backend()
    slot = bulkhead.acquire()
    task = asyncio.create_task(bulkhead.call(backend.call))
    await asyncio.sleep(0)
    assert bulkhead.snapshot().queued == 1
    for done in range(12):
        if done == 2:
            slot.release()
        if done == step:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(task, return_exceptions=True)
    assert bulkhead.snapshot()[2:4] == (0, 0)


def test_a_coroutine_closed_at_any_await_leaks_no_slot() -> None:
    async def twice() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    for steps in range(3):
        bulkhead = Bulkhead(1)
        coroutine: Coroutine[Any, Any, Any] = bulkhead.call(twice)
        for _ in range(steps):
            coroutine.send(None)
        coroutine.close()
        assert bulkhead.snapshot().active == 0


async def test_growing_wakes_waiters_and_shrinking_ends_nobody() -> None:
    bulkhead, backend = Bulkhead(1, max_queue=9, max_wait=None), Backend()
    tasks = [asyncio.create_task(bulkhead.call(backend.call, n)) for n in range(6)]
    await settle()
    assert backend.running == 1
    bulkhead.resize(4)
    await settle()
    assert backend.running == 4
    bulkhead.resize(2)
    await settle()
    assert backend.running == 4
    backend.open.set()
    await asyncio.gather(*tasks)
    assert bulkhead.snapshot().limit == 2


def test_shares_are_kept_free_for_their_tier() -> None:
    bulkhead = Bulkhead(10, tiers={"premium": 0.4, "free": Tier(priority=-1)})
    with tier("free"):
        slots = [bulkhead.acquire() for _ in range(6)]
        with pytest.raises(BulkheadFull) as full:
            bulkhead.acquire()
    assert full.value.tier == "free"
    with tier("premium"):
        slots += [bulkhead.acquire() for _ in range(4)]
        with pytest.raises(BulkheadFull):
            bulkhead.acquire()
    for each in slots:
        each.release()
    with tier("premium"):
        assert len([bulkhead.acquire() for _ in range(10)]) == 10


async def test_lower_tiers_give_way_when_the_queue_is_full() -> None:
    tiers = {"premium": {"priority": 2}, "standard": {"priority": 1}, "free": {"priority": 0}}
    bulkhead, backend = Bulkhead(1, max_queue=2, max_wait=None, tiers=tiers), Backend()

    def call(name: str) -> asyncio.Task[object]:
        with tier(name):
            return asyncio.create_task(bulkhead.call(backend.call, name))

    held = call("free")
    await settle()
    first, second = call("free"), call("free")
    await settle()
    standard = call("standard")
    await settle()
    with pytest.raises(BulkheadFull) as shed:
        await second
    assert shed.value.reason == "shed"
    premium = call("premium")
    await settle()
    assert first.done()
    late = call("free")
    await settle()
    with pytest.raises(BulkheadFull):
        await late
    backend.open.set()
    await asyncio.gather(held, standard, premium)
    await asyncio.gather(first, return_exceptions=True)
    assert {name: t.rejected for name, t in bulkhead.snapshot().tiers.items()} == {
        "premium": 0,
        "standard": 0,
        "free": 3,
        "": 0,
    }


async def test_waiting_tiers_are_served_by_weight_and_none_starves() -> None:
    tiers = {"premium": {"weight": 3}, "free": {"weight": 1}}
    bulkhead = Bulkhead(1, max_queue=100, max_wait=None, tiers=tiers)
    order: list[str] = []

    async def note(name: str) -> None:
        order.append(name)

    slot = bulkhead.acquire()
    tasks = []
    for name in ("free", "premium"):
        with tier(name):
            tasks += [asyncio.create_task(bulkhead.call(note, name)) for _ in range(40)]
    await settle()
    slot.release()
    await asyncio.gather(*tasks)
    assert 28 <= order[:40].count("premium") <= 31
    assert order[:8].count("free") >= 1


async def test_a_back_off_holds_no_slot_and_is_no_breach() -> None:
    now = 0.0
    bulkhead = Bulkhead(1, max_queue=5, max_wait=None, max_duration=10, clock=lambda: now)
    others = 0

    async def sleep(seconds: float) -> None:
        nonlocal now, others
        now += 1000
        assert bulkhead.snapshot().active == 0
        assert bulkhead.overdue() == []
        await bulkhead.call(asyncio.sleep, 0)
        others += 1

    failures = [ConnectionError(), ConnectionError()]

    async def flaky() -> str:
        assert bulkhead.snapshot().active == 1
        if failures:
            raise failures.pop()
        return "answer"

    retry = Retry("graph", RetryPolicy(max_attempts=3), async_sleep=sleep)
    assert await bulkhead.call(retry.call, flaky) == "answer"
    assert others == 2
    failures = [ConnectionError()]
    async with bulkhead:
        assert await retry.call(flaky) == "answer"
    assert others == 3
    assert bulkhead.snapshot().active == 0


def test_a_back_off_of_a_thread_holds_no_slot() -> None:
    bulkhead = Bulkhead(1)
    active: list[int] = []
    failures = [ConnectionError()]

    def flaky() -> str:
        if failures:
            raise failures.pop()
        return "answer"

    retry = Retry("graph", sleep=lambda seconds: active.append(bulkhead.snapshot().active))
    assert bulkhead.call_sync(retry.call_sync, flaky) == "answer"
    failures.append(ConnectionError())
    with bulkhead:
        assert retry.call_sync(flaky) == "answer"
    assert active == [0, 0]
    assert bulkhead.snapshot().active == 0


async def test_an_isolated_bulkhead_rejects_those_that_wait_too() -> None:
    bulkhead, backend = Bulkhead(1, max_queue=5, max_wait=None), Backend()
    held = asyncio.create_task(bulkhead.call(backend.call))
    waiting = asyncio.create_task(bulkhead.call(backend.call))
    await settle()
    bulkhead.isolate("its region is down")
    with pytest.raises(BulkheadFull) as full:
        await waiting
    assert (full.value.reason, full.value.retry_after) == ("isolated", None)
    with pytest.raises(BulkheadFull):
        bulkhead.call_sync(lambda: None)
    assert bulkhead.snapshot().isolated == "its region is down"
    bulkhead.rejoin()
    backend.open.set()
    await held
    assert await bulkhead.call(backend.call) is None


def test_a_reclaimed_slot_is_not_given_back_twice() -> None:
    bulkhead = Bulkhead(1)
    stuck = bulkhead.acquire()
    stuck.reclaim()
    fresh = bulkhead.acquire()
    stuck.release()
    with pytest.raises(BulkheadFull):
        bulkhead.acquire()
    fresh.release()
    assert bulkhead.snapshot().active == 0


def test_a_stream_keeps_its_slot_to_its_end() -> None:
    bulkhead = Bulkhead(1)

    @bulkhead
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    stream = numbers()
    assert next(stream) == 1
    assert bulkhead.snapshot().active == 1
    assert list(stream) == [2]
    assert bulkhead.snapshot().active == 0


def test_rejections_are_told() -> None:
    told: list[events.Event] = []
    stop = events.subscribe(told.append)
    try:
        bulkhead = Bulkhead(1, name="graph", tiers={"free": 0})
        with bulkhead, tier("free"), pytest.raises(BulkheadFull):
            bulkhead.acquire()
    finally:
        stop()
    assert told == [
        events.Event(
            "resilience.bulkhead.rejected",
            {
                "resilience.bulkhead.name": "graph",
                "resilience.bulkhead.tier": "free",
                "resilience.bulkhead.reason": "queue_full",
            },
        )
    ]


def test_a_waiter_whose_event_loop_is_gone_takes_no_slot() -> None:
    bulkhead = Bulkhead(1, max_queue=5, max_wait=None)
    slot = bulkhead.acquire()
    loop = asyncio.new_event_loop()
    coroutine = bulkhead.call(asyncio.sleep, 0)

    async def start() -> None:
        coroutine.send(None)

    loop.run_until_complete(start())
    loop.close()
    slot.release()
    assert bulkhead.snapshot()[2:4] == (0, 0)
    coroutine.close()
    assert bulkhead.call_sync(lambda: "answer") == "answer"


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Bulkhead(0), "max_concurrent_calls is 0"),
        (lambda: Bulkhead(1, max_queue=-1), "max_queue is -1"),
        (lambda: Bulkhead(1, max_wait=-1), "max_wait is -1"),
        (lambda: Bulkhead(1, tiers={"a": 2}), "reserved is 2"),
        (lambda: Bulkhead(1, tiers={"a": 0.6, "b": 0.6}), "at most 1"),
        (lambda: Bulkhead(1, tiers={"": 0.6}), "names of tiers"),
        (lambda: Bulkhead(1, tiers={"a": {"share": 1}}), "'share'"),
        (lambda: Bulkhead(1, tiers={"a": {"weight": 0}}), "weight is 0"),
        (lambda: Bulkhead(1).resize(0), "max_concurrent_calls is 0"),
    ],
)
def test_nonsense_is_refused(build: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build()

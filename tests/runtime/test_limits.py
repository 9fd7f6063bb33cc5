"""Thread pools, rates, and limits that adapt."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.runtime import breaches
from breakers.runtime.adaptive_limit import AdaptiveLimit
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.deadlines import deadline
from breakers.runtime.errors import BulkheadFull, DeadlineExceeded
from breakers.runtime.rate_limit import RateLimit
from breakers.runtime.retry import Retry
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.thread_pool import ThreadPoolBulkhead
from breakers.runtime.variables import ConfigError
from tests.patience import PATIENCE, until

place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="")


# --- Threads


async def test_calls_run_in_threads_of_their_own_with_the_caller_s_context() -> None:
    pool = ThreadPoolBulkhead(2, max_queue=10, max_wait=None, name="reports")
    place.set("caller")

    def where(extra: str) -> tuple[str, str, str]:
        return threading.current_thread().name, place.get(), extra

    assert await pool.call(where, "a") == ("bulkhead-reports", "caller", "a")
    assert pool.call_sync(where, extra="b") == ("bulkhead-reports", "caller", "b")
    assert pool.threads == 1

    async def coroutine() -> str:
        return threading.current_thread().name

    assert await pool.call(coroutine) == threading.current_thread().name
    with pytest.raises(KeyError):
        await pool.call({}.__getitem__, "x")
    with pytest.raises(TimeoutError, match="own"):
        pool.call_sync(raise_, TimeoutError("own"))
    assert pool.snapshot().active == 0


def raise_(error: Exception) -> None:
    raise error


async def test_no_more_threads_work_than_the_pool_has() -> None:
    pool = ThreadPoolBulkhead(3, max_queue=100, max_wait=None)
    lock, running, most = threading.Lock(), 0, 0
    release = threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(30)
        with lock:
            running -= 1

    tasks = [asyncio.create_task(pool.call(work)) for _ in range(30)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*tasks)
    assert most <= 3
    assert pool.threads <= 3


def test_a_caller_past_its_deadline_leaves_and_its_thread_is_a_breach_that_is_reclaimed() -> None:
    clock = Clock()
    pool = ThreadPoolBulkhead(1, max_duration=10, name="reports", clock=clock)
    hang, started = threading.Event(), threading.Event()

    def stuck() -> None:
        started.set()
        hang.wait(30)

    with deadline(0.02), pytest.raises(DeadlineExceeded):
        pool.call_sync(stuck)
    assert started.wait(30)
    assert (pool.leaked, pool.snapshot().active) == (1, 1)
    with pytest.raises(BulkheadFull):
        pool.call_sync(lambda: None)
    clock.now += 11
    breach = breaches.detect(pool)
    assert breach is not None
    assert (breach.kind, breach.mitigation) == ("leaked_worker", "reclaim")
    breaches.mitigate(pool, breach)
    assert pool.call_sync(lambda: "answer") == "answer"
    hang.set()
    while pool.leaked:
        threading.Event().wait(0.001)
    assert pool.snapshot().active == 0


async def test_a_back_off_in_a_thread_holds_no_slot() -> None:
    pool = ThreadPoolBulkhead(1, max_queue=5, max_wait=None)
    active: list[int] = []
    failures = [ConnectionError()]

    def flaky() -> str:
        if failures:
            raise failures.pop()
        return "answer"

    def sleep(seconds: float) -> None:
        active.append(pool.snapshot().active)
        assert pool.call_sync(lambda: "other") == "other"

    assert await pool.call(Retry("graph", sleep=sleep).call_sync, flaky) == "answer"
    assert active == [0]


# --- Rates and adaptive limits


@given(
    rate=st.floats(0.5, 200),
    burst=st.integers(1, 20),
    waits=st.lists(st.floats(0, 0.5), max_size=100),
)
def test_a_rate_is_never_exceeded(rate: float, burst: int, waits: list[float]) -> None:
    clock = Clock()
    limit = RateLimit(rate, burst, clock=clock)
    starts: list[float] = []
    for wait in waits:
        clock.now += wait
        if limit.try_start() == 0.0:
            starts.append(clock.now)
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            allowed = burst + rate * (starts[last] - starts[first])
            assert last - first + 1 <= allowed + 1e-6


def test_a_rate_says_when_the_next_start_is() -> None:
    clock = Clock()
    limit = RateLimit(2, 2, clock=clock)
    assert [limit.try_start() for _ in range(3)] == [0.0, 0.0, pytest.approx(0.5)]
    clock.now += 0.5
    assert limit.try_start() == 0.0


class Load:
    """Callers that begin a new call as soon as one ends, on a backend with a given latency."""

    def __init__(self, adaptive: str, limit: int) -> None:
        self.clock = Clock()
        self.bulkhead = Bulkhead(limit, clock=self.clock)
        AdaptiveLimit(
            self.bulkhead,
            max_limit=limit,
            algorithm=adaptive,
            clock=self.clock,  # type: ignore[arg-type]
        ).start()
        self.latency = 0.05
        self.ends: list[tuple[float, int]] = []
        self.slots: dict[int, object] = {}
        self.made = 0

    def run(self, seconds: float) -> int:
        until = self.clock.now + seconds
        while self.clock.now < until:
            while (slot := self.bulkhead._enter()) is not None:
                self.made += 1
                self.slots[self.made] = slot
                heapq.heappush(self.ends, (self.clock.now + self.latency, self.made))
            at, which = heapq.heappop(self.ends)
            self.clock.now = at
            self.slots.pop(which).release()  # type: ignore[attr-defined]
        return self.bulkhead.limit


@pytest.mark.parametrize("algorithm", ["gradient", "aimd"])
@pytest.mark.parametrize("limit", [20, 100])
def test_the_limit_falls_with_fivefold_latency_and_recovers(algorithm: str, limit: int) -> None:
    load = Load(algorithm, limit)
    assert load.run(20) == limit
    load.latency *= 5
    assert load.run(10) < limit / 2
    assert load.run(60) >= 1
    load.latency /= 5
    assert load.run(30) >= 0.9 * limit if algorithm == "gradient" else load.run(30) > 1


def test_an_idle_backend_proves_nothing() -> None:
    clock = Clock()
    bulkhead = Bulkhead(20, clock=clock)
    adaptive = AdaptiveLimit(bulkhead, max_limit=1000, clock=clock)
    for _ in range(1000):
        clock.now += 0.1
        adaptive.observe(0.05, 1)
    assert bulkhead.limit == 20


def test_a_tuned_number_is_the_most_that_a_limit_grows_to() -> None:
    load = Load("gradient", 20)
    assert load.run(20) == 20
    load.bulkhead.tune({"max_concurrent_calls": 8})
    assert load.bulkhead.limit == 8
    assert load.run(20) == 8
    load.latency *= 5
    assert load.run(10) < 8  # below it, the limit follows the other side as before
    load.latency /= 5
    load.bulkhead.tune({"max_concurrent_calls": 30})
    assert load.run(60) == 30
    load.bulkhead.tune({})
    assert load.bulkhead.limit == 20  # its own most, at once
    assert load.run(20) == 20


@pytest.mark.parametrize(
    ("tuned", "most", "works_by"), [(20, 1000, 20), (4, 1000, 4), (None, 6, 6)]
)
def test_a_limit_begins_with_what_the_bulkhead_is_tuned_to(
    tuned: int | None, most: int, works_by: int
) -> None:
    bulkhead = Bulkhead(10)
    adaptive = AdaptiveLimit(bulkhead, max_limit=most)
    if tuned:
        bulkhead.tune({"max_concurrent_calls": tuned})
    adaptive.start()
    assert (bulkhead.limit, adaptive.limit) == (works_by, works_by)


@pytest.mark.parametrize(("tuned", "works_by"), [(False, 4), (True, 20)])
def test_a_limit_that_stops_leaves_the_bulkhead_as_it_is_or_as_it_is_tuned(
    tuned: bool, works_by: int
) -> None:
    bulkhead = Bulkhead(10)
    adaptive = AdaptiveLimit(bulkhead).start()
    if tuned:
        bulkhead.tune({"max_concurrent_calls": 20})
    bulkhead.resize(4)  # as the limit does
    assert bulkhead.limit == 4
    adaptive.stop()
    assert bulkhead.limit == works_by


# --- Tuning


async def turns(holds: Callable[[], bool]) -> None:
    """Let the other tasks go on until `holds` is true."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0)
    assert holds()


async def test_a_raised_limit_wakes_those_who_wait_and_a_lowered_one_lets_them_finish() -> None:
    bulkhead = Bulkhead(1, max_queue=10, max_wait=None)
    ends = [asyncio.Event() for _ in range(4)]
    begun: list[int] = []

    async def work(number: int) -> int:
        begun.append(number)
        await ends[number].wait()
        return number

    tasks = [asyncio.create_task(bulkhead.call(work, number)) for number in range(4)]
    await turns(lambda: (begun, bulkhead.snapshot().queued) == ([0], 3))
    bulkhead.tune({"max_concurrent_calls": 3})
    await turns(lambda: (begun, bulkhead.snapshot().queued) == ([0, 1, 2], 1))
    bulkhead.tune({"max_concurrent_calls": 1, "max_queue": 0})
    assert (bulkhead.snapshot().active, bulkhead.snapshot().queued) == (3, 1)
    with pytest.raises(BulkheadFull):
        bulkhead.call_sync(lambda: None)
    for number in range(3):
        assert begun == [0, 1, 2]  # there are as many as one or more
        ends[number].set()
        assert await tasks[number] == number
    await turns(lambda: begun == [0, 1, 2, 3])
    ends[3].set()
    assert await tasks[3] == 3
    assert bulkhead.snapshot().rejected == 1


def test_threads_that_wait_are_woken_as_well() -> None:
    pool = ThreadPoolBulkhead(1, max_queue=10, max_wait=None)
    release, begun = threading.Event(), threading.Semaphore(0)

    def work() -> bool:
        begun.release()
        return release.wait(PATIENCE)

    callers = [threading.Thread(target=pool.call_sync, args=(work,)) for _ in range(3)]
    try:
        for each in callers:
            each.start()
        assert begun.acquire(timeout=PATIENCE)
        until(lambda: pool.snapshot().queued == 2)
        pool.tune({"max_concurrent_calls": 3})
        assert begun.acquire(timeout=PATIENCE)
        assert begun.acquire(timeout=PATIENCE)
    finally:
        release.set()
        for each in callers:
            each.join()
    until(lambda: pool.snapshot().active == 0)


def test_a_tuned_wait_counts_for_calls_that_come_later() -> None:
    bulkhead = Bulkhead(1, max_queue=1, max_wait=None)
    slot = bulkhead.acquire()
    bulkhead.tune({"max_wait": 0})
    with pytest.raises(BulkheadFull) as full:
        bulkhead.acquire()
    assert full.value.reason == "timeout"
    bulkhead.tune({})
    assert bulkhead.max_wait is None
    slot.release()


@pytest.mark.parametrize(
    "settings",
    [
        {"max_concurrent_calls": 0},
        {"max_concurrent_calls": True},
        {"max_queue": -1},
        {"max_wait": -1},
        {"max_concurrent_calls": 5, "max_wait": "soon"},
    ],
)
def test_a_setting_that_cannot_work_changes_nothing(settings: dict[str, object]) -> None:
    bulkhead = Bulkhead(2, max_queue=1)
    bulkhead.tune({"max_concurrent_calls": 4})
    with pytest.raises(ConfigError):
        bulkhead.tune(settings)
    assert (bulkhead.limit, bulkhead.max_queue, bulkhead.max_wait) == (4, 1, 1.0)


def test_what_was_shrunk_while_tuned_comes_back_whole() -> None:
    bulkhead = Bulkhead(8)
    bulkhead.tune({"max_concurrent_calls": 4})
    bulkhead.shrink(0.75)
    bulkhead.tune({"max_concurrent_calls": 4})  # served again with something else: nothing new
    assert bulkhead.limit == 3
    bulkhead.tune({})
    assert bulkhead.limit == 8

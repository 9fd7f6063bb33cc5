"""Breaches, failure domains, and the story's boundaries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from breakers.runtime import breaches, events
from breakers.runtime.adaptive_limit import AdaptiveLimit
from breakers.runtime.breaches import BreachWatcher
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.defaults import ISOLATION_BOUNDARIES
from breakers.runtime.errors import BulkheadFull
from breakers.runtime.failure_domains import FailureDomain
from breakers.runtime.isolation import (
    BulkheadManager,
    Failure,
    Operation,
    ResourceLimits,
    resident_bytes,
)
from breakers.runtime.rate_limit import RateLimit
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.thread_pool import ThreadPoolBulkhead
from breakers.runtime.tiers import tier
from breakers.runtime.variables import ClientVariables, ConfigError

# --- Breaches


def found(bulkhead: Bulkhead, **more: float) -> tuple[str, str]:
    breach = breaches.detect(bulkhead, **more)
    assert breach is not None
    breaches.mitigate(bulkhead, breach)
    return breach.kind, breach.mitigation


def test_breaches_are_found_mitigated_and_told() -> None:
    told: list[events.Event] = []
    stop = events.subscribe(lambda event: told.append(event) if "breach" in event.name else None)
    clock = Clock()
    bulkhead = Bulkhead(4, 10, 10, {"gold": 0, "free": 0}, max_duration=5, name="b", clock=clock)
    try:
        assert breaches.detect(bulkhead) is None
        bulkhead.acquire()
        clock.now += 6
        assert found(bulkhead) == ("slot_overdue", "reclaim")
        assert bulkhead.snapshot().active == 0
        assert breaches.detect(bulkhead) is None

        slots = [bulkhead.acquire() for _ in range(3)]
        clock.now += 6
        assert found(bulkhead) == ("all_overdue", "isolate")
        assert bulkhead.isolated
        bulkhead.rejoin()
        for slot in slots:
            slot.release()

        assert found(bulkhead, loop_lag=0.6) == ("event_loop_lag", "shrink")
        assert bulkhead.limit == 3
    finally:
        stop()
    assert [event.attributes["resilience.bulkhead.kind"] for event in told] == [
        "slot_overdue",
        "all_overdue",
        "event_loop_lag",
    ]
    assert told[0].name == "resilience.bulkhead.breach"
    assert told[0].attributes["resilience.bulkhead.mitigation"] == "reclaim"


async def test_a_full_queue_and_a_starving_tier_are_breaches() -> None:
    clock = Clock()
    bulkhead = Bulkhead(2, 10, 10, {"gold": 0, "free": 0}, clock=clock)
    with tier("free"):
        slots = [bulkhead.acquire(), bulkhead.acquire()]
    with tier("gold"):
        tasks = [asyncio.create_task(bulkhead.acquire_async())]
    await asyncio.sleep(0)
    assert breaches.detect(bulkhead) is None
    clock.now += 9
    assert found(bulkhead) == ("tier_starvation", "shrink")
    assert bulkhead.limit == 1
    with tier("free"):
        tasks += [asyncio.create_task(bulkhead.acquire_async()) for _ in range(8)]
    await asyncio.sleep(0)
    assert found(bulkhead) == ("queue_saturation", "shed")
    assert bulkhead.snapshot().queued == 5
    bulkhead.isolate("done")
    for slot in slots:
        slot.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, BulkheadFull) for each in results)


async def test_a_watcher_sees_that_the_event_loop_is_late() -> None:
    clock = Clock()
    bulkhead = Bulkhead(8, clock=clock)
    watcher = BreachWatcher([bulkhead], loop=asyncio.get_running_loop(), clock=clock)
    assert watcher.look() == []
    clock.now += 0.6  # and the loop had no turn to answer
    assert [breach.kind for breach in watcher.look()] == ["event_loop_lag"]
    assert bulkhead.limit == 6
    await asyncio.sleep(0)
    assert watcher.look() == []


def test_a_watcher_looks_by_itself() -> None:
    bulkhead = Bulkhead(1, max_duration=0.001)
    freed = threading.Event()
    stop = events.subscribe(lambda event: freed.set() if "breach" in event.name else None)
    watcher = BreachWatcher([bulkhead], interval=0.002).start()
    try:
        bulkhead.acquire()
        assert freed.wait(30)
    finally:
        stop()
        watcher.stop()
    assert bulkhead.snapshot().active == 0


# --- Domains


def test_a_domain_is_cut_off_and_released_as_one() -> None:
    one, two, pool = CircuitBreaker(name="a"), CircuitBreaker(name="b"), Bulkhead(1)
    off = CircuitBreaker(name="off")
    off.disable()
    domain = FailureDomain("europe", [one, pool, off])
    assert domain.isolate("region down") == 2
    assert domain.isolate("region down") == 0
    assert domain.isolate("again") == 0
    domain.add(two)
    states = [each.state for each in (one, two, off)]
    assert states == [CircuitState.FORCED_OPEN, CircuitState.FORCED_OPEN, CircuitState.DISABLED]
    assert pool.isolated == "failure domain europe: region down"
    assert domain.release("region down") == 0
    assert domain.release("again") == 3
    assert (one.state, two.state, pool.isolated) == (CircuitState.CLOSED, CircuitState.CLOSED, "")


def test_what_a_person_decided_meanwhile_stays() -> None:
    breaker = CircuitBreaker()
    domain = FailureDomain("europe", [breaker])
    domain.isolate("x")
    breaker.force_closed("operator")
    assert domain.release() == 0
    assert breaker.state is CircuitState.FORCED_CLOSED


# --- The story's manager


async def test_boundaries_enforce_their_limits() -> None:
    clock = Clock()
    memory = [100]
    manager = BulkheadManager(ClientVariables({}), clock=clock, resident_memory=lambda: memory[0])
    limits = ResourceLimits(1, 0, 30, rate_per_second=2, memory_bytes=1000)
    boundary = await manager.create_isolation_boundary("graph", limits)
    sync = Operation("sync")
    assert [await manager.enforce_resource_limits(sync, boundary) for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert boundary.last_refusal.startswith("rate: ")
    clock.now += 1
    memory[0] = 2000
    assert not await manager.enforce_resource_limits(sync, boundary)
    assert boundary.last_refusal == "memory: 2000 of 1000 bytes are taken"
    memory[0] = 0
    long = Operation("sync", expected_seconds=31)
    assert not await manager.enforce_resource_limits(long, boundary)
    assert boundary.last_refusal.startswith("time: ")
    with boundary.bulkhead:
        assert not await manager.enforce_resource_limits(sync, boundary)
        assert boundary.last_refusal.startswith("concurrency: ")
        with pytest.raises(BulkheadFull):
            manager.enforce(sync, boundary)
    assert await manager.enforce_resource_limits(sync, boundary)
    assert boundary.last_refusal == ""
    assert (resident_bytes() or 1) > 0


async def test_the_story_s_boundaries_are_there() -> None:
    manager = BulkheadManager(ClientVariables({"CRITICAL_OPERATION_THREAD_POOL_SIZE": "7"}))
    for name, entry in ISOLATION_BOUNDARIES.items():
        boundary = manager.boundary(name)
        assert boundary is manager.boundary(name)
        size = 7 if name == "critical_operations" else entry["thread_pool_size"]
        assert boundary.bulkhead.limit == size
        assert boundary.bulkhead.max_queue == entry["queue_size"]
        assert boundary.bulkhead.max_wait == entry["timeout_seconds"]
    with pytest.raises(ConfigError, match="bulkhead is 'elsewhere'"):
        manager.boundary("elsewhere")
    resized = await manager.create_isolation_boundary("user_operations", ResourceLimits(3))
    assert resized is manager.boundary("user_operations")
    assert resized.bulkhead.limit == 3


async def test_a_boundary_can_have_threads_and_tiers() -> None:
    manager = BulkheadManager(ClientVariables({}))
    limits = ResourceLimits(4, tiers={"premium": 0.5}, threads=True)
    boundary = await manager.create_isolation_boundary("reports", limits)
    assert isinstance(boundary.bulkhead, ThreadPoolBulkhead)
    assert boundary.bulkhead.snapshot().tiers["premium"].reserved == 2
    untiered = BulkheadManager(ClientVariables({"USER_TIER_ISOLATION_ENABLED": "false"}))
    plain = await untiered.create_isolation_boundary("reports", limits)
    assert list(plain.bulkhead.snapshot().tiers) == [""]


async def test_a_breach_is_detected_and_a_failing_domain_isolated() -> None:
    clock = Clock()
    single = CircuitBreaker(name="graph")
    manager = BulkheadManager(ClientVariables({}), clock=clock, breakers={"graph": single}.get)
    boundary = await manager.create_isolation_boundary("db", ResourceLimits(2, timeout_seconds=5))
    assert await manager.detect_isolation_breach(boundary) is None
    boundary.bulkhead.acquire()
    clock.now += 6
    breach = await manager.detect_isolation_breach(boundary)
    assert breach is not None
    assert breach.kind == "slot_overdue"

    breaker = CircuitBreaker(name="db")
    manager.failure_domain("storage", [breaker, boundary.bulkhead], dependencies=["db"])
    result = await manager.isolate_failure_domain(Failure("db", "disk full"))
    assert result.isolated
    assert result.members == ("db", "db")
    assert breaker.state is CircuitState.FORCED_OPEN
    assert manager.release_failure_domain("storage") == 2
    alone = await manager.isolate_failure_domain(Failure("graph"))
    assert (alone.isolated, alone.domain) == (True, "graph")
    assert single.state is CircuitState.FORCED_OPEN
    unknown = await manager.isolate_failure_domain(Failure("mars"))
    assert not unknown.isolated


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: ResourceLimits(0), "thread_pool_size is 0"),
        (lambda: ResourceLimits(rate_per_second=0), "rate_per_second is 0"),
        (lambda: ResourceLimits(memory_bytes=-1), "memory_bytes is -1"),
        (lambda: RateLimit(0), "rate is 0"),
        (lambda: AdaptiveLimit(Bulkhead(1), min_limit=5, max_limit=4), "max_limit is 4"),
        (lambda: AdaptiveLimit(Bulkhead(1), algorithm="vegas"), "algorithm is 'vegas'"),  # type: ignore[arg-type]
        (lambda: BreachWatcher([], interval=0), "interval is 0"),
    ],
)
def test_nonsense_is_refused(build: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build()

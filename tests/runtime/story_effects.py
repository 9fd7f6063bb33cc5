"""What flipping each variable of the runtime changes, each shown by the call it protects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from breakers.runtime import (
    CallNotPermitted,
    CircuitState,
    ClientVariables,
    DegradationLevel,
    FallbackHandler,
    Operation,
    Resilience,
    ResourceLimits,
    RetryManager,
)
from breakers.runtime.testing import FakeClock


def made(clock: FakeClock | None = None, **environment: str) -> Resilience:
    clock = clock or FakeClock()
    return Resilience(
        ClientVariables(environment),
        clock=clock,
        chance=lambda: 0.5,
        sleep=clock.sleep,
        async_sleep=clock.async_sleep,
    )


def failures_to_open(resilience: Resilience, name: str) -> int:
    """How many failing calls are let through before the breaker opens; 50 where it never does."""

    @resilience.protect(name, retry=False)
    def call() -> None:
        raise ConnectionError

    for times in range(50):
        try:
            call()
        except CallNotPermitted:
            return times
        except ConnectionError:
            continue
    return 50


def seconds_open(resilience: Resilience, name: str) -> float:
    """How long the breaker rejects calls once it has opened."""
    failures_to_open(resilience, name)
    return resilience.breaker(name).snapshot().retry_after or 0.0


def threshold(name: str, variable: str) -> Callable[[], None]:
    def effect() -> None:
        assert failures_to_open(made(**{variable: "7"}), name) == 7
        assert failures_to_open(made(), name) != 7

    return effect


def open_time(name: str, variable: str) -> Callable[[], None]:
    def effect() -> None:
        assert seconds_open(made(**{variable: "17"}), name) == 17
        assert seconds_open(made(), name) != 17

    return effect


def breaker_off(name: str, variable: str) -> Callable[[], None]:
    def effect() -> None:
        assert failures_to_open(made(**{variable: "false"}), name) == 50
        assert failures_to_open(made(), name) < 50

    return effect


def half_open_calls() -> None:
    for calls in (1, 4):
        clock = FakeClock()
        resilience = made(clock, CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS=str(calls))
        failures_to_open(resilience, "other")
        clock.advance(60)
        breaker = resilience.breaker("other")
        for _ in range(calls):
            assert breaker.state is not CircuitState.CLOSED
            breaker.acquire().success()
        assert breaker.state is CircuitState.CLOSED


def waits(**environment: str) -> list[float]:
    """The waits between the attempts of one call that always fails, chance being one half."""
    clock = FakeClock()
    resilience = made(clock, CIRCUIT_BREAKER_ENABLED="false", **environment)

    @resilience.protect("other")
    def call() -> None:
        raise ConnectionError

    try:
        call()
    except ConnectionError:
        return clock.waits
    raise AssertionError("the call has to fail")


def retry_enabled() -> None:
    assert len(waits()) == 2
    assert waits(RETRY_ENABLED="false") == []


def max_attempts() -> None:
    assert len(waits(RETRY_MAX_ATTEMPTS="6")) == 5


def base_delay() -> None:
    assert waits(RETRY_BASE_DELAY_MS="200") == [0.1, 0.2]


def max_delay() -> None:
    assert waits(RETRY_MAX_DELAY_MS="1000") == [0.5, 0.5]


def jitter() -> None:
    assert waits() == [0.5, 1.0]
    assert waits(RETRY_JITTER_ENABLED="false") == [1.0, 2.0]


def budget_enabled() -> None:
    spent = [made().budget("a"), made(RETRY_BUDGET_ENABLED="false").budget("a")]
    assert spent[0] is not None
    assert spent[1] is None


def budget_limit() -> None:
    manager = RetryManager(ClientVariables({"RETRY_BUDGET_LIMIT": "4"}))

    async def granted() -> int:
        return sum([await manager.track_retry_budget("a") for _ in range(20)])

    assert asyncio.run(granted()) == 4


def fallback_enabled() -> None:
    for switch, answer in (("true", "x"), ("false", None)):
        resilience = made(FALLBACK_ENABLED=switch)

        @resilience.protect("other", retry=False, fallback=lambda: "x")
        def call() -> str:
            raise ConnectionError

        assert _outcome(call) == answer


def fallback_cache() -> None:
    for switch, answer in (("true", 1), ("false", None)):
        resilience = made(FALLBACK_CACHE_ENABLED=switch)
        failing: list[bool] = []

        @resilience.protect("other", retry=False, cache_key=lambda: "k")
        def call(failing: list[bool] = failing) -> int:
            if failing:
                raise ConnectionError
            return 1

        call()
        failing.append(True)
        assert _outcome(call) == answer


def fallback_max_age() -> None:
    handler = FallbackHandler(variables=ClientVariables({"FALLBACK_CACHE_MAX_AGE_MINUTES": "5"}))
    assert handler.cache.stale_if_error == 300


def degraded_mode() -> None:
    for switch, serves in (("true", False), ("false", True)):
        degradation = made(DEGRADED_MODE_ENABLED=switch).degradation
        degradation.set("planner", DegradationLevel.OFFLINE)
        assert degradation.serves("planner", "low") is serves


def toggles() -> None:
    for switch, value in (("true", True), ("false", False)):
        found = made(FEATURE_TOGGLES_ENABLED=switch).toggles
        found.set("planner.write", True)
        assert found.is_on("planner.write") is value


def bulkheads() -> None:
    for switch, active in (("true", 1), ("false", 0)):
        resilience = made(BULKHEAD_ISOLATION_ENABLED=switch)
        pool = resilience.bulkhead("critical_operations")

        @resilience.protect("other", bulkhead="critical_operations")
        def call(pool: Any = pool) -> int:
            return int(pool.snapshot().active)

        assert call() == active


def critical_pool() -> None:
    resilience = made(CRITICAL_OPERATION_THREAD_POOL_SIZE="3")
    assert resilience.bulkhead("critical_operations").limit == 3


def tiers() -> None:
    for switch, reserved in (("true", 4), ("false", 0)):
        manager = made(USER_TIER_ISOLATION_ENABLED=switch).bulkheads
        boundary = manager.boundary("critical_operations", tiers={"premium": 0.4})
        shares = boundary.bulkhead.snapshot().tiers
        assert sum(each.reserved for each in shares.values()) == reserved


def resource_limits() -> None:
    for switch, allowed in (("true", False), ("false", True)):
        manager = made(RESOURCE_LIMIT_ENFORCEMENT=switch).bulkheads

        async def may_start(manager: Any = manager) -> bool:
            boundary = await manager.create_isolation_boundary("x", ResourceLimits(memory_bytes=1))
            return bool(await manager.enforce_resource_limits(Operation("y"), boundary))

        assert asyncio.run(may_start()) is allowed


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ConnectionError:
        return None


EFFECTS: dict[str, Callable[[], None]] = {
    "CIRCUIT_BREAKER_ENABLED": breaker_off("other", "CIRCUIT_BREAKER_ENABLED"),
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD": threshold("other", "CIRCUIT_BREAKER_FAILURE_THRESHOLD"),
    "CIRCUIT_BREAKER_TIMEOUT_SECONDS": open_time("other", "CIRCUIT_BREAKER_TIMEOUT_SECONDS"),
    "CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS": half_open_calls,
    "GRAPH_API_CIRCUIT_BREAKER_ENABLED": breaker_off(
        "microsoft_graph", "GRAPH_API_CIRCUIT_BREAKER_ENABLED"
    ),
    "GRAPH_API_FAILURE_THRESHOLD": threshold("microsoft_graph", "GRAPH_API_FAILURE_THRESHOLD"),
    "GRAPH_API_TIMEOUT_SECONDS": open_time("microsoft_graph", "GRAPH_API_TIMEOUT_SECONDS"),
    "REDIS_CIRCUIT_BREAKER_ENABLED": breaker_off("redis", "REDIS_CIRCUIT_BREAKER_ENABLED"),
    "REDIS_FAILURE_THRESHOLD": threshold("redis", "REDIS_FAILURE_THRESHOLD"),
    "REDIS_TIMEOUT_SECONDS": open_time("redis", "REDIS_TIMEOUT_SECONDS"),
    "DATABASE_CIRCUIT_BREAKER_ENABLED": breaker_off("database", "DATABASE_CIRCUIT_BREAKER_ENABLED"),
    "DATABASE_FAILURE_THRESHOLD": threshold("database", "DATABASE_FAILURE_THRESHOLD"),
    "DATABASE_TIMEOUT_SECONDS": open_time("database", "DATABASE_TIMEOUT_SECONDS"),
    "RETRY_ENABLED": retry_enabled,
    "RETRY_MAX_ATTEMPTS": max_attempts,
    "RETRY_BASE_DELAY_MS": base_delay,
    "RETRY_MAX_DELAY_MS": max_delay,
    "RETRY_JITTER_ENABLED": jitter,
    "RETRY_BUDGET_ENABLED": budget_enabled,
    "RETRY_BUDGET_LIMIT": budget_limit,
    "FALLBACK_ENABLED": fallback_enabled,
    "FALLBACK_CACHE_ENABLED": fallback_cache,
    "FALLBACK_CACHE_MAX_AGE_MINUTES": fallback_max_age,
    "DEGRADED_MODE_ENABLED": degraded_mode,
    "FEATURE_TOGGLES_ENABLED": toggles,
    "BULKHEAD_ISOLATION_ENABLED": bulkheads,
    "CRITICAL_OPERATION_THREAD_POOL_SIZE": critical_pool,
    "USER_TIER_ISOLATION_ENABLED": tiers,
    "RESOURCE_LIMIT_ENFORCEMENT": resource_limits,
}

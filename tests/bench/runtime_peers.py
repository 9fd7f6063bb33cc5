"""The contestants: each wraps a plain or a coroutine function, and is set up for the same task."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import circuitbreaker
import hyx.bulkhead
import hyx.circuitbreaker
import hyx.retry
import interlock
import interlock.window
import nopanic
import purgatory
import pybreaker
import pyresilience
import stamina
import tenacity

from breakers.runtime import (
    Bulkhead,
    CircuitBreaker,
    ClientVariables,
    Resilience,
    Retry,
    RetryBudget,
    RetryPolicy,
)

Function = Callable[[], Any]
Wrap = Callable[[Function], Function]
OURS = "ours"
_names = itertools.count()


class Contestant(NamedTuple):
    """`wrap` protects a function; `sync` and `coroutine` say which kinds it can."""

    name: str
    wrap: Wrap
    sync: bool = True
    coroutine: bool = True


def _purgatory(function: Function, *, threshold: int = 5, ttl: float = 60) -> Function:
    kind = (
        purgatory.AsyncCircuitBreakerFactory
        if inspect.iscoroutinefunction(function)
        else purgatory.SyncCircuitBreakerFactory
    )
    return kind(default_threshold=threshold, default_ttl=ttl)("bench")(function)


def _ours_time(function: Function) -> Function:
    return CircuitBreaker(
        sliding_window_type="time", slow_call_duration_threshold=4, slow_call_rate_threshold=0.5
    )(function)


def _nopanic_time() -> Any:
    return nopanic.circuit_breaker(
        window=60.0, min_calls=10, slow_call_duration=4.0, slow_call_threshold=0.5
    )


def _interlock(window: interlock.window.WindowType) -> Wrap:
    config = interlock.Config(window_type=window, slow_call_duration_threshold=4.0)
    return lambda function: interlock.CircuitBreaker(name="bench", config=config)(function)


def breakers() -> list[Contestant]:
    """Closed breakers that see successes."""
    slow = {"slow_call_duration": 4.0, "slow_call_rate_threshold": 0.5}
    return [
        Contestant(f"{OURS}: time window, slow calls", _ours_time),
        Contestant(
            f"{OURS}: count window", lambda f: CircuitBreaker(sliding_window_type="count")(f)
        ),
        Contestant(f"{OURS}: consecutive", lambda f: CircuitBreaker()(f)),
        Contestant("nopanic: time window, slow calls", lambda f: _nopanic_time()(f)),
        Contestant("interlock: time window", _interlock(interlock.window.WindowType.TIME_BASED)),
        Contestant("interlock: count window", _interlock(interlock.window.WindowType.COUNT_BASED)),
        Contestant(
            "pyresilience: count window",
            lambda f: pyresilience.resilient(
                circuit_breaker=pyresilience.CircuitBreakerConfig(sliding_window_size=100, **slow)
            )(f),
        ),
        Contestant("circuitbreaker: consecutive", lambda f: circuitbreaker.CircuitBreaker()(f)),
        Contestant("purgatory: consecutive", _purgatory),
        Contestant(
            "pybreaker: consecutive", lambda f: pybreaker.CircuitBreaker()(f), coroutine=False
        ),
        Contestant(
            "hyx: consecutive", lambda f: hyx.circuitbreaker.consecutive_breaker()(f), sync=False
        ),
    ]


def opened() -> list[Contestant]:
    """Breakers that open at failures and stay so; whoever measures lets calls fail first."""

    def by_purgatory(function: Function) -> Function:
        return _purgatory(function, threshold=1, ttl=3600)

    stays = pyresilience.CircuitBreakerConfig(failure_threshold=1, recovery_timeout=3600)
    config = interlock.Config(minimum_number_of_calls=1, wait_duration_in_open=3600)
    return [
        Contestant(OURS, lambda f: CircuitBreaker(1, timeout=3600)(f)),
        Contestant(
            "circuitbreaker",
            lambda f: circuitbreaker.CircuitBreaker(
                failure_threshold=1, recovery_timeout=3600, name=f"bench-{next(_names)}"
            )(f),
        ),
        Contestant(
            "nopanic", lambda f: nopanic.circuit_breaker(min_calls=1, reset_timeout=3600)(f)
        ),
        Contestant("purgatory", by_purgatory),
        Contestant("pyresilience", lambda f: pyresilience.resilient(circuit_breaker=stays)(f)),
        Contestant("interlock", lambda f: interlock.CircuitBreaker(name="bench", config=config)(f)),
        Contestant(
            "pybreaker",
            lambda f: pybreaker.CircuitBreaker(fail_max=1, reset_timeout=3600)(f),
            coroutine=False,
        ),
        Contestant(
            "hyx",
            lambda f: hyx.circuitbreaker.consecutive_breaker(
                failure_threshold=1, recovery_time_secs=3600
            )(f),
            sync=False,
        ),
    ]


def retries() -> list[Contestant]:
    """Retries whose first attempt succeeds."""
    return [
        Contestant(f"{OURS}: with budget", lambda f: Retry("bench", budget=RetryBudget())(f)),
        Contestant(OURS, lambda f: Retry("bench")(f)),
        Contestant(
            "nopanic: with budget", lambda f: nopanic.retry(3, budget=nopanic.RetryBudget())(f)
        ),
        Contestant("nopanic", lambda f: nopanic.retry(3)(f)),
        Contestant(
            "pyresilience",
            lambda f: pyresilience.resilient(retry=pyresilience.RetryConfig(max_attempts=3))(f),
        ),
        Contestant("tenacity", lambda f: tenacity.retry(stop=tenacity.stop_after_attempt(3))(f)),
        Contestant("stamina", lambda f: stamina.retry(on=Exception, attempts=3)(f)),
        Contestant("hyx", lambda f: hyx.retry.retry(attempts=3)(f), sync=False),
    ]


def _interlock_bulkhead(function: Function) -> Function:
    return interlock.Pipeline(interlock.BulkheadStrategy(10))(function)


def bulkheads() -> list[Contestant]:
    """Bulkheads with room."""
    tiers = {"premium": 0.4, "standard": 0.2, "free": 0.0}
    return [
        Contestant(f"{OURS}: with tiers", lambda f: Bulkhead(10, 50, 1.0, tiers)(f)),
        Contestant(OURS, lambda f: Bulkhead(10, 50, 1.0)(f)),
        Contestant("nopanic", lambda f: nopanic.bulkhead(10)(f)),
        Contestant(
            "pyresilience",
            lambda f: pyresilience.resilient(
                bulkhead=pyresilience.BulkheadConfig(max_concurrent=10)
            )(f),
        ),
        Contestant("interlock", _interlock_bulkhead),
        Contestant("hyx", lambda f: hyx.bulkhead.bulkhead(10, 10)(f), sync=False),
    ]


def pipelines() -> list[Contestant]:
    """Bulkhead, retry with budget and breaker around one call."""

    def ours(function: Function) -> Function:
        resilience = Resilience(ClientVariables({}))
        breaker = resilience.breaker(
            "bench", sliding_window_type="time", slow_call_duration_threshold=4
        )
        tiered = Bulkhead(10, 50, 1.0, {"premium": 0.4, "free": 0.0})
        policy = RetryPolicy()
        return resilience.protect("bench", bulkhead=tiered, retry=policy, breaker=breaker)(function)

    def by_nopanic(function: Function) -> Function:
        guarded = _nopanic_time()(function)
        retried = nopanic.retry(3, budget=nopanic.RetryBudget())(guarded)
        return nopanic.bulkhead(10)(retried)

    def by_pyresilience(function: Function) -> Function:
        return pyresilience.resilient(
            retry=pyresilience.RetryConfig(max_attempts=3),
            circuit_breaker=pyresilience.CircuitBreakerConfig(sliding_window_size=100),
            bulkhead=pyresilience.BulkheadConfig(max_concurrent=10),
        )(function)

    return [
        Contestant(OURS, ours),
        Contestant("nopanic", by_nopanic),
        Contestant("pyresilience", by_pyresilience),
    ]

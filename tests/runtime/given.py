"""Breakers as several tests want them."""

from __future__ import annotations

from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.testing import FakeClock as Clock
from tests.test_circuit_breaker import attempt


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

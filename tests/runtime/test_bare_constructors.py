"""What is made without a registry obeys the environment's variables, too, below its arguments."""

from __future__ import annotations

import inspect
import random
from dataclasses import replace

import pytest

from breakers.runtime import (
    BreakerPolicy,
    CircuitBreaker,
    CircuitState,
    ConfigError,
    Retry,
    RetryManager,
    RetryPolicy,
    defaults,
)

_PARTS = ("CIRCUIT_BREAKER_", "RETRY_", "GRAPH_API_", "REDIS_", "DATABASE_")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set."""
    for name in list(defaults.ClientVariables.variables()):
        if name.startswith(_PARTS):
            monkeypatch.delenv(name, raising=False)


def settings(breaker: CircuitBreaker) -> tuple[int, float, int]:
    policy = breaker.policy
    return policy.failure_threshold, policy.timeout, policy.permitted_calls_in_half_open_state


def test_arguments_outrank_variables_of_the_name_those_for_all_and_the_dictionary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings(CircuitBreaker()) == (5, 60, 3)
    assert settings(CircuitBreaker(name="microsoft_graph")) == (3, 120, 2)
    monkeypatch.setenv("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "9")
    monkeypatch.setenv("CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS", "7")
    monkeypatch.setenv("REDIS_FAILURE_THRESHOLD", "4")
    monkeypatch.setenv("REDIS_TIMEOUT_SECONDS", "12.5")
    assert settings(CircuitBreaker()) == (9, 60, 7)
    assert settings(CircuitBreaker(name="redis")) == (4, 12.5, 7)
    assert settings(CircuitBreaker(name="microsoft_graph")) == (9, 120, 7)
    # Also those that are as great as the default.
    given = CircuitBreaker(5, 60, name="redis", permitted_calls_in_half_open_state=3)
    assert settings(given) == (5, 60, 3)
    assert settings(CircuitBreaker(failure_threshold=2)) == (2, 60, 7)


def test_a_breaker_that_is_made_keeps_what_was_set_then(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = CircuitBreaker()
    monkeypatch.setenv("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "9")
    assert breaker.failure_threshold == 5
    # A policy of its own is one of all its fields, as when calls are replayed.
    assert CircuitBreaker.of("redis", BreakerPolicy()).failure_threshold == 5


@pytest.mark.parametrize(
    ("variable", "off", "on"),
    [
        ("CIRCUIT_BREAKER_ENABLED", (None, "redis"), ()),
        ("REDIS_CIRCUIT_BREAKER_ENABLED", ("redis",), (None, "graph")),
    ],
)
def test_breakers_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, variable: str, off: tuple[str | None, ...], on: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, "false")
    for name in off:
        breaker = CircuitBreaker(1, name=name)
        breaker.acquire().failure(OSError())
        assert breaker.state is CircuitState.DISABLED
    for name in on:
        assert CircuitBreaker(name=name).state is CircuitState.CLOSED


def test_the_other_settings_of_a_breaker_are_its_arguments() -> None:
    given = {
        "expected_exception": OSError,
        "sliding_window_type": "count",
        "sliding_window_size": 20,
        "minimum_number_of_calls": 4,
        "failure_rate_threshold": 0.3,
        "slow_call_duration_threshold": 2.0,
        "slow_call_rate_threshold": 0.7,
        "max_wait_duration_in_half_open_state": 9.0,
        "ignored_exceptions": KeyError,
        "record_result": bool,
        "timeout_multiplier": 2.0,
        "max_timeout": 300.0,
        "timeout_jitter": 0.1,
    }
    assert CircuitBreaker(**given).policy == BreakerPolicy(**given)  # type: ignore[arg-type]


def test_retries_obey_the_variables_where_the_policy_does_not_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    standard = RetryPolicy()
    assert standard == RetryPolicy(3, 1.0, 30.0, "full")
    monkeypatch.setenv("RETRY_MAX_ATTEMPTS", "6")
    monkeypatch.setenv("RETRY_BASE_DELAY_MS", "200")
    monkeypatch.setenv("RETRY_MAX_DELAY_MS", "900")
    monkeypatch.setenv("RETRY_JITTER_ENABLED", "false")
    assert RetryPolicy() == Retry("graph").policy == RetryPolicy(6, 0.2, 0.9, None)
    assert RetryPolicy(3, 1.0, 30.0, "full") == standard == replace(standard, idempotent=None)
    # An argument is stronger than a variable that contradicts it.
    assert RetryPolicy(max_delay=0.1).base_delay == 0.1
    assert RetryPolicy(base_delay=5).max_delay == 5
    assert RetryPolicy.from_dict({"max_attempts": 2}) == RetryPolicy(2, 0.2, 0.9, None)
    monkeypatch.setenv("RETRY_ENABLED", "false")
    assert RetryPolicy().max_attempts == 1
    assert RetryPolicy(4).max_attempts == 4


async def test_a_manager_tries_as_often_as_the_variables_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETRY_MAX_ATTEMPTS", "6")
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def down() -> None:
        raise ConnectionError

    manager = RetryManager(async_sleep=sleep, chance=random.Random(1).random)
    result = await manager.execute_with_retry(down, RetryPolicy())
    assert (result.attempts, len(waits)) == (6, 5)


@pytest.mark.parametrize("make", [CircuitBreaker, RetryPolicy])
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, make: type
) -> None:
    monkeypatch.setenv("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "none")
    with pytest.raises(ConfigError, match="CIRCUIT_BREAKER_FAILURE_THRESHOLD is 'none'"):
        make()


def test_the_signatures_are_those_of_the_story() -> None:
    found = inspect.signature(CircuitBreaker).parameters
    assert [(each.name, each.default) for each in found.values()][:3] == [
        ("failure_threshold", 5),
        ("timeout", 60),
        ("expected_exception", Exception),
    ]
    retry = inspect.signature(RetryPolicy).parameters
    assert [(each.name, each.default) for each in retry.values()][:4] == [
        ("max_attempts", 3),
        ("base_delay", 1.0),
        ("max_delay", 30.0),
        ("jitter", "full"),
    ]

"""Retries as their users know them: attempts, waits, budgets, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from breakers.runtime import events
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.deadlines import deadline
from breakers.runtime.errors import (
    CallNotPermitted,
    HTTPError,
    RateLimitError,
    RetryBudgetExhausted,
)
from breakers.runtime.failure_codes import Classification
from breakers.runtime.retry import Retry
from breakers.runtime.retry_budget import RetryBudget, request_budget
from breakers.runtime.retry_manager import (
    RetryManager,
    policies_by_classification,
    standard_policy,
)
from breakers.runtime.retry_policy import RetryPolicy
from breakers.runtime.variables import ClientVariables, ConfigError


class Sleeper:
    """Waits that take no time, and are remembered."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def asynchronous(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


def retrying(sleeper: Sleeper, policy: RetryPolicy | None = None, **more: Any) -> Retry:
    more.setdefault("chance", lambda: 1.0)
    return Retry("graph", policy, sleep=sleeper, async_sleep=sleeper.asynchronous, **more)


class Flaky:
    """Fails with each of `errors` in turn, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def asynchronous(self) -> str:
        await asyncio.sleep(0)
        return self()


async def test_retry_with_exponential_backoff(sleeper: Sleeper) -> None:
    manager = RetryManager(
        ClientVariables({}), chance=lambda: 1.0, async_sleep=sleeper.asynchronous
    )
    flaky = Flaky(ConnectionError("1"), ConnectionError("2"), TimeoutError("3"))
    policy = RetryPolicy(max_attempts=5, base_delay=1.0, max_delay=3.0, jitter=None)
    result = await manager.execute_with_retry(flaky.asynchronous, policy)
    assert result.ok
    assert result.unwrap() == "answer"
    assert (result.attempts, flaky.calls) == (4, 4)
    assert list(result.delays) == sleeper.waits == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("attempt", [1, 2, 3, 5, 10, 10**6])
async def test_the_story_s_backoff_formula(attempt: int) -> None:
    manager = RetryManager(ClientVariables({}))
    plain = await manager.calculate_backoff(attempt, 2, 30, jitter=False)
    assert plain == min(30, 2 * 2 ** min(attempt - 1, 40))
    for _ in range(20):
        assert 0 <= await manager.calculate_backoff(attempt, 2, 30) <= plain


def test_the_failure_of_the_last_attempt_is_raised_as_it_is(sleeper: Sleeper) -> None:
    errors = [ConnectionError(str(place)) for place in range(3)]
    with pytest.raises(ConnectionError) as raised:
        retrying(sleeper).call_sync(Flaky(*errors))
    assert raised.value is errors[2]
    assert sleeper.waits == [1, 2]


async def test_a_failure_that_will_not_pass_is_not_retried(sleeper: Sleeper) -> None:
    flaky = Flaky(HTTPError(404), HTTPError(404))
    result = await retrying(sleeper).execute(flaky.asynchronous)
    assert (result.outcome, result.attempts) == ("not_retried", 1)
    assert result.classification is Classification.PERMANENT
    with pytest.raises(HTTPError, match="404"):
        result.unwrap()


@pytest.mark.parametrize("stop", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
async def test_what_ends_the_program_or_the_task_is_not_retried(
    sleeper: Sleeper, stop: type[BaseException]
) -> None:
    flaky = Flaky(stop())
    with pytest.raises(stop):
        retrying(sleeper).call_sync(flaky)
    assert flaky.calls == 1


async def test_a_wait_that_is_asked_for_is_the_least_and_is_capped(sleeper: Sleeper) -> None:
    retry = retrying(sleeper, RetryPolicy(max_attempts=4, max_retry_after=60))
    flaky = Flaky(
        RateLimitError(retry_after=10),
        RateLimitError(retry_after=0),
        RateLimitError(retry_after=9e9),
    )
    assert await retry.call(flaky.asynchronous) == "answer"
    assert sleeper.waits == [10, 2, 60]


async def test_it_gives_up_at_once_where_the_wait_would_outlast_the_deadline(
    sleeper: Sleeper,
) -> None:
    flaky = Flaky(RateLimitError(retry_after=100))
    async with deadline(30):
        result = await retrying(sleeper).execute(flaky.asynchronous)
    assert (result.outcome, result.attempts, sleeper.waits) == ("deadline", 1, [])


def test_a_budget_ends_retries_and_not_calls(sleeper: Sleeper) -> None:
    told: list[events.Event] = []
    stop = events.subscribe(told.append)
    budget = RetryBudget(ratio=0, floor_per_second=1, window=60, limit=3)
    retry = retrying(sleeper, RetryPolicy(max_attempts=3), budget=budget)
    calls = 0
    try:
        for _ in range(10):
            flaky = Flaky(*[ConnectionError()] * 9)
            assert retry.execute_sync(flaky).error is not None
            calls += flaky.calls
    finally:
        stop()
    assert calls == 10 + 3
    assert budget.snapshot() == (10, 3, 0)
    exhausted = [e for e in told if e.name == "resilience.retry.budget_exhausted"]
    assert exhausted[0].attributes == {"resilience.dependency": "graph"}
    assert len(exhausted) == 9


def test_nested_retries_do_not_multiply(sleeper: Sleeper) -> None:
    flaky = Flaky(*[ConnectionError()] * 100)
    inner = retrying(sleeper, RetryPolicy(max_attempts=3))
    middle = retrying(sleeper, RetryPolicy(max_attempts=3))
    outer = retrying(sleeper, RetryPolicy(max_attempts=3))
    with pytest.raises(ConnectionError):
        outer.call_sync(middle.call_sync, inner.call_sync, flaky)
    assert flaky.calls == 3

    flaky = Flaky(*[ConnectionError()] * 100)
    with request_budget(5), pytest.raises(ConnectionError):
        outer.call_sync(inner.call_sync, flaky)
    assert flaky.calls == 6
    with pytest.raises(ConnectionError):
        inner.call_sync(flaky)
    assert flaky.calls == 9


def test_a_retry_that_the_request_may_not_make_is_not_taken_from_the_others(
    sleeper: Sleeper,
) -> None:
    budget = RetryBudget(ratio=0, floor_per_second=1, window=60, limit=5)
    retry = retrying(sleeper, budget=budget)
    with request_budget(0) as request:
        refused = retry.execute_sync(Flaky(ConnectionError()))
        assert refused.outcome == "request_budget"
        assert "this request" in str(refused.exhausted)
    assert budget.snapshot().left == 5
    empty = RetryBudget(limit=0)
    with request_budget(3) as request:
        done = retrying(sleeper, budget=empty).execute_sync(Flaky(ConnectionError()))
        assert done.outcome == "budget_exhausted"
        assert isinstance(done.exhausted, RetryBudgetExhausted)
        assert isinstance(done.error, ConnectionError)
        assert request.left == 3


def sent(method: str, error: type[httpx.TransportError]) -> httpx.TransportError:
    return error("lost", request=httpx.Request(method, "http://graph.example"))


@pytest.mark.parametrize(
    ("idempotent", "error", "attempts"),
    [
        (True, ConnectionResetError(), 2),
        (False, ConnectionResetError(), 1),
        (False, ConnectionRefusedError(), 2),
        (False, RateLimitError(), 2),
        (False, HTTPError(503), 1),
        (None, ConnectionResetError(), 2),
        (None, sent("GET", httpx.ReadTimeout), 2),
        (None, sent("POST", httpx.ReadTimeout), 1),
        (None, sent("PATCH", httpx.ReadError), 1),
        (None, sent("POST", httpx.ConnectError), 2),
        (True, sent("POST", httpx.ReadTimeout), 2),
    ],
)
def test_a_call_that_may_have_taken_place_is_not_repeated_unless_it_may_be(
    sleeper: Sleeper, idempotent: bool | None, error: Exception, attempts: int
) -> None:
    flaky = Flaky(error)
    retrying(sleeper, RetryPolicy(idempotent=idempotent)).execute_sync(flaky)
    assert flaky.calls == attempts


async def test_a_result_can_call_for_another_attempt(sleeper: Sleeper) -> None:
    answers = [503, 503, 200]
    retry = retrying(sleeper, RetryPolicy(retry_result=lambda status: status == 503))
    assert retry.call_sync(lambda: answers.pop(0)) == 200
    answers += [503, 503, 503]

    async def ask() -> int:
        return answers.pop(0)

    assert await retry.call(ask) == 503
    assert len(sleeper.waits) == 4


def test_a_predicate_that_raises_takes_the_result(
    sleeper: Sleeper, caplog: pytest.LogCaptureFixture
) -> None:
    retry = retrying(sleeper, RetryPolicy(retry_result=lambda result: 1 / 0))
    assert retry.call_sync(lambda: "answer") == "answer"
    assert "retry_result" in caplog.text


async def test_each_kind_of_failure_has_its_policy(sleeper: Sleeper) -> None:
    variables = ClientVariables({"RETRY_JITTER_ENABLED": "false"})
    retry = retrying(
        sleeper,
        standard_policy(variables),
        by_classification=policies_by_classification(variables),
    )
    await retry.execute(Flaky(*[HTTPError(503)] * 9).asynchronous)
    assert sleeper.waits == [1, 2]
    sleeper.waits.clear()
    await retry.execute(Flaky(*[HTTPError(429)] * 9).asynchronous)
    assert sleeper.waits == [2, 4, 8, 16]
    sleeper.waits.clear()
    await retry.execute(Flaky(*[HTTPError(401)] * 9).asynchronous)
    assert sleeper.waits == [5]


def test_variables_that_are_set_outrank_the_dictionaries() -> None:
    variables = ClientVariables({"RETRY_MAX_ATTEMPTS": "7", "RETRY_MAX_DELAY_MS": "500"})
    for policy in policies_by_classification(variables).values():
        assert (policy.max_attempts, policy.base_delay, policy.max_delay) == (7, 0.5, 0.5)
    off = ClientVariables({"RETRY_ENABLED": "false"})
    assert standard_policy(off).max_attempts == 1
    assert {p.max_attempts for p in policies_by_classification(off).values()} == {1}


async def test_the_manager_answers_the_story_s_questions() -> None:
    manager = RetryManager(ClientVariables({"RETRY_BUDGET_LIMIT": "2"}))
    policy = RetryPolicy(max_attempts=2)
    assert await manager.should_retry(ConnectionError(), 1, policy)
    assert not await manager.should_retry(ConnectionError(), 2, policy)
    assert not await manager.should_retry(ValueError(), 1, policy)
    assert [await manager.track_retry_budget("a") for _ in range(3)] == [True, True, False]
    assert await manager.track_retry_budget("b")
    off = RetryManager(ClientVariables({"RETRY_ENABLED": "false", "RETRY_BUDGET_ENABLED": "false"}))
    assert not await off.should_retry(ConnectionError(), 1, policy)
    assert all([await off.track_retry_budget("a") for _ in range(200)])
    assert (await off.execute_with_retry(Flaky(ConnectionError()), policy)).attempts == 1


def test_a_listed_exception_is_retried_and_no_other(sleeper: Sleeper) -> None:
    retry = retrying(sleeper, RetryPolicy(exceptions=(KeyError,)))
    assert retry.call_sync(Flaky(KeyError())) == "answer"
    with pytest.raises(ConnectionError):
        retry.call_sync(Flaky(ConnectionError()))


def test_an_open_breaker_inside_is_not_hammered(sleeper: Sleeper) -> None:
    breaker = CircuitBreaker(2, 60)
    flaky = Flaky(*[ConnectionError()] * 9)
    with pytest.raises(CallNotPermitted):
        retrying(sleeper, RetryPolicy(max_attempts=9)).call_sync(breaker.call_sync, flaky)
    assert flaky.calls == 2
    assert len(sleeper.waits) == 2


async def test_streams_are_retried_only_until_their_first_item(sleeper: Sleeper) -> None:
    retry = retrying(sleeper)
    starts: list[str] = []

    def fail_at(kind: str, first: int, later: bool) -> None:
        starts.append(kind)
        if len(starts) <= first:
            raise ConnectionError("start")

    @retry
    def numbers(first: int, later: bool) -> Iterator[int]:
        fail_at("sync", first, later)
        yield 1
        if later:
            raise ConnectionError("later")
        yield 2

    @retry
    async def more(first: int, later: bool) -> AsyncIterator[int]:
        fail_at("async", first, later)
        yield 1
        if later:
            raise ConnectionError("later")
        yield 2

    assert list(numbers(2, False)) == [1, 2]
    assert len(starts) == 3
    starts.clear()
    assert [each async for each in more(2, False)] == [1, 2]
    assert len(starts) == 3
    starts.clear()
    stream, other = numbers(0, True), more(0, True)
    assert next(stream) == 1
    with pytest.raises(ConnectionError, match="later"):
        next(stream)
    assert await anext(other) == 1
    with pytest.raises(ConnectionError, match="later"):
        await anext(other)
    assert starts == ["sync", "async"]


async def test_decorated_functions_keep_their_names_and_arguments(sleeper: Sleeper) -> None:
    retry = retrying(sleeper)
    failures = [ConnectionError(), ConnectionError()]

    @retry
    def plain(a: int, *, b: int) -> int:
        if failures:
            raise failures.pop()
        return a + b

    @retry
    async def coroutine(a: int) -> int:
        return a

    assert plain(1, b=2) == 3
    assert plain.__name__ == "plain"
    assert await coroutine(4) == 4


async def test_a_cancelled_wait_ends_the_retry() -> None:
    waiting = asyncio.Event()

    async def forever(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    flaky = Flaky(ConnectionError(), ConnectionError())
    task = asyncio.create_task(Retry("graph", async_sleep=forever).call(flaky.asynchronous))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert flaky.calls == 1


def test_attempts_are_told_and_plain_successes_are_not(sleeper: Sleeper) -> None:
    told: list[events.Event] = []
    stop = events.subscribe(told.append)
    try:
        retry = retrying(sleeper)
        retry.call_sync(Flaky())
        assert told == []
        retry.call_sync(Flaky(HTTPError(503)))
    finally:
        stop()
    prefix = "resilience.retry."
    assert [(e.attributes[prefix + "attempt"], e.attributes[prefix + "outcome"]) for e in told] == [
        (1, "retried"),
        (2, "succeeded"),
    ]
    assert told[0].attributes[prefix + "delay_ms"] == 1000
    assert told[0].attributes[prefix + "classification"] == "transient"
    assert told[0].attributes["resilience.dependency"] == "graph"


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: RetryPolicy(max_attempts=0), "max_attempts is 0"),
        (lambda: RetryPolicy(base_delay=-1), "base_delay is -1"),
        (lambda: RetryPolicy(base_delay=9, max_delay=1), "max_delay is 1"),
        (lambda: RetryPolicy(jitter="some"), "jitter is 'some'"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(exceptions="x"), "exceptions is 'x'"),  # type: ignore[arg-type]
        (lambda: RetryPolicy.from_dict({"attempts": 3}), "policy is 'attempts'"),
        (lambda: RetryPolicy().for_criticality("vital"), "criticality is 'vital'"),  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_refused_at_construction(build: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build()


def test_criticality_gives_and_takes_attempts() -> None:
    policy = RetryPolicy(max_attempts=3, jitter=True)
    assert policy.jitter == "full"
    levels = ("critical", "high", "medium", "low")
    assert [policy.for_criticality(each).max_attempts for each in levels] == [4, 3, 3, 2]  # type: ignore[arg-type]

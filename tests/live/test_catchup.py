"""No loss and no doubles: pages that are cut at random moments end with every final state."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import connection
from websockets.exceptions import ConnectionClosed

from resilience_site.core import journal
from resilience_site.live.catchup import MAX_REPLAYED, catch_up
from resilience_site.live.protocol import Subscription

from .conftest import PATIENCE, Server, commit


class FollowingPage:
    """A page that reconnects with its cursor whenever it is cut, as the browser's client does."""

    def __init__(self, server: Server, cookie: str) -> None:
        self.server = server
        self.cookie = cookie
        self.cursor: int | None = None
        self.states: dict[str, str] = {}
        self.ids: list[int] = []
        self.resets = 0
        self.socket: Any = None
        self.told = asyncio.Event()

    async def follow(self) -> None:
        while True:
            async with self.server.open(self.cookie, since=self.cursor) as self.socket:
                try:
                    async for raw in self.socket:
                        self._take(orjson.loads(raw))
                except ConnectionClosed:
                    continue

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.told.clear()
                await self.told.wait()

    def cut(self) -> None:
        if self.socket is not None:
            self.socket.transport.abort()

    def _take(self, frame: dict[str, Any]) -> None:
        assert self.cursor is None or frame["cursor"] >= self.cursor
        self.cursor = frame["cursor"]
        self.resets += frame["type"] == "reset"
        for item in frame.get("items", []):
            self.ids.append(item["id"])
            self.states[item["key"]] = item["state"]
        self.told.set()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_page_that_is_cut_again_and_again_ends_with_every_final_state(
    server: Server, viewer: str, seed: int
) -> None:
    # A cursor of its own: a page that began at an empty journal has none, and reloads once cut.
    await commit("before")
    chance = random.Random(seed)
    page = FollowingPage(server, viewer)
    following = asyncio.create_task(page.follow())
    await page.until(lambda: page.cursor is not None)
    final: dict[str, str] = {}

    async def write(writer: int) -> None:
        for turn in range(25):
            keys = [f"{writer}.{chance.randrange(8)}" for _ in range(chance.randint(1, 4))]
            state = f"{writer}.{turn}"
            await commit(*keys, state=state)
            final.update(dict.fromkeys(keys, state))
            await asyncio.sleep(chance.random() / 20)

    async def cut() -> None:
        for _ in range(8):
            await asyncio.sleep(chance.random() / 4)
            page.cut()

    await asyncio.gather(write(1), write(2), cut())
    await page.until(lambda: page.states == final)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert page.resets == 0
    assert page.ids == sorted(set(page.ids)), "no hint twice, none out of order"


@pytest.mark.django_db(transaction=True)
class TestReplay:
    def append(self, count: int) -> int:
        commit.func(*map(str, range(count)))
        return journal.latest_cursor()

    def ask(self, since: int | None) -> Any:
        return catch_up(Subscription(frozenset({"errors"}), since))

    def test_a_page_without_a_cursor_starts_at_the_present(self) -> None:
        latest = self.append(3)
        assert self.ask(None) == (latest, [], None)

    def test_a_gap_up_to_the_limit_is_replayed(self) -> None:
        since = self.append(1)
        latest = self.append(MAX_REPLAYED)
        missed = self.ask(since)
        assert (missed.upto, len(missed.hints), missed.reset) == (latest, MAX_REPLAYED, None)
        latest = self.append(1)
        assert self.ask(since) == (latest, [], "gap")

    def test_a_page_that_began_at_an_empty_journal_is_reset(self) -> None:
        self.append(1)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM core_journalentry")
        latest = self.append(1)
        # Nobody can say whether retention has dropped something that it never saw.
        assert self.ask(0) == (latest, [], "expired")

    def test_a_cursor_older_than_the_journal_is_reset(self) -> None:
        since = self.append(1)
        latest = self.append(5)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM core_journalentry WHERE id <= %s", [since])
        assert self.ask(since).reset is None, "the next entry is still there"
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM core_journalentry WHERE id < %s", [latest])
        assert self.ask(since).reset == "expired"

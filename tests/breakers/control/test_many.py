"""Two thousand instances wait at one web process, and cost it next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, connections, transaction

from breakers.models import Instance
from breakers.services.toggles import toggle_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.breakers.control.herd import Herd
from tests.livesite import LiveSite
from tests.patience import until

SIZE = 2_000
# More than the connections that a process may have.
FEW = 50
TRIES = 10
MIB = 2**20


def web_process(url: str) -> psutil.Process:
    """The process that the fixture of the site started on this port."""
    port = int(url.rpartition(":")[2])
    for process in psutil.Process().children(recursive=True):
        if process.is_running() and "resilience_site.embedded.web" in " ".join(process.cmdline()):
            listening = {each.laddr.port for each in process.net_connections() if each.laddr}
            if port in listening:
                return process
    raise AssertionError(f"no web process listens on {port}")


def in_thread(work: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Database work beside the loop, its connection closed."""

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return work(*args, **kwargs)
        finally:
            connections.close_all()

    return sync_to_async(run, thread_sensitive=False)


async def within(seconds: int, fact: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so; the limit is for what never comes."""
    for _ in range(seconds * 10):
        if await fact():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"it did not come true in {seconds} s")


async def all_wait(herd: Herd) -> None:
    """Wait until they all do: the site has written down that each acknowledged what it has."""
    await herd.all_at(0, 180)
    written = in_thread(Instance.objects.filter(service=herd.service, applied_version=0).count)

    async def all_written() -> bool:
        return int(await written()) == len(herd.instances)

    await within(60, all_written)


async def wake(herd: Herd) -> None:
    """A change that concerns them all."""
    await in_thread(toggle_set)(
        key="herd.wakes", value=True, reason="wake all", actor=Actor.system("test"),
        role=Role.OPERATOR,
    )  # fmt: skip
    await herd.all_at(1, 120)


@pytest.mark.timeout(600)
async def test_two_thousand_waiting_instances_cost_a_few_threads_and_little_memory(
    site: LiveSite,
) -> None:
    service = f"herd-{uuid4().hex[:8]}"
    process = web_process(site.url)
    async with Herd(site.url, site.ingest_key, service, 1) as first:
        await first.all_at(0, 60)
    before = process.memory_info().rss
    async with Herd(site.url, site.ingest_key, service, SIZE) as herd:
        await all_wait(herd)
        grown = (process.memory_info().rss - before) / MIB
        assert grown < 64, f"{grown:.0f} MiB"
        assert process.num_threads() < 40
        await wake(herd)


@contextmanager
def closed_table(table: str) -> Iterator[None]:
    """Whoever reads it waits until the end of the block."""
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waiting_for(table: str) -> int:
    """Connections in which somebody waits to read it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted", [table]
        )
        return int(cursor.fetchone()[0])


@pytest.mark.timeout(400)
async def test_those_who_wait_hold_no_connection_of_the_store(site: LiveSite) -> None:
    """Many more wait than the process may have, and half of those are in others' hands meanwhile."""
    # The site looks something up for itself now and then.
    others = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] // 2
    table = AuditEntry._meta.db_table

    def read() -> int:
        headers = {"Authorization": f"Bearer {site.operator_key}"}
        # One that came when all were taken asks again.
        return until(
            lambda: httpx.get(f"{site.url}/api/v1/audit", headers=headers, timeout=60).is_success
        )

    def take_all() -> None:
        with ThreadPoolExecutor(others) as pool:
            with closed_table(table):
                reading = [pool.submit(read) for _ in range(others)]
                until(lambda: waiting_for(table) >= others)
            assert all(each.result() for each in reading)

    async with Herd(site.url, site.ingest_key, f"herd-{uuid4().hex[:8]}", FEW) as herd:
        await all_wait(herd)
        for _ in range(TRIES):
            polls = herd.polls
            await in_thread(take_all)()
            # Else some began anew, and what they had held was free for a moment.
            if herd.polls == polls:
                break
        else:
            raise AssertionError("connections are free only once polls have ended")
        await wake(herd)

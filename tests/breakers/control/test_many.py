"""Two thousand instances wait at one web process, and cost it next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import psutil
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from breakers.models import Instance
from breakers.services.toggles import toggle_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from tests.breakers.control.herd import Herd
from tests.livesite import LiveSite

SIZE = 2_000
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


def busy_connections() -> int:
    """Connections of others to the test database that are inside a transaction or a query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state <> 'idle' AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


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
        await herd.all_at(0, 180)
        # All of them wait once the site has written down that each acknowledged what it has.
        written = in_thread(Instance.objects.filter(service=service, applied_version=0).count)

        async def all_written() -> bool:
            return int(await written()) == SIZE

        await within(60, all_written)
        grown = (process.memory_info().rss - before) / MIB
        assert grown < 64, f"{grown:.0f} MiB"
        assert process.num_threads() < 40

        async def nearly_idle() -> bool:
            return int(await in_thread(busy_connections)()) <= 2

        # The site's own loops look something up now and then.
        await within(30, nearly_idle)
        await in_thread(toggle_set)(
            key="herd.wakes", value=True, reason="wake all", actor=Actor.system("test"),
            role=Role.OPERATOR,
        )  # fmt: skip
        await herd.all_at(1, 120)

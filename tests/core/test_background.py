from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from resilience_site.core import background


@pytest.fixture(autouse=True)
async def _stopped() -> AsyncIterator[None]:
    yield
    await background.stop()


def status(name: str) -> background.Status:
    return {each.name: each for each in background.statuses()}[name]


async def test_a_task_runs_and_is_seen() -> None:
    begun = asyncio.Event()

    async def loop() -> None:
        begun.set()
        await asyncio.Event().wait()

    background.supervise("fanout", loop)
    await begun.wait()
    assert status("fanout").state == "running"
    assert status("fanout").alive


async def test_a_task_that_fails_is_started_again_and_says_why() -> None:
    runs = 0
    recovered = asyncio.Event()

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ConnectionError("no redis")
        recovered.set()
        await asyncio.Event().wait()

    background.supervise("fanout", loop, initial_delay=0.001)
    await recovered.wait()
    assert status("fanout").restarts == 2
    assert status("fanout").last_error == "ConnectionError: no redis"
    assert status("fanout").alive


async def test_a_task_that_returns_is_started_again() -> None:
    runs = 0
    third = asyncio.Event()

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            third.set()

    background.supervise("fanout", loop, initial_delay=0.001)
    await third.wait()


async def test_a_task_waiting_out_its_delay_is_not_alive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed = asyncio.Event()

    async def loop() -> None:
        failed.set()
        raise RuntimeError

    caplog.set_level(logging.CRITICAL)
    background.supervise("fanout", loop, initial_delay=60)
    await failed.wait()
    await asyncio.sleep(0)
    assert status("fanout").state == "restarting"
    assert not status("fanout").alive


async def test_a_cancelled_task_shows_as_dead() -> None:
    task = background.supervise("fanout", asyncio.Event().wait)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert status("fanout").state == "dead"


async def test_supervising_a_live_name_again_changes_nothing() -> None:
    async def loop() -> None:
        await asyncio.Event().wait()

    first = background.supervise("fanout", loop)
    assert background.supervise("fanout", loop) is first
    await background.stop("fanout")
    assert background.statuses() == []
    assert background.supervise("fanout", loop) is not first

"""What a run leaves behind: warnings about sockets and tasks that nobody ended."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator

import psutil
import pytest

_OURS = ("asyncio", "aiohttp", "concurrent", "health")


@pytest.fixture
async def nothing_left_behind(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fails the test for each error in a finalizer (`ResourceWarning` is one), and each that the
    event loop logs."""
    found: list[str] = []
    before = sys.unraisablehook
    # What was there before need not be looked through again.
    gc.freeze()
    sys.unraisablehook = lambda report: found.append(f"{report.exc_value!r} in {report.object!r}")
    try:
        yield
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0)
    finally:
        sys.unraisablehook = before
        gc.unfreeze()
    # Servers of tests complain about clients that leave; only what is ours counts.
    logged = [
        each
        for each in caplog.get_records("call")
        if each.levelno >= logging.ERROR and each.name.partition(".")[0] in _OURS
    ]
    found += [each.getMessage() for each in logged]
    assert not found


def connections_to(port: int) -> list[str]:
    """The states of this process's own connections to `port`."""
    ours = psutil.Process().net_connections("tcp")
    return [each.status for each in ours if each.raddr and each.raddr.port == port]

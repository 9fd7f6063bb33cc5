"""Writes the counts of refused requests, and with which keys telemetry came, once a second in each
web process."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, datetime

from django.db import InterfaceError, OperationalError, connections

from analytics.services.ingest_counters import flush_refusals
from analytics.services.keys_heard import keys_tell
from resilience_site.core import background

log = logging.getLogger(__name__)

NAME = "refusal counts"
INTERVAL_SECONDS = 1.0
_one_at_a_time = threading.Lock()


def start() -> asyncio.Task[None]:
    """Run the flusher on the running loop until it is stopped; a second call changes nothing."""
    return background.supervise(NAME, _run)


async def stop() -> None:
    """End the flusher, with what it still has written as far as the store allows."""
    await background.stop(NAME)
    await asyncio.to_thread(_flush)


async def _run() -> None:
    was_stored = True
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        is_stored = await asyncio.to_thread(_flush)
        if was_stored and not is_stored:
            log.warning("the store is down: counts of refused requests are kept in memory")
        was_stored = is_stored


def _flush() -> bool:
    """Whether the counts were written; they stay in memory otherwise."""
    try:
        # A flush that was under way when the flusher ended is waited for by the last one.
        with _one_at_a_time:
            flush_refusals()
            keys_tell(now=datetime.now(UTC))
    except (OperationalError, InterfaceError):
        return False
    finally:
        # This thread is one of a pool: it must not sit on a connection.
        connections.close_all()
    return True

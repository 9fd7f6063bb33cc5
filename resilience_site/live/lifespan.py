"""The life of a web process: its background loops start with it and end with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from analytics.ingest import flusher
from breakers.control import hub
from resilience_site.config import config
from resilience_site.core import background
from resilience_site.live import fanout
from resilience_site.probes import watchman

Message = MutableMapping[str, Any]


async def lifespan_application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """The ASGI application for scopes of type `lifespan`."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            fanout.start()
            flusher.start()
            if config.resilience_web_stands_in:
                watchman.start()
            hub.running()
            await send({"type": "lifespan.startup.complete"})
        else:
            await hub.stop()
            await fanout.stop()
            await flusher.stop()
            await background.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return

"""The WebSocket of the live pages: one writer per socket, and nothing that can grow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import UTC, datetime
from typing import Final

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import InterfaceError, OperationalError

from resilience_site.core import wakeup
from resilience_site.core.choices import Role, Topic
from resilience_site.core.permissions import role_allows
from resilience_site.live import fanout
from resilience_site.live.catchup import catch_up
from resilience_site.live.fanout import Client, in_thread
from resilience_site.live.protocol import ProtocolError, hello, parse_subscription
from resilience_site.live.viewers import viewer_find

log = logging.getLogger(__name__)

SEND_TIMEOUT_SECONDS: Final = 5.0
PRIME_TIMEOUT_SECONDS: Final = 5.0
RECHECK_SECONDS: Final = 60.0
STALE_LOOK_SECONDS: Final = 0.5

BAD_REQUEST: Final = 4400
LOG_IN: Final = 4401
FORBIDDEN: Final = 4403
NOT_FOUND: Final = 4404
TOO_MANY: Final = 4429
INTERNAL_ERROR: Final = 1011
TRY_AGAIN_LATER: Final = 1013


class Refused(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class PageLeft(Exception):
    """The socket is gone, and nobody has told us yet."""


class LiveConsumer(AsyncWebsocketConsumer):
    """Sends hints about the topics that a page names; listens to nothing.

    Accepts before it refuses, because a browser learns the close code only of an open socket.
    """

    # No channel of its own: the process's fan-out listens for all sockets.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        await self.accept()
        # Beside the dispatcher, which would not see a disconnect while a handler waits.
        self._serving = asyncio.create_task(self._serve())

    async def disconnect(self, code: int) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Pages have nothing to say."""

    async def _serve(self) -> None:
        try:
            await self._talk()
        except Refused as refused:
            # A slow reader gets this when it has read what lies before it; nothing grows meanwhile.
            await self.close(refused.code)
        except (OperationalError, InterfaceError) as error:
            log.warning("a live page was turned away, the database does not answer: %s", error)
            await self.close(TRY_AGAIN_LATER)
        except PageLeft:
            log.debug("a page left while a hint was on its way to it")
        except Exception:
            log.exception("a live page lost its writer")
            await self.close(INTERNAL_ERROR)

    async def _talk(self) -> None:
        user_id = await self._authorise()
        try:
            subscription = parse_subscription(
                self.scope["query_string"].decode("latin-1"), Topic.values
            )
        except ProtocolError as error:
            log.info("a live page was turned away: %s", error)
            raise Refused(BAD_REQUEST) from error
        client = Client(subscription, user_id)
        hub = fanout.start()
        if not hub.add(client):
            raise Refused(TOO_MANY)
        try:
            await self._catch_up(hub, client)
            await self._write(hub, client)
        finally:
            hub.remove(client)

    async def _authorise(self) -> int:
        """The id of the user who may listen, as the database says now."""
        session_key = self.scope["cookies"].get(settings.SESSION_COOKIE_NAME)
        viewer = await in_thread(viewer_find, session_key)
        if viewer is None:
            raise Refused(LOG_IN)
        if not role_allows(viewer.role, Role.VIEWER):
            raise Refused(FORBIDDEN)
        return viewer.user_id

    async def _catch_up(self, hub: fanout.Fanout, client: Client) -> None:
        # Registered first, replayed second: what commits in between is in one of both.
        try:
            async with asyncio.timeout(PRIME_TIMEOUT_SECONDS):
                await hub.primed()
        except TimeoutError:
            raise Refused(TRY_AGAIN_LATER) from None
        missed = await in_thread(catch_up, client.subscription)
        since = client.subscription.since
        cursor = missed.upto if since is None else since
        await self._send(hello(cursor, late=wakeup.pulse.silent))
        client.outbox.start(missed.upto, missed.hints)
        if missed.reset is not None:
            client.outbox.reset(missed.reset)

    async def _write(self, hub: fanout.Fanout, client: Client) -> None:
        recheck_at = time.monotonic() + RECHECK_SECONDS
        while True:
            now = time.monotonic()
            if now >= recheck_at:
                await self._recheck()
                recheck_at = time.monotonic() + RECHECK_SECONDS
            client.changed.clear()
            fresh = hub.fresh(now)
            frame = client.outbox.take(
                now, datetime.now(UTC), ticking=fresh, late=wakeup.pulse.silent
            )
            if frame is not None:
                await self._send(frame)
                continue
            due = client.outbox.due_in(now) if fresh else STALE_LOOK_SECONDS
            await self._rest(client, min(due, recheck_at - now))

    async def _recheck(self) -> None:
        try:
            await self._authorise()
        except Refused:
            raise Refused(FORBIDDEN) from None

    async def _rest(self, client: Client, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await client.changed.wait()

    async def _send(self, frame: str) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await self.send(text_data=frame)
        except TimeoutError:
            raise Refused(TRY_AGAIN_LATER) from None
        except OSError as error:  # what ASGI servers raise for a socket that is gone
            raise PageLeft from error


class UnknownPath(AsyncWebsocketConsumer):
    """Turns away sockets for paths that do not exist."""

    channel_layer_alias = "none"

    async def connect(self) -> None:
        await self.accept()
        await self.close(NOT_FOUND)

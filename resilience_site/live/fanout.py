"""One fan-out per web process: reads the journal once per wake-up and tells every open page.

Wake-ups come through the channel layer and may get lost; a slow poll of the journal finds what
they missed, and carries on alone while Redis is down. The layer is Redis's pub/sub: its core
variant ends a silent `receive()` after redis-py's socket timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.db import InterfaceError, OperationalError

from resilience_site.core import background, journal, wakeup
from resilience_site.live.protocol import Hint, Outbox, Subscription

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

POLL_SECONDS: Final = 2.0
# Past this without a read of the journal, open pages are no longer told that they are live.
FRESH_SECONDS: Final = 3 * POLL_SECONDS
# Under load the journal is read at most twenty times a second.
READ_GAP_SECONDS: Final = 0.05
BATCH: Final = 1000
MAX_CONNECTIONS_PER_USER: Final = 10
FANOUT: Final = "live-fanout"
WAKEUPS: Final = "live-wakeups"
PULSE: Final = "live-pulse"


class OncePerOutage(logging.Filter):
    """Lets a library's log line pass once a minute; its retry loop writes one each second."""

    SECONDS = 60.0

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + self.SECONDS
        return True


logging.getLogger("channels_redis.pubsub").addFilter(OncePerOutage())


class Client:
    """One open page: what it listens to, what it is still to be told, and its alarm."""

    def __init__(self, subscription: Subscription, user_id: int) -> None:
        self.subscription = subscription
        self.user_id = user_id
        self.outbox = Outbox(time.monotonic())
        self.changed = asyncio.Event()


class Fanout:
    """Registered pages, and the loops that serve them."""

    def __init__(self) -> None:
        self.cursor: int | None = None
        self._by_topic: defaultdict[str, set[Client]] = defaultdict(set)
        self._clients: set[Client] = set()
        self._per_user: Counter[int] = Counter()
        self._occupied = asyncio.Event()
        self._primed = asyncio.Event()
        self._wake = asyncio.Event()
        self._store_down = False
        self._read_at = 0.0

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: Client) -> bool:
        """Register a page; False when its user has too many open already."""
        if self._per_user[client.user_id] >= MAX_CONNECTIONS_PER_USER:
            return False
        self._per_user[client.user_id] += 1
        self._clients.add(client)
        for topic in client.subscription.topics:
            self._by_topic[topic].add(client)
        self._occupied.set()
        return True

    def remove(self, client: Client) -> None:
        if client not in self._clients:
            return
        self._clients.discard(client)
        for topic in client.subscription.topics:
            self._by_topic[topic].discard(client)
        self._per_user -= Counter([client.user_id])

    async def primed(self) -> None:
        """Wait until every later commit will be told to the registered pages."""
        await self._primed.wait()

    def fresh(self, now: float) -> bool:
        """Whether the journal has been read of late, at monotonic time `now`."""
        return now - self._read_at < FRESH_SECONDS

    def wake(self) -> None:
        """There may be something new in the journal."""
        self._wake.set()

    async def run(self) -> None:
        """Tell pages what the journal gains; without any page, rest."""
        while True:
            if not self._clients:
                self._occupied.clear()
                self._primed.clear()
                self.cursor = None
                await self._occupied.wait()
            self._wake.clear()
            await self._read_all()
            # Wake-ups that arrive meanwhile share the next read.
            await asyncio.sleep(READ_GAP_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def listen(self) -> None:
        """Turn the channel layer's wake-ups into `wake`."""
        await wakeup.listen(self.wake)

    async def feel(self) -> None:
        """Tell pages at once when wake-ups cease, and when they are back."""
        await wakeup.pulse.watch(self._tick_soon)

    def _tick_soon(self) -> None:
        for client in self._clients:
            client.outbox.tick_soon()
            client.changed.set()

    async def _read_all(self) -> None:
        try:
            if self.cursor is None:
                self.cursor = await in_thread(journal.latest_cursor)
            while True:
                rows = await in_thread(journal.read_hints, self.cursor, None, BATCH)
                self._distribute([Hint._make(row) for row in rows])
                if len(rows) < BATCH:
                    break
        except (OperationalError, InterfaceError) as error:
            if not self._store_down:
                log.warning("the journal cannot be read, open pages are stale: %s", error)
            self._store_down = True
            return
        if self._store_down:
            log.info("the journal can be read again")
        self._store_down = False
        self._read_at = time.monotonic()
        self._primed.set()

    def _distribute(self, hints: list[Hint]) -> None:
        if not hints:
            return
        for hint in hints:
            for client in self._by_topic.get(hint.topic, ()):
                client.outbox.offer(hint)
                client.changed.set()
        self.cursor = hints[-1].id
        for client in self._clients:
            client.outbox.advance(self.cursor)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run database work beside the loop; its connection goes back to the pool afterwards."""
    return await database_sync_to_async(function, thread_sensitive=False)(*args, **kwargs)


_fanouts: WeakKeyDictionary[asyncio.AbstractEventLoop, Fanout] = WeakKeyDictionary()


def start() -> Fanout:
    """The running loop's fan-out, its loops supervised; starts them at the first call."""
    loop = asyncio.get_running_loop()
    fanout = _fanouts.get(loop)
    if fanout is None:
        fanout = _fanouts[loop] = Fanout()
    background.supervise(FANOUT, fanout.run)
    background.supervise(WAKEUPS, fanout.listen)
    background.supervise(PULSE, fanout.feel)
    return fanout


async def stop() -> None:
    """End the loops and leave the channel layer."""
    await background.stop(FANOUT, WAKEUPS, PULSE)
    await get_channel_layer().flush()

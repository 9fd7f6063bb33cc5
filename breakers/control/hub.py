"""The control documents in a web process, and everybody who waits for a change of one.

Documents are cached. A wake-up after each commit to the journal, with a slow poll of the database
behind it, finds out which have changed; only then is one read. Who waits holds no connection and
no thread, only a future.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError

from breakers.selectors import documents as selectors
from breakers.selectors.documents import Stamp
from breakers.services import instances
from breakers.services.expiry import expire_due
from breakers.services.instances import Poll
from resilience_site.core import background, wakeup

log = logging.getLogger(__name__)

HUB: Final = "control-documents"
WAKEUPS: Final = "control-wakeups"
NOTES: Final = "control-acknowledgements"
EXPIRY: Final = "control-expiry"
POLL_SECONDS: Final = 0.5
# Under load the versions are read at most twenty times a second.
READ_GAP_SECONDS: Final = 0.05
# A document that nobody asked for so long is forgotten.
IDLE_SECONDS: Final = 120.0
# Past this without a look at the versions, a document is read again before it is served.
FRESH_SECONDS: Final = 4 * POLL_SECONDS
NOTE_SECONDS: Final = 0.5
EXPIRY_SECONDS: Final = 1.0
MAX_NOTES: Final = 20_000
_STORE_ERRORS = (OperationalError, InterfaceError)


class Held(NamedTuple):
    """A document as it stands in the store."""

    stamp: Stamp
    whole: dict[str, Any]

    @property
    def version(self) -> int:
        return self.stamp.version


class Hub:
    """Cached documents, waiters by service, and the acknowledgements to be written."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._asked_at: dict[str, float] = {}
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._notes: dict[tuple[str, str], Poll] = {}
        self._wake = asyncio.Event()
        self._noted = asyncio.Event()
        self._read_at = -FRESH_SECONDS
        self._store_down = False
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many polls wait."""
        return sum(map(len, self._waiting.values()))

    async def document(self, service: str, known: int | None = None) -> Held:
        """The document of a service, registered at its first poll.

        It comes from the store, unless the cached one is the one that the client has: where that
        has changed, the client hears of it as soon as this process does. Another process may have
        told the client of a version that this one has not seen yet. Raises the store's errors only
        where nothing is cached.
        """
        now = time.monotonic()
        self._asked_at[service] = now
        held = self._held.get(service)
        fresh = now - self._read_at < FRESH_SECONDS or self._store_down
        if held is not None and fresh and known == held.version:
            return held
        try:
            held = Held(*await in_thread(instances.service_open, service, datetime.now(UTC)))
        except _STORE_ERRORS:
            if held is None:
                raise
            return held
        self._keep(service, held)
        return held

    def cached(self, service: str) -> Held | None:
        """The document of a service as this process knows it."""
        return self._held.get(service)

    def changes(self, service: str) -> asyncio.Future[None]:
        """A future that is done once the document changes, or the process is to end.

        Ask for it before comparing versions; give it back with `forget`.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closing:
            future.set_result(None)
        self._waiting[service].add(future)
        return future

    def forget(self, service: str, future: asyncio.Future[None]) -> None:
        """Nobody waits for this any more."""
        waiting = self._waiting.get(service)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiting[service]
        future.cancel()

    def note(self, poll: Poll) -> None:
        """Have it written down that an instance polled; of several polls the newest counts."""
        if len(self._notes) < MAX_NOTES or (poll.service, poll.instance) in self._notes:
            self._notes[(poll.service, poll.instance)] = poll
            self._noted.set()

    def wake(self) -> None:
        """There may be a new version."""
        self._wake.set()

    def close(self) -> None:
        """Answer all who wait, now and from now on: the process is about to end."""
        self._closing = True
        for service in list(self._waiting):
            self._release(service)

    # --- Loops

    async def run(self) -> None:
        """Find out which documents have changed, for as long as anybody asks for them."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            self._forget_idle()
            if self._held:
                await self._refresh()
            # Wake-ups that arrive meanwhile share the next read.
            await asyncio.sleep(READ_GAP_SECONDS)

    async def write_notes(self) -> None:
        """Write who polled, together, twice a second."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            notes, self._notes = self._notes, {}
            try:
                await in_thread(instances.polls_note, list(notes.values()), datetime.now(UTC))
            except _STORE_ERRORS as error:
                log.debug("acknowledgements wait for the database: %s", error)
                # A later poll of the same instance says more.
                self._notes = {**notes, **self._notes}
                self._noted.set()
            await asyncio.sleep(NOTE_SECONDS)

    async def end_due(self) -> None:
        """End what was decided for a time, within a second; the beat does it where no web process
        runs."""
        failing = False
        while True:
            try:
                await in_thread(_end_due)
                failing = False
            except _STORE_ERRORS as error:
                if not failing:
                    log.warning("what is due cannot be ended while the database is down: %s", error)
                failing = True
            await asyncio.sleep(EXPIRY_SECONDS)

    async def _refresh(self) -> None:
        try:
            stamps = await in_thread(selectors.document_stamps, list(self._held))
            changed = [
                service for service, held in self._held.items() if stamps.get(service) != held.stamp
            ]
            found = await in_thread(selectors.documents_of, changed)
            for service in changed:
                self._keep(service, Held(*found[service]) if service in found else None)
        except _STORE_ERRORS as error:
            if not self._store_down:
                log.warning("control documents cannot be read, the last ones are served: %s", error)
            self._store_down = True
            return
        if self._store_down:
            log.info("control documents can be read again")
        self._store_down = False
        self._read_at = time.monotonic()

    def _keep(self, service: str, held: Held | None) -> None:
        before = self._held.pop(service, None)
        if held is not None:
            self._held[service] = held
        if before is not None and (held is None or held.stamp != before.stamp):
            self._release(service)

    def _release(self, service: str) -> None:
        for future in self._waiting.pop(service, ()):
            if not future.done():
                future.set_result(None)

    def _forget_idle(self) -> None:
        limit = time.monotonic() - IDLE_SECONDS
        for service in [name for name, at in self._asked_at.items() if at < limit]:
            del self._asked_at[service]
            self._held.pop(service, None)


def _end_due() -> None:
    expire_due(now=datetime.now(UTC))


async def in_thread(function: Any, *args: Any) -> Any:
    """Run database work beside the loop; its connection goes back to the pool afterwards."""
    return await database_sync_to_async(function, thread_sensitive=False)(*args)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def running() -> Hub:
    """The hub of the running loop; started at the first call, its loops supervised."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
        background.on_stopping(hub.close)
    background.supervise(HUB, hub.run)
    background.supervise(WAKEUPS, lambda: wakeup.listen(hub.wake))
    background.supervise(NOTES, hub.write_notes)
    background.supervise(EXPIRY, hub.end_due)
    return hub


async def stop() -> None:
    """End the loops of this process."""
    await background.stop(HUB, WAKEUPS, NOTES, EXPIRY)

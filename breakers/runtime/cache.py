"""Answers that are kept, to be served again when the other side does not answer.

    cache = ResponseCache(max_age=2, stale_if_error=3600)

A cached answer is fresh up to `max_age`, and after that good enough where the call fails, up to
`stale_if_error` (RFC 5861's name for it). Ages are in seconds.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from breakers.runtime import checks

logger = logging.getLogger(__name__)

MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A kept answer; `stored_at` is Unix time, `source` says where it was kept."""

    value: Any
    key: str
    stored_at: float
    age_seconds: float
    fresh: bool
    source: str = "memory"


class Store(Protocol):
    """Where answers are kept. Nothing of it may raise, or block for long."""

    def read(self, key: str) -> tuple[Any, float] | None:
        """The value and the Unix time at which it was stored."""

    def write(self, key: str, value: Any, stored_at: float) -> None: ...

    def drop(self, key: str) -> None: ...


class MemoryStore:
    """The `max_entries` answers that were used last."""

    source = "memory"

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        checks.count("max_entries", max_entries)
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[Any, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, key: str) -> tuple[Any, float] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def write(self, key: str, value: Any, stored_at: float) -> None:
        with self._lock:
            self._entries[key] = (value, stored_at)
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def drop(self, key: str) -> None:
        with self._lock:
            self._entries.pop(key, None)


class ResponseCache:
    """Kept answers by key. `wall` is Unix time, since other processes read the same store."""

    def __init__(
        self,
        *,
        max_age: float = 0.0,
        stale_if_error: float = 3600.0,
        store: Store | None = None,
        max_entries: int = MAX_ENTRIES,
        wall: Callable[[], float] = time.time,
    ) -> None:
        checks.seconds("max_age", max_age, zero=True)
        checks.seconds("stale_if_error", stale_if_error, zero=True)
        self.max_age = max_age
        self.stale_if_error = max(max_age, stale_if_error)
        self._store: Store = MemoryStore(max_entries) if store is None else store
        self._wall = wall
        self._lock = threading.Lock()
        self._flights: dict[str, Future[Any]] = {}

    def get(self, key: str, max_age: float | timedelta | None = None) -> CachedResponse | None:
        """The answer under `key`, if it is no older than `max_age` (default `stale_if_error`)."""
        if isinstance(max_age, timedelta):
            max_age = max_age.total_seconds()
        limit = self.stale_if_error if max_age is None else max_age
        entry = self._store.read(key)
        if entry is None:
            return None
        value, stored_at = entry
        # A clock that was set back makes an answer young, never older than it is.
        age = max(0.0, self._wall() - stored_at)
        if age > limit:
            if age > self.stale_if_error:
                self._store.drop(key)
            return None
        source = getattr(self._store, "source", "memory")
        return CachedResponse(value, key, stored_at, age, age <= self.max_age, source)

    def put(self, key: str, value: Any) -> None:
        """Keep an answer; one that cannot be kept is logged."""
        try:
            self._store.write(key, value, self._wall())
        except Exception:
            logger.exception("The answer under %r could not be kept", key)

    def drop(self, key: str) -> None:
        """Forget an answer."""
        self._store.drop(key)

    def fetch_sync(self, key: str, call: Callable[[], Any]) -> Any:
        """The fresh answer, or the one that `call` gives; callers at the same time share one call.

        Raises what `call` raises. A `call` that fetches its own key makes a call of its own.
        """
        while True:
            kept = self.get(key, self.max_age) if self.max_age else None
            if kept is not None:
                return kept.value
            flight, leads = self._board(key)
            if leads:
                return self._lead(key, flight, call)
            followed = _shared(flight.exception, flight.result)
            if followed is not _ALONE:
                return followed

    async def fetch(self, key: str, call: Callable[[], Any]) -> Any:
        """The same for a coroutine function, or for a plain one."""
        while True:
            kept = self.get(key, self.max_age) if self.max_age else None
            if kept is not None:
                return kept.value
            flight, leads = self._board(key)
            if leads:
                return await self._lead_async(key, flight, call)
            # A follower that is cancelled must not cancel the flight of the others.
            await asyncio.wait([asyncio.wrap_future(_watching(flight))])
            followed = _shared(flight.exception, flight.result)
            if followed is not _ALONE:
                return followed

    def _board(self, key: str) -> tuple[Future[Any], bool]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight not in _leading.get():
                return flight, False
            flight = self._flights[key] = Future()
            return flight, True

    def _lead(self, key: str, flight: Future[Any], call: Callable[[], Any]) -> Any:
        token = _leading.set((*_leading.get(), flight))
        try:
            value = call()
        except BaseException as error:
            self._land(key, flight, None, error)
            raise
        finally:
            _leading.reset(token)
        self._land(key, flight, value, None)
        return value

    async def _lead_async(self, key: str, flight: Future[Any], call: Callable[[], Any]) -> Any:
        token = _leading.set((*_leading.get(), flight))
        try:
            value = call()
            if isinstance(value, Awaitable):
                value = await value
        except BaseException as error:
            self._land(key, flight, None, error)
            raise
        finally:
            _leading.reset(token)
        self._land(key, flight, value, None)
        return value

    def _land(self, key: str, flight: Future[Any], value: Any, error: BaseException | None) -> None:
        if error is None:
            self.put(key, value)
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        if error is None:
            flight.set_result(value)
        elif isinstance(error, Exception):
            flight.set_exception(error)
        else:
            # Who led was cancelled: that is no answer for those who follow.
            flight.set_result(_ALONE)


_ALONE = object()
# The flights that the current call leads: whoever waited for one of them in there, waited for ever.
_leading: ContextVar[tuple[Future[Any], ...]] = ContextVar("leading", default=())


def _shared(exception: Callable[[], BaseException | None], result: Callable[[], Any]) -> Any:
    """The outcome of another's call; each follower gets a failure of its own, without frames."""
    error = exception()
    if error is None:
        return result()
    try:
        own = copy.copy(error)
    except Exception:  # an exception whose constructor takes other arguments than it keeps
        own = error
    raise own.with_traceback(None) from error.__cause__


def _watching(flight: Future[Any]) -> Future[None]:
    """Ends with `flight`, and can be cancelled without it."""
    watched: Future[None] = Future()

    def end(_: Future[Any]) -> None:
        if watched.set_running_or_notify_cancel():
            watched.set_result(None)

    flight.add_done_callback(end)
    return watched

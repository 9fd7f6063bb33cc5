"""Kept answers that outlive the process and are shared by its replicas, in Redis or Valkey.

    store = RedisStore(redis.Redis.from_url(url), prefix="planner:cache:")
    cache = ResponseCache(max_age=2, stale_if_error=3600, store=store)

Reads come from memory; what is not there is looked up in Redis, with a short timeout of its own.
Writes go to memory at once and to Redis by a background thread. Values are JSON: pickled values of
a shared store would let whoever can write to it run code here.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from breakers.runtime import checks
from breakers.runtime.cache import MAX_ENTRIES, MemoryStore

logger = logging.getLogger(__name__)

LOOKUP_TIMEOUT = 0.05
_REST = 5.0  # seconds without a lookup after one failed
_MAX_PENDING = 1000


class RedisStore:
    """A `Store` over a `redis.Redis` client; `keep_for` bounds how long Redis keeps an answer.

    The client is not used itself: a connection pool like its own is made, with `timeout` seconds
    for each step and no retries, since redis-py's default retries block for seconds. A Redis that
    is down costs one lookup in five seconds, is reported once, and only memory is used meanwhile.
    """

    source = "redis"

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "resilience:cache:",
        keep_for: float = 3600.0,
        timeout: float = LOOKUP_TIMEOUT,
        max_entries: int = MAX_ENTRIES,
        encode: Callable[[Any], str] = json.dumps,
        decode: Callable[[str], Any] = json.loads,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        checks.seconds("keep_for", keep_for)
        checks.seconds("timeout", timeout)
        self._client = quick_client(client, timeout)
        self._prefix = prefix
        self._keep_for = keep_for
        self._memory = MemoryStore(max_entries)
        self._encode, self._decode = encode, decode
        self._clock = clock
        self._resting_until = 0.0
        self._failing = False
        self._writes: queue.Queue[tuple[str, str | None]] = queue.Queue(_MAX_PENDING)
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None
        self.dropped = 0

    def read(self, key: str) -> tuple[Any, float] | None:
        entry = self._memory.read(key)
        if entry is not None or self._clock() < self._resting_until:
            return entry
        try:
            text = self._client.get(self._prefix + key)
            self._note(None)
        except Exception as error:
            self._note(error)
            return None
        if text is None:
            return None
        try:
            kept = self._decode(text)
            entry = kept["value"], float(kept["stored_at"])
        except (ValueError, TypeError, KeyError):
            logger.warning("What Redis keeps under %r is no answer of ours", self._prefix + key)
            return None
        self._memory.write(key, *entry)
        return entry

    def write(self, key: str, value: Any, stored_at: float) -> None:
        self._memory.write(key, value, stored_at)
        try:
            text = self._encode({"value": value, "stored_at": stored_at})
        except (TypeError, ValueError):
            logger.exception("The answer under %r cannot be kept in Redis, only in memory", key)
            return
        self._send(key, text)

    def drop(self, key: str) -> None:
        self._memory.drop(key)
        self._send(key, None)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was written is in Redis; false when that took longer."""
        until = time.monotonic() + timeout
        with self._writes.all_tasks_done:
            while self._writes.unfinished_tasks:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._writes.all_tasks_done.wait(left)
        return True

    def _send(self, key: str, text: str | None) -> None:
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(
                    target=self._write_all, name="resilience-cache", daemon=True
                )
                self._writer.start()
        while True:
            try:
                self._writes.put_nowait((key, text))
                return
            except queue.Full:
                # The oldest goes: what is newer is worth more.
                with suppress(queue.Empty):
                    self._writes.get_nowait()
                    self._writes.task_done()
                    self.dropped += 1

    def _write_all(self) -> None:
        while True:
            key, text = self._writes.get()
            try:
                if text is None:
                    self._client.delete(self._prefix + key)
                else:
                    milliseconds = max(1, int(self._keep_for * 1000))
                    self._client.set(self._prefix + key, text, px=milliseconds)
                self._note(None)
            except Exception as error:
                self._note(error)
            finally:
                self._writes.task_done()

    def _note(self, error: Exception | None) -> None:
        if error is None:
            if self._failing:
                self._failing = False
                logger.info("Answers are kept in Redis again")
            return
        self._resting_until = self._clock() + _REST
        if not self._failing:
            self._failing = True
            logger.warning(
                "Answers cannot be kept in Redis (%s: %s); memory is used meanwhile",
                type(error).__name__,
                error,
            )


def quick_client(client: Any, timeout: float) -> Any:
    """A client for the same Redis with short timeouts and no retries.

    Takes a `redis.Redis` or a `redis.asyncio.Redis`. Raises ConfigError for anything else.
    """
    import importlib

    pool = getattr(client, "connection_pool", None)
    if pool is None:
        checks.refuse("client", client, "a client of redis-py")
    redis = importlib.import_module("redis")
    retry = importlib.import_module("redis.retry").Retry(
        importlib.import_module("redis.backoff").NoBackoff(), 0
    )
    given = dict(pool.connection_kwargs)
    unix, tls = "path" in given, "SSL" in pool.connection_class.__name__
    kinds = redis.connection
    kind = (
        kinds.UnixDomainSocketConnection
        if unix
        else kinds.SSLConnection
        if tls
        else kinds.Connection
    )
    known = (
        "host", "port", "path", "db", "username", "password", "credential_provider", "protocol",
        "ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path",
        "ssl_ca_data", "ssl_password", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers",
    )  # fmt: skip
    kept = {name: given[name] for name in known if given.get(name) is not None}
    kept |= {"socket_timeout": timeout, "retry": retry, "decode_responses": True}
    if not unix:
        kept["socket_connect_timeout"] = timeout
    return redis.Redis(connection_pool=redis.ConnectionPool(connection_class=kind, **kept))

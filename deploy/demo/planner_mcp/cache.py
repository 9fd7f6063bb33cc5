"""The planner's cache in its own Valkey. It may be empty or gone at any time."""

from __future__ import annotations

import json
import logging
from typing import Any

import redis.asyncio as redis
from opentelemetry.instrumentation.redis import RedisInstrumentor
from redis.exceptions import RedisError

import breakers.runtime as resilience
from breakers.runtime import CallNotPermitted, RedisStore
from deploy.demo.planner_mcp.protection import CACHE

logger = logging.getLogger(__name__)

_PREFIX = "planner:"
_MARK = _PREFIX + "filled"


class Cache:
    """JSON values that live for some seconds. Without Valkey every read is a miss."""

    def __init__(self, url: str, *, timeout: float = 1.0) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, decode_responses=True
        )
        RedisInstrumentor.instrument_client(self._client)
        # A cache that does not answer is not worth a second attempt.
        self._guarded = resilience.protect(CACHE, criticality="low", retry=False)(self._execute)

    def kept_answers(self) -> RedisStore:
        """Where answers of Graph outlive this process."""
        return RedisStore(self._client, prefix=_PREFIX + "kept:")

    async def close(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        """Raises RedisError where Valkey does not answer."""
        await self._client.execute_command("PING")

    async def is_marked(self) -> bool:
        """Whether it still holds what it was marked with. Raises RedisError."""
        return bool(await self._client.exists(_MARK))

    async def mark(self) -> None:
        """Leave a mark that is gone where somebody empties the cache. Raises RedisError."""
        await self._client.set(_MARK, "1")

    async def get(self, key: str) -> Any:
        """The value, or None."""
        try:
            text = await self._guarded("GET", _PREFIX + key)
        except CallNotPermitted:
            return None
        except RedisError:
            logger.exception("The cache could not be read")
            return None
        return None if text is None else json.loads(text)

    async def put(self, key: str, value: Any, *, seconds: float) -> None:
        """Keep the value for a while; not at all with 0 seconds."""
        if seconds <= 0:
            return
        try:
            milliseconds = int(seconds * 1000)
            await self._guarded("SET", _PREFIX + key, json.dumps(value), "PX", milliseconds)
        except CallNotPermitted:
            return
        except RedisError:
            logger.exception("The cache could not be written")

    async def drop(self, *keys: str) -> None:
        try:
            await self._guarded("DEL", *(_PREFIX + key for key in keys))
        except CallNotPermitted:
            # What is in there lives for seconds only, and the breaker stays open for longer.
            return
        except RedisError:
            logger.exception("The cache could not be cleared")

    async def _execute(self, *command: Any) -> Any:
        return await self._client.execute_command(*command)

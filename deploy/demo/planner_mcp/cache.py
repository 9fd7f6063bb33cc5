"""The planner's cache in its own Valkey. It may be empty or gone at any time."""

from __future__ import annotations

import json
import logging
from typing import Any

import redis.asyncio as redis
from opentelemetry.instrumentation.redis import RedisInstrumentor
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_PREFIX = "planner:"


class Cache:
    """JSON values that live for some seconds. Without Valkey every read is a miss."""

    def __init__(self, url: str, *, timeout: float = 1.0) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, decode_responses=True
        )
        RedisInstrumentor.instrument_client(self._client)

    async def close(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        """Raises RedisError where Valkey does not answer."""
        await self._client.execute_command("PING")

    async def get(self, key: str) -> Any:
        """The value, or None."""
        try:
            text = await self._client.get(_PREFIX + key)
        except RedisError:
            logger.exception("The cache could not be read")
            return None
        return None if text is None else json.loads(text)

    async def put(self, key: str, value: Any, *, seconds: float) -> None:
        """Keep the value for a while; not at all with 0 seconds."""
        if seconds <= 0:
            return
        try:
            await self._client.set(_PREFIX + key, json.dumps(value), px=int(seconds * 1000))
        except RedisError:
            logger.exception("The cache could not be written")

    async def drop(self, *keys: str) -> None:
        try:
            await self._client.delete(*(_PREFIX + key for key in keys))
        except RedisError:
            logger.exception("The cache could not be cleared")

"""Wake-ups: one tiny message through the channel layer after each commit to the journal.

The layer's own `group_send` is a coroutine; from Celery and sync views it would cost an event loop
and a Redis connection per call. This sends the same message to the same Redis channel through a
pooled sync client. Losing one is harmless: the live fan-out also polls the journal.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import Any

import redis
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings

log = logging.getLogger(__name__)

GROUP = "journal"
MESSAGE = {"type": "journal.wakeup"}
# A caller never waits longer than this for Redis, and after a failure nobody waits for a while.
TIMEOUT_SECONDS = 0.5
REST_SECONDS = 5.0


class Publisher:
    """Publishes wake-ups; a failure is logged once per outage and rests the publisher."""

    def __init__(self, client: redis.Redis, channel: str, message: bytes) -> None:
        self._client = client
        self._channel = channel
        self._message = message
        self._resting_until = 0.0
        self._failing = False
        self._lock = threading.Lock()

    def publish(self, now: float) -> bool:
        """Send one wake-up at monotonic time `now`; False when it was not sent. Never raises."""
        if now < self._resting_until:
            return False
        try:
            self._client.publish(self._channel, self._message)
        except (redis.RedisError, OSError) as error:
            self._rest(now, error)
            return False
        if self._failing:
            self._failing = False
            log.info("live wake-ups go out again")
        return True

    def _rest(self, now: float, error: Exception) -> None:
        with self._lock:
            self._resting_until = now + REST_SECONDS
            first, self._failing = not self._failing, True
        if first:
            log.warning("live wake-ups cannot be sent, open pages fall back to polling: %s", error)


@functools.cache
def _publisher() -> Publisher:
    layer = get_channel_layer()
    assert isinstance(layer, RedisPubSubChannelLayer), "wake-ups need the Redis pub/sub layer"
    options: dict[str, Any] = settings.CHANNEL_LAYERS["default"]["CONFIG"]  # type: ignore[assignment]
    client = redis.Redis.from_url(
        options["hosts"][0],
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )
    channel = f"{options.get('prefix', 'asgi')}__group__{GROUP}"
    return Publisher(client, channel, layer.serialize(MESSAGE))


def publish() -> None:
    """Wake every web process's live fan-out. Never raises, and never blocks for long."""
    _publisher().publish(time.monotonic())

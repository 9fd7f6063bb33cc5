"""Wake-ups: one tiny message through the channel layer after each commit to the journal.

The layer's own `group_send` is a coroutine; from Celery and sync views it would cost an event loop
and a Redis connection per call. This sends the same message to the same Redis channel through a
pooled sync client. Losing one is harmless: the live fan-out also polls the journal.

Whether Redis answers is looked at by each web process beside its requests, so that pages can tell
without asking it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings

from breakers.runtime import BreakerEvent, CallNotPermitted, CircuitBreaker, CircuitState, default

log = logging.getLogger(__name__)

GROUP = "journal"
MESSAGE = {"type": "journal.wakeup"}
# A caller never waits longer than this for Redis, and after a failure nobody waits for a while.
TIMEOUT_SECONDS = 0.5
REST_SECONDS = 5.0
_LISTEN_RETRY_SECONDS = 1.0
PING_SECONDS = 2.0
PING_TIMEOUT_SECONDS = 1.0
# One that is missed may be a stall of this machine.
MISSED_PINGS = 2


class Publisher:
    """Publishes wake-ups through a circuit breaker: in an outage, nobody waits for Redis."""

    def __init__(
        self, client: redis.Redis, channel: str, message: bytes, breaker: CircuitBreaker
    ) -> None:
        self._client = client
        self._channel = channel
        self._message = message
        self._breaker = breaker
        breaker.on_event(_tell)

    def publish(self) -> bool:
        """Send one wake-up; False when it was not sent. Never raises."""
        try:
            self._breaker.call_sync(self._client.publish, self._channel, self._message)
        except (CallNotPermitted, redis.RedisError, OSError):
            return False
        return True


def _tell(event: BreakerEvent) -> None:
    if event.to_state is CircuitState.OPEN and event.from_state is CircuitState.CLOSED:
        log.warning("live wake-ups cannot be sent, open pages fall back to polling")
    elif event.to_state is CircuitState.CLOSED:
        log.info("live wake-ups go out again")


def _options() -> dict[str, Any]:
    options: dict[str, Any] = settings.CHANNEL_LAYERS["default"]["CONFIG"]  # type: ignore[assignment]
    return options


@functools.cache
def _publisher() -> Publisher:
    layer = get_channel_layer()
    assert isinstance(layer, RedisPubSubChannelLayer), "wake-ups need the Redis pub/sub layer"
    options = _options()
    client = redis.Redis.from_url(
        options["hosts"][0],
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )
    channel = f"{options.get('prefix', 'asgi')}__group__{GROUP}"
    breaker = default().breaker(
        "redis",
        failure_threshold=1,
        timeout=REST_SECONDS,
        permitted_calls_in_half_open_state=1,
        expected_exception=(redis.RedisError, OSError),
    )
    return Publisher(client, channel, layer.serialize(MESSAGE), breaker)


def publish() -> None:
    """Wake every web process's live fan-out. Never raises, and never blocks for long."""
    _publisher().publish()


async def listen(wake: Callable[[], object]) -> None:
    """Call `wake` at each wake-up, for ever; while Redis is down, keep trying."""
    failing = False
    while True:
        try:
            layer = get_channel_layer()
            channel = await layer.new_channel()
            await layer.group_add(GROUP, channel)
            if failing:
                log.info("wake-ups arrive again")
            failing = False
            while True:
                await layer.receive(channel)
                wake()
        except (redis.RedisError, OSError) as error:
            if not failing:
                log.warning("no wake-ups, the database is polled: %s", error)
            failing = True
            await asyncio.sleep(_LISTEN_RETRY_SECONDS)


class Pulse:
    """Whether Redis answers, as far as this process knows."""

    def __init__(self) -> None:
        self._missed = 0

    @property
    def silent(self) -> bool:
        return self._missed >= MISSED_PINGS

    async def watch(self, changed: Callable[[], object]) -> None:
        """Ask it now and then, for ever; call `changed` when it falls silent and when it is back."""
        client = redis.asyncio.Redis.from_url(
            _options()["hosts"][0],
            socket_timeout=PING_TIMEOUT_SECONDS,
            socket_connect_timeout=PING_TIMEOUT_SECONDS,
            retry=None,
        )
        try:
            while True:
                was_silent = self.silent
                answered = await _ping(client)
                self._missed = 0 if answered else self._missed + 1
                if self.silent != was_silent:
                    log.log(
                        logging.WARNING if self.silent else logging.INFO,
                        "Redis does not answer" if self.silent else "Redis answers again",
                    )
                    changed()
                await asyncio.sleep(PING_SECONDS if answered else PING_TIMEOUT_SECONDS)
        finally:
            self._missed = 0
            await client.aclose()


async def _ping(client: redis.asyncio.Redis) -> bool:
    try:
        await client.ping()
    except (redis.RedisError, OSError):
        return False
    return True


pulse = Pulse()

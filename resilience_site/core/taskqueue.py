"""How full and how old the queues of background tasks are, read from the broker."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass, replace
from typing import Any

import redis

QUEUE = "celery"
# The worker that heals has a queue of its own, so that what hinders the others does not hinder it.
HEALING = "healing"
# So has what tells people, which the same worker does: most of its threads wait, and it reckons with
# nothing for long.
ALERTING = "alerting"
# Seconds that a task waits at least before it is discarded. Whatever is due more often must still get
# its turn in a queue that is slow, and not be discarded for the sake of what is due rarely.
SHORTEST_EXPIRY = 30
PUBLISHED_AT = "published_at"
TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True)
class QueueState:
    """Tasks that wait, the age in seconds of the oldest of them (None when it is unknown), and the
    queue that this one is in ("" when none waits)."""

    length: int
    oldest_age: float | None
    oldest_in: str = ""


def heals_alone(hostname: str) -> bool:
    """Whether a worker of this name (`NAME@HOST`) heals and tells people, and does nothing else."""
    return hostname.partition("@")[0] == HEALING


@functools.cache
def quick_client(url: str) -> redis.Redis:
    """A Redis client that gives up quickly and does not try again."""
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=None
    )


def stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Write the time of publishing into a task's headers; the broker itself keeps none."""
    if headers is not None:
        headers[PUBLISHED_AT] = time.time()


def queue_state(client: redis.Redis, now: float) -> QueueState:
    """What waits at Unix time `now`, but for healing, which has a watch of its own; raises
    `redis.RedisError`."""
    states = [_state(client, each, now) for each in (QUEUE, ALERTING)]
    oldest = max(states, key=lambda each: (bool(each.length), each.oldest_age or 0.0))
    return replace(oldest, length=sum(each.length for each in states))


def _state(client: redis.Redis, queue: str, now: float) -> QueueState:
    length = int(client.llen(queue))
    oldest: Any = client.lindex(queue, -1) if length else None
    return QueueState(length, _age(oldest, now), queue) if oldest else QueueState(0, 0.0)


def _age(message: bytes, now: float) -> float | None:
    try:
        published = float(json.loads(message)["headers"][PUBLISHED_AT])
    except (ValueError, KeyError, TypeError):
        return None
    return max(0.0, now - published)

"""How full and how old the queue of background tasks is, read from the broker."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass
from typing import Any

import redis

QUEUE = "celery"
# The worker that heals has a queue of its own, so that what hinders the others does not hinder it.
HEALING = "healing"
PUBLISHED_AT = "published_at"
TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True)
class QueueState:
    """Tasks that wait, and the age in seconds of the oldest of them (None when it is unknown)."""

    length: int
    oldest_age: float | None


def heals_alone(hostname: str) -> bool:
    """Whether a worker of this name (`NAME@HOST`) heals and does nothing else."""
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
    """The queue at Unix time `now`; raises `redis.RedisError`."""
    length = int(client.llen(QUEUE))
    oldest: Any = client.lindex(QUEUE, -1) if length else None
    return QueueState(length, _age(oldest, now) if oldest else 0.0)


def _age(message: bytes, now: float) -> float | None:
    try:
        published = float(json.loads(message)["headers"][PUBLISHED_AT])
    except (ValueError, KeyError, TypeError):
        return None
    return max(0.0, now - published)

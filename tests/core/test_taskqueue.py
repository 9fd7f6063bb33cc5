from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from kombu import Connection, Exchange, Queue

from resilience_site.config import config
from resilience_site.core import taskqueue
from resilience_site.core.taskqueue import QueueState


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    monkeypatch.setattr(taskqueue, "QUEUE", "tests.taskqueue")
    monkeypatch.setattr(taskqueue, "ALERTING", "tests.alerting")
    client = taskqueue.quick_client(config.redis_url)
    client.delete(taskqueue.QUEUE, taskqueue.ALERTING)
    yield client
    client.delete(taskqueue.QUEUE, taskqueue.ALERTING)


def publish(published_at: float | None, to: str = "tests.taskqueue") -> None:
    """A message as Celery sends it, through the same transport."""
    headers: dict[str, object] = {}
    if published_at is not None:
        taskqueue.stamp(headers=headers)
        headers[taskqueue.PUBLISHED_AT] = published_at
    queue = Queue(to, Exchange(to), routing_key=to)
    with Connection(settings.CELERY_BROKER_URL) as connection:
        connection.Producer().publish(
            {},
            headers=headers,
            exchange=queue.exchange,
            routing_key=queue.routing_key,
            declare=[queue],
        )


def test_an_empty_queue_has_no_age(client: redis.Redis) -> None:
    assert taskqueue.queue_state(client, time.time()) == QueueState(0, 0.0)


def test_the_oldest_task_gives_the_age(client: redis.Redis) -> None:
    publish(1000.0)
    publish(1060.0)
    assert taskqueue.queue_state(client, 1100.0) == QueueState(2, 100.0, taskqueue.QUEUE)


def test_a_task_without_a_stamp_has_an_unknown_age(client: redis.Redis) -> None:
    publish(None)
    assert taskqueue.queue_state(client, 1100.0) == QueueState(1, None, taskqueue.QUEUE)


def test_the_queue_that_waits_longest_is_told_of_whichever_is_longer(client: redis.Redis) -> None:
    publish(1090.0)
    publish(1091.0)
    publish(1060.0, taskqueue.ALERTING)
    assert taskqueue.queue_state(client, 1100.0) == QueueState(3, 40.0, taskqueue.ALERTING)
    publish(1050.0)
    assert taskqueue.queue_state(client, 1100.0).oldest_in == taskqueue.ALERTING, (
        "the first is next"
    )
    client.delete(taskqueue.ALERTING)
    assert taskqueue.queue_state(client, 1100.0) == QueueState(3, 10.0, taskqueue.QUEUE)


def test_publishing_stamps_the_time() -> None:
    headers: dict[str, object] = {}
    before = time.time()
    taskqueue.stamp(sender="a.task", headers=headers, body=())
    stamped = headers[taskqueue.PUBLISHED_AT]
    assert isinstance(stamped, float)
    assert before <= stamped <= time.time()

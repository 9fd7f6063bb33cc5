"""The check of Celery through RabbitMQ: `AMQP_TEST_URL` names one, as a user who may do everything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from kombu import Connection, Queue

from tests.health.checks.fleet import Worker, sender, worker
from tests.health.checks.probing import eventually, failure, hangs, probe
from tests.health.checks.test_celery import answering, pinging
from tests.health.faults import Faults
from tests.patience import until

URL = os.environ.get("AMQP_TEST_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="AMQP_TEST_URL names no RabbitMQ")
QUEUE = "check-waiting"


@pytest.fixture(scope="module")
def one_worker() -> Iterator[Worker]:
    with worker(URL, "rabbit") as started:
        until(lambda: asyncio.run(answering(URL)) == 1, 55)
        yield started


@pytest.fixture
def queue() -> Iterator[str]:
    """An empty queue that nobody consumes."""
    with Connection(URL) as connection, connection.channel() as channel:
        made = Queue(QUEUE, channel=channel, durable=True)
        made.declare()
        made.purge()
        yield QUEUE
        made.delete()


async def test_the_workers_answer(one_worker: Worker) -> None:
    found = await probe("celery", {"broker_url": URL, "reply_seconds": 0.5})
    assert (found.status, found.output) == ("up", "1 worker answers")
    assert found.observed["consumers:celery"].value == 1
    assert found.observed["queue_length:celery"].value == 0
    assert "queue_age:celery" not in found.observed
    one_worker.stop()
    try:
        failed = await failure("celery", {"broker_url": URL, "reply_seconds": 0.3})
        assert failed.output == "No worker answered a ping within 0.3 s; 1 must"
    finally:
        one_worker.resume()
    await eventually(lambda: pinging() == [])


async def test_queues_are_counted(queue: str) -> None:
    target = {"broker_url": URL, "queues": [queue], "min_workers": 0}
    with sender(URL) as client:
        for _ in range(3):
            client.send_task("x", queue=queue)
    await counted(target, queue, 3)
    found = await probe("celery", {**target, "queue_warn_length": 3})
    assert found.status == "degraded"
    assert found.observed[f"consumers:{queue}"].value == 0
    failed = await failure("celery", {**target, "queues": ["no-such-queue", queue]})
    assert failed.output == "There is no queue no-such-queue"
    assert failed.observed[f"queue_length:{queue}"].value == 3


async def counted(target: dict[str, object], queue: str, length: int) -> None:
    """RabbitMQ counts a message a moment after it took it."""
    for _ in range(500):
        if (await probe("celery", target)).observed[f"queue_length:{queue}"].value == length:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the messages did not arrive")


async def test_a_wrong_password_is_named_but_not_told() -> None:
    parts = urlsplit(URL)
    wrong = f"amqp://guest:Wr0ng-s3cret@{parts.hostname}:{parts.port}/"
    failed = await failure("celery", {"broker_url": wrong})
    assert "refuses" in failed.output
    assert "ACCESS_REFUSED" in failed.output
    assert "Wr0ng" not in failed.output + repr(failed)
    failed = await failure("celery", {"broker_url": f"{URL.rstrip('/')}/no-such-host"})
    assert "no-such-host" in failed.output


async def test_a_partition(one_worker: Worker) -> None:
    parts = urlsplit(URL)
    with Faults(parts.hostname or "", parts.port or 5672) as proxy:
        url = URL.replace(f":{parts.port}", f":{proxy.port}")
        assert (await probe("celery", {"broker_url": url, "reply_seconds": 0.3})).status == "up"
        await eventually(lambda: proxy.open_connections == 0)
        task = asyncio.ensure_future(
            probe("celery", {"broker_url": url, "reply_seconds": 5}, timeout=20.0)
        )
        await eventually(lambda: proxy.open_connections == 1)
        proxy.hang()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(1):
                await task
        await eventually(lambda: pinging() == [], seconds=2)
        failed = await failure("celery", {"broker_url": url}, timeout=1.0)
        assert failed.output.endswith("it does not answer")
        proxy.heal()
        proxy.drip(seconds=0.02)
        await hangs("celery", {"broker_url": url}, seconds=0.8)
        proxy.heal()
        await eventually(lambda: proxy.open_connections == 0)

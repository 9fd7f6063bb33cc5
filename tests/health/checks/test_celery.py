"""The check of Celery against real workers and a real broker: busy, stopped, gone, and queues that grow."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from health.checks import KINDS, Failed, brokers
from health.checks.addresses import Addresses, Forbidden
from resilience_site.core.taskqueue import PUBLISHED_AT
from tests.health.checks.engines import ValkeyEngine, valkey
from tests.health.checks.fleet import Worker, sender, worker
from tests.health.checks.probing import eventually, failure, hangs, probe, refused
from tests.health.faults import Faults
from tests.patience import until
from tests.ports import free_port

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HUSH = "hush/hush"


@pytest.fixture(scope="module")
def running() -> Iterator[ValkeyEngine]:
    with valkey() as engine:
        yield engine


@pytest.fixture
def broker(running: ValkeyEngine) -> Iterator[ValkeyEngine]:
    """A broker whose queues are empty."""
    yield running
    with running.client() as client:
        for key in client.keys("waiting*"):
            client.delete(key)


@pytest.fixture(scope="module")
def workers(running: ValkeyEngine) -> Iterator[list[Worker]]:
    with worker(running.url, "one") as one, worker(running.url, "two") as two:
        until(lambda: asyncio.run(answering(running.url)) == 2, 120)
        yield [one, two]


async def answering(url: str) -> int:
    try:
        found = await probe("celery", {"broker_url": url, "reply_seconds": 2})
    except Failed:
        return 0
    return int(found.observed["workers"].value)


def pinging() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("celery-ping")]


class TestWorkers:
    async def test_all_answer(self, broker: ValkeyEngine, workers: list[Worker]) -> None:
        target = {"broker_url": broker.url, "min_workers": 2, "reply_seconds": 4}
        found = await probe("celery", target)
        assert found.status == "up"
        assert found.output == "2 workers answer"
        # The wait for a third is no latency.
        assert found.latency_ms is not None
        assert found.latency_ms < 4000
        by_socket = {**target, "broker_url": f"redis+socket://{broker.socket}"}
        assert (await probe("celery", by_socket)).status == "up"
        await eventually(lambda: pinging() == [])

    async def test_too_few_answer(self, broker: ValkeyEngine, workers: list[Worker]) -> None:
        target = {"broker_url": broker.url, "min_workers": 3, "reply_seconds": 4}
        failed = await failure("celery", target)
        assert failed.output == "2 workers answered a ping within 4 s; 3 must"

    async def test_a_busy_worker_answers(self, broker: ValkeyEngine, workers: list[Worker]) -> None:
        with sender(broker.url) as client:
            for _ in range(4):
                client.send_task("tests.health.checks.fleet.doze", [1.0])
        target = {"broker_url": broker.url, "min_workers": 2, "reply_seconds": 4}
        found = await probe("celery", target)
        assert found.status == "up"

    async def test_a_stopped_worker_does_not(
        self, broker: ValkeyEngine, workers: list[Worker]
    ) -> None:
        for each in workers:
            each.stop()
        try:
            failed = await failure("celery", {"broker_url": broker.url, "reply_seconds": 0.3})
            assert failed.output == "No worker answered a ping within 0.3 s; 1 must"
            assert failed.observed["workers"].value == 0
        finally:
            for each in workers:
                each.resume()

    async def test_pings_leave_nothing_behind(
        self, broker: ValkeyEngine, workers: list[Worker]
    ) -> None:
        target = {"broker_url": broker.url, "reply_seconds": 2}
        with broker.client() as client:

            def kept() -> tuple[set[Any], set[Any]]:
                # What workers hold of their tasks comes and goes.
                keys: set[Any] = set(client.keys())
                theirs = {key for key in keys if key.startswith((b"unacked", b"celery"))}
                bound = client.smembers("_kombu.binding.reply.celery.pidbox")
                return keys - theirs, bound

            await probe("celery", target)
            before = kept()
            open_before = len(client.client_list())
            for _ in range(3):
                await probe("celery", target)
            assert kept() == before
            # The first one's own may still have been there.
            await eventually(lambda: len(client.client_list()) <= open_before)
        await eventually(lambda: pinging() == [])


class TestQueues:
    def target(self, broker: ValkeyEngine, **options: Any) -> dict[str, Any]:
        return {"broker_url": broker.url, "queues": ["waiting"], "min_workers": 0, **options}

    async def test_an_empty_queue(self, broker: ValkeyEngine) -> None:
        found = await probe("celery", self.target(broker))
        assert found.status == "up"
        assert found.observed["queue_length:waiting"].value == 0
        assert found.observed["queue_age:waiting"].value == 0

    async def test_a_queue_that_grows(self, broker: ValkeyEngine) -> None:
        with sender(broker.url) as client:
            for priority in (0, 3, 6):
                client.send_task("x", queue="waiting", priority=priority)
        found = await probe("celery", self.target(broker, queue_warn_length=3))
        assert found.status == "degraded"
        assert found.output == "3 tasks wait in the queue waiting (warns from 3 tasks)"
        failed = await failure("celery", self.target(broker, queue_fail_length=2))
        assert failed.observed["queue_length:waiting"].value == 3

    async def test_our_own_tasks_carry_their_time(self, broker: ValkeyEngine) -> None:
        with sender(broker.url) as client:
            for seconds in (90, 10):
                at = (NOW - timedelta(seconds=seconds)).timestamp()
                client.send_task("x", queue="waiting", headers={PUBLISHED_AT: at})
        found = await probe("celery", self.target(broker, queue_warn_seconds=90), now=NOW)
        assert found.status == "degraded"
        assert found.observed["queue_age:waiting"].value == 90
        failed = await failure("celery", self.target(broker, queue_fail_seconds=60), now=NOW)
        assert "has waited for 90 s" in failed.output

    async def test_the_age_of_others_is_measured_from_when_they_were_seen(
        self, broker: ValkeyEngine
    ) -> None:
        target = self.target(broker, queue_fail_seconds=60)
        with sender(broker.url) as client:
            client.send_task("x", queue="waiting")
            client.send_task("x", queue="waiting")
        first = await probe("celery", target, now=NOW)
        assert first.observed["queue_age:waiting"].value == 0
        later = NOW + timedelta(seconds=59)
        second = await probe("celery", target, now=later, memory=first.memory)
        assert second.observed["queue_age:waiting"].value == 59
        failed = await failure(
            "celery", target, now=NOW + timedelta(seconds=60), memory=second.memory
        )
        assert "has waited for 60 s" in failed.output
        # The next one is young again.
        with broker.client() as redis:
            redis.rpop("waiting")
        third = await probe("celery", target, now=later, memory=second.memory)
        assert third.observed["queue_age:waiting"].value == 0

    async def test_messages_that_are_not_celerys(self, broker: ValkeyEngine) -> None:
        with broker.client() as redis:
            for odd in (b"\xff\xfe", b"[1]", b'"x"', b'{"headers": 5}', b"[" * 5000):
                redis.delete("waiting")
                redis.rpush("waiting", odd)
                found = await probe("celery", self.target(broker), now=NOW)
                again = await probe(
                    "celery",
                    self.target(broker),
                    now=NOW + timedelta(seconds=5),
                    memory=found.memory,
                )
                assert again.observed["queue_age:waiting"].value == 5

    async def test_a_key_that_is_no_queue(self, broker: ValkeyEngine) -> None:
        with broker.client() as redis:
            redis.set("waiting", "text")
        failed = await failure("celery", self.target(broker))
        assert "refuses a look at the queues" in failed.output


class TestBrokenBroker:
    async def test_nobody_listens(self) -> None:
        for scheme in ("redis", "amqp"):
            url = f"{scheme}://me:{HUSH.replace('/', '%2F')}@127.0.0.1:{free_port()}/0"
            began = time.monotonic()
            failed = await failure("celery", {"broker_url": url})
            assert failed.output.endswith("it refused the connection")
            assert HUSH not in failed.output + repr(failed)
            # Not until the deadline.
            assert time.monotonic() - began < 45
        await eventually(lambda: pinging() == [])

    async def test_a_wrong_password(self, broker: ValkeyEngine) -> None:
        with broker.client() as client:
            client.acl_setuser("fleet", enabled=True, passwords=["+right"], commands=["+@all"])
        url = f"redis://fleet:wrong@127.0.0.1:{broker.port}/0"
        failed = await failure("celery", {"broker_url": url})
        assert "refuses the user or the password" in failed.output

    async def test_it_is_no_amqp_broker(self, broker: ValkeyEngine) -> None:
        url = f"amqp://guest:guest@127.0.0.1:{broker.port}//"
        with pytest.raises((Failed, TimeoutError)) as caught:
            await probe("celery", {"broker_url": url}, timeout=1.0)
        assert "guest:guest" not in str(caught.value)
        await eventually(lambda: pinging() == [])

    async def test_a_stopped_broker(self, broker: ValkeyEngine) -> None:
        broker.stop()
        try:
            await hangs("celery", {"broker_url": broker.url})
        finally:
            broker.resume()

    async def test_a_broker_that_stops_during_the_ping(
        self, broker: ValkeyEngine, workers: list[Worker]
    ) -> None:
        with Faults("127.0.0.1", broker.port) as proxy:
            target = {
                "broker_url": f"redis://127.0.0.1:{proxy.port}/0",
                "reply_seconds": 30,
            }
            task = asyncio.ensure_future(probe("celery", target, timeout=120.0))
            await eventually(lambda: pinging() != [] and proxy.open_connections >= 2)
            proxy.hang()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                async with asyncio.timeout(15):
                    await task
            await eventually(lambda: pinging() == [], seconds=10)
            proxy.heal()
            await eventually(lambda: proxy.open_connections == 0)

    async def test_a_broker_that_dies_during_the_ping(
        self, broker: ValkeyEngine, workers: list[Worker]
    ) -> None:
        with Faults("127.0.0.1", broker.port) as proxy:
            target = {"broker_url": f"redis://127.0.0.1:{proxy.port}/0", "reply_seconds": 30}
            task = asyncio.ensure_future(failure("celery", target, timeout=120.0))
            await eventually(lambda: pinging() != [] and proxy.open_connections >= 2)
            proxy.refuse()
            assert "The broker 127.0.0.1" in (await task).output
            await eventually(lambda: pinging() == [], seconds=15)

    async def test_a_broker_that_dies_as_the_ping_is_sent_is_not_waited_for(
        self, broker: ValkeyEngine, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Faults("127.0.0.1", broker.port) as proxy:
            send = brokers._RedisChannel._put_fanout

            def die(self: Any, *args: Any, **options: Any) -> Any:
                proxy.refuse()
                return send(self, *args, **options)

            monkeypatch.setattr(brokers._RedisChannel, "_put_fanout", die)
            target = {"broker_url": f"redis://127.0.0.1:{proxy.port}/0", "reply_seconds": 5}
            assert "The broker 127.0.0.1" in (await failure("celery", target)).output
            await eventually(lambda: pinging() == [], seconds=15)

    async def test_a_silent_amqp_broker(self) -> None:
        with silent() as port:
            for scheme in ("amqp", "amqps"):
                target = {"broker_url": f"{scheme}://u:p@127.0.0.1:{port}//"}
                failed = await failure("celery", target, timeout=4.0, within=60.0)
                assert failed.output.endswith("it does not answer")
                # One that is cancelled earlier is gone at once, too.
                task = asyncio.ensure_future(probe("celery", target, timeout=30.0))
                await eventually(lambda: pinging() != [])
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await eventually(lambda: pinging() == [], seconds=10)

    async def test_private_addresses_only_by_setting(self, broker: ValkeyEngine) -> None:
        public = Addresses(allow_private=False)
        for url in (broker.url, f"amqp://127.0.0.1:{broker.port}//"):
            for deep in (True, False):
                with pytest.raises(Forbidden):
                    await probe("celery", {"broker_url": url}, addresses=public, deep=deep)

    async def test_reaching_is_enough_without_deep_checks(self, broker: ValkeyEngine) -> None:
        for url in (broker.url, f"amqp://127.0.0.1:{broker.port}//"):
            assert (await probe("celery", {"broker_url": url}, deep=False)).status == "up"


@contextmanager
def silent() -> Iterator[int]:
    """A port that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "option"),
        [
            ({"broker_url": "sqs://x"}, "broker_url"),
            ({"broker_url": "amqp://"}, "broker_url"),
            ({"broker_url": "amqp://host//?heartbeat=1"}, "broker_url"),
            ({"broker_url": "redis://h/0", "queues": [""]}, "queues"),
            ({"broker_url": "redis://h/0", "min_workers": -1}, "min_workers"),
            ({"broker_url": "redis://h/0", "reply_seconds": 0}, "reply_seconds"),
            ({"broker_url": "amqp://h//", "queue_warn_seconds": 5}, "queue_warn_seconds"),
            (
                {"broker_url": "redis://h/0", "queue_warn_length": 5, "queue_fail_length": 4},
                "queue_warn_length",
            ),
        ],
    )
    def test_options_that_are_refused(self, options: dict[str, Any], option: str) -> None:
        assert refused("celery", options).option == option

    def test_hosts(self) -> None:
        kind = KINDS["celery"]

        def hosts(url: str) -> tuple[tuple[str, int], ...]:
            return kind.hosts(kind.parse({"broker_url": url}))

        assert hosts("redis://q.example/1") == (("q.example", 6379),)
        assert hosts("amqp://u:p@mq.example/vhost") == (("mq.example", 5672),)
        assert hosts("amqps://mq.example") == (("mq.example", 5671),)
        assert hosts("redis+socket:///run/v.sock?virtual_host=1") == (("127.0.0.1", 6379),)
        assert kind.url_secrets == {"broker_url"}

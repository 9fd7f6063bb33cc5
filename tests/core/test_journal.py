from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection, connections, transaction

from breakers.runtime import CircuitBreaker
from breakers.runtime.testing import FakeClock
from resilience_site.core import journal, wakeup
from resilience_site.core.journal import Entry
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


def entry(key: str, topic: str = "errors") -> Entry:
    return Entry(topic, "test.changed", key, state="s", service="svc", payload={"n": [1, "é"]})


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    """Start `work` on a database connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_an_entry_reads_back_as_it_was_appended() -> None:
    since = journal.latest_cursor()
    with transaction.atomic():
        journal.append([entry("a"), entry("b", topic="chains")])
    first, second = journal.read(since)
    assert first[2:] == ("errors", "test.changed", "a", "s", "svc", {"n": [1, "é"]})
    assert (second.id, second.topic) == (journal.latest_cursor(), "chains")
    assert journal.read(since, ["chains"]) == [second]
    assert journal.read(since, limit=1) == [first]
    assert journal.read_hints(since, ["errors"]) == [(first.id, "errors", "a", "s")]
    assert (journal.oldest_cursor() or 0) <= first.id


def test_a_rollback_leaves_nothing() -> None:
    since = journal.latest_cursor()
    with transaction.atomic():
        journal.append([entry("a")])
        transaction.set_rollback(True)
    assert journal.read(since) == []
    assert journal.latest_cursor() == since


def test_an_entry_belongs_into_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        journal.append([entry("a")])


def test_a_misspelt_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="erors"), transaction.atomic():
        journal.append([entry("a", topic="erors")])


def test_no_entries_cost_nothing() -> None:
    journal.append([])


def test_a_second_writer_waits_for_the_commit_of_the_first() -> None:
    since = journal.latest_cursor()
    appended, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            journal.append([entry("slow")])
            appended.set()
            assert may_commit.wait(60)

    def fast() -> None:
        with transaction.atomic():
            journal.append([entry("fast")])

    first = in_thread(slow)
    assert appended.wait(60)
    second = in_thread(fast)

    def second_waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype='advisory' AND NOT granted"
            )
            return bool(cursor.fetchone()[0])

    until(second_waits)
    # Had the second one committed, a reader's cursor would now jump over the first.
    assert journal.read(since) == []
    may_commit.set()
    first.join()
    second.join()
    assert [row.key for row in journal.read(since)] == ["slow", "fast"]


def test_a_reader_that_follows_the_cursor_misses_no_concurrent_commit() -> None:
    since = journal.latest_cursor()
    writers, rounds = 4, 40

    def write(number: int) -> None:
        chance = random.Random(number)
        for turn in range(rounds):
            try:
                with transaction.atomic():
                    journal.append([entry(f"{number}.{turn}")])
                    time.sleep(chance.random() / 500)
                    if chance.random() < 0.2:
                        raise InterruptedError
            except InterruptedError:
                rolled_back.add(f"{number}.{turn}")

    rolled_back: set[str] = set()
    threads = [in_thread(lambda number=number: write(number)) for number in range(writers)]
    cursor, seen = since, []
    while True:
        finished = not any(thread.is_alive() for thread in threads)
        rows = journal.read(cursor, limit=7)
        seen += [row.key for row in rows]
        cursor = rows[-1].id if rows else cursor
        if finished and not rows:
            break
    expected = {f"{n}.{turn}" for n in range(writers) for turn in range(rounds)} - rolled_back
    assert len(seen) == len(set(seen))
    assert set(seen) == expected


@pytest.fixture
def listener() -> Iterator[redis.client.PubSub]:
    config: dict[str, Any] = settings.CHANNEL_LAYERS["default"]["CONFIG"]  # type: ignore[assignment]
    client = redis.Redis.from_url(config["hosts"][0])
    with client.pubsub() as pubsub:
        pubsub.subscribe(f"{config['prefix']}__group__{wakeup.GROUP}")
        assert pubsub.get_message(timeout=60)["type"] == "subscribe"
        yield pubsub
    client.close()


def test_a_commit_wakes_the_fanout_and_a_rollback_does_not(listener: redis.client.PubSub) -> None:
    with transaction.atomic():
        journal.append([entry("a"), entry("b")])
        assert listener.get_message(timeout=0.05) is None
    message = listener.get_message(timeout=60)
    assert message is not None
    assert len(message["data"]) < 64
    with transaction.atomic():
        journal.append([entry("a")])
        transaction.set_rollback(True)
    assert listener.get_message(timeout=0.05) is None


class DeadRedis:
    def __init__(self) -> None:
        self.calls = 0

    def publish(self, channel: str, message: bytes) -> None:
        self.calls += 1
        raise redis.ConnectionError("connection refused")


def test_a_dead_redis_neither_fails_nor_slows_the_writer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead, clock = DeadRedis(), FakeClock()
    breaker = CircuitBreaker(1, wakeup.REST_SECONDS, clock=clock)
    publisher = wakeup.Publisher(dead, "channel", b"", breaker)  # type: ignore[arg-type]
    monkeypatch.setattr(wakeup, "_publisher", lambda: publisher)
    since = journal.latest_cursor()
    for key in "abc":
        with transaction.atomic():
            journal.append([entry(key)])
    assert [row.key for row in journal.read(since)] == ["a", "b", "c"]
    assert dead.calls == 1, "the publisher rests after a failure"
    told = [r for r in caplog.records if r.name == wakeup.log.name]
    assert len(told) == 1, "an outage is one line in the log"
    clock.advance(wakeup.REST_SECONDS)
    assert publisher.publish() is False
    assert dead.calls == 2
    assert [r for r in caplog.records if r.name == wakeup.log.name] == told

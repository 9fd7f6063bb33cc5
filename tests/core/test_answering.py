"""Work for which the database is needed, while that is slow, and while it hangs."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from resilience_site.core import answering
from resilience_site.core.answering import Line, answered, database_answers
from tests.patience import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(answering, "LOOK_SECONDS", PATIENCE)


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool


def connect_to(port: int, patch: pytest.MonkeyPatch) -> None:
    """Let those who connect anew do so there. What the pool has goes on."""
    connection.ensure_connection()
    where = {"host": "127.0.0.1", "port": port, "user": "nobody"}
    patch.setattr(DatabaseWrapper, "get_connection_params", lambda _: where)


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever connects to the database is taken and told nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        connect_to(silent.getsockname()[1], monkeypatch)
        monkeypatch.setattr(answering, "LOOK_SECONDS", 0.3)
        yield


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever connects to the database is refused."""
    with closing(socket.socket()) as unheard:
        unheard.bind(("127.0.0.1", 0))
        connect_to(unheard.getsockname()[1], monkeypatch)
        yield


@pytest.fixture
def locked() -> Iterator[str]:
    """A query that waits until the test is over."""
    connection.ensure_connection()
    with psycopg.connect(**connection.connection.info.get_parameters()) as holder:
        holder.execute("SELECT pg_advisory_lock(7)")
        yield "SELECT pg_advisory_lock(7)"


def query(text: str, begun: threading.Event | None = None) -> Callable[[Line], object]:
    """Work that begins by telling so and ends with what the query finds."""

    def work(line: Line) -> object:
        with line, connection.cursor() as cursor:
            if begun is not None:
                begun.set()
            cursor.execute(text)
            return cursor.fetchone()[0]

    return work


async def test_work_that_is_slow_is_waited_for_while_the_database_answers(
    worker: ThreadPoolExecutor,
) -> None:
    assert await answered(query("SELECT 7 FROM pg_sleep(0.5)"), worker) == 7


async def test_what_the_work_raises_is_raised(worker: ThreadPoolExecutor) -> None:
    def wrong(line: Line) -> None:
        raise ValueError("undecodable")

    with pytest.raises(ValueError, match="undecodable"):
        await answered(wrong, worker)


def look_once(begun: threading.Event, patch: pytest.MonkeyPatch) -> None:
    """Let the database answer whoever looks until the work has begun."""

    async def look() -> bool:
        return not begun.is_set() or await database_answers()

    patch.setattr(answering, "database_answers", look)


async def test_a_database_that_hangs_ends_all_that_waits_for_it(
    locked: str, hung: None, worker: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that a thread works on, and those that wait for the thread."""
    begun, behind = threading.Event(), [threading.Event() for _ in range(3)]
    look_once(begun, monkeypatch)
    first = asyncio.create_task(answered(query(locked, begun), worker))
    others = [asyncio.create_task(answered(query("SELECT 1", each), worker)) for each in behind]
    for each in (first, *others):
        with pytest.raises(OperationalError, match="no answer"):
            await asyncio.wait_for(each, PATIENCE)
    # The thread is free again, with a connection that works, and none of the others was done.
    free = asyncio.get_running_loop().run_in_executor(worker, query("SELECT 5"), Line())
    assert await asyncio.wait_for(free, PATIENCE) == 5
    assert not any(each.is_set() for each in behind)


async def test_work_that_comes_to_need_the_database_after_it_was_given_up_is_not_done(
    hung: None, worker: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    look_once(begun, monkeypatch)

    def work(line: Line) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        query("SELECT 1", done)(line)

    with pytest.raises(OperationalError, match="no answer"):
        await answered(work, worker)
    go_on.set()
    # The thread is free again.
    assert await asyncio.get_running_loop().run_in_executor(worker, begun.wait, PATIENCE)
    assert not done.is_set()


async def test_a_database_that_lets_somebody_in_answers() -> None:
    assert await database_answers()


async def test_a_database_that_takes_a_connection_and_says_nothing_does_not_answer(
    hung: None,
) -> None:
    assert not await database_answers()


async def test_a_database_that_refuses_connections_does_not_answer(
    refusing: None,
) -> None:
    assert not await database_answers()


async def test_however_many_wait_one_connection_is_asked_for(
    worker: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    answer = asyncio.Event()

    async def look() -> bool:
        nonlocal looks
        looks += 1
        await answer.wait()
        return False

    asked = 0
    look_or_join = answering._look

    def counted() -> asyncio.Task[bool]:
        nonlocal asked
        asked += 1
        return look_or_join()

    monkeypatch.setattr(answering, "database_answers", look)
    monkeypatch.setattr(answering, "_look", counted)
    held = threading.Event()
    waiting = [
        asyncio.create_task(answered(lambda line: held.wait(PATIENCE), worker)) for _ in range(20)
    ]
    while asked < len(waiting):  # noqa: ASYNC110 - nothing tells that all have begun to look
        await asyncio.sleep(0.01)
    answer.set()
    for each in waiting:
        with pytest.raises(OperationalError):
            await each
    held.set()
    assert looks == 1

"""Sessions of a real PostgreSQL: the right ones end, and no other does."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from healing.actions.registry import action_named
from health.checks.options import OptionError
from tests.healing.actions.software.acting import act, context, effect, refused
from tests.health.checks.engines import postgres_pair
from tests.patience import until
from tests.ports import free_port

NAME = "planner-under-test"
FEW, MANY = "planner-of-few", "planner-of-many"
# Seconds: what has just worked must not be as old by a machine that stands still for a while.
IDLE = 5.0
Open = Callable[..., psycopg.Connection]


@pytest.fixture
def dsn() -> str:
    return os.environ["DATABASE_URL"]


@pytest.fixture
def open_session(dsn: str) -> Iterator[Open]:
    """Opens sessions under a name, idle in a transaction where that is asked for."""
    with opening(dsn) as begin:
        yield begin


@contextmanager
def opening(dsn: str) -> Iterator[Open]:
    made: list[psycopg.Connection] = []

    def begin(name: str = NAME, *, transaction: bool = False, **more: Any) -> psycopg.Connection:
        session = psycopg.connect(dsn, application_name=name, autocommit=True, **more)
        made.append(session)
        session.execute("BEGIN" if transaction else "SELECT 1")
        return session

    yield begin
    pids = [each.info.backend_pid for each in made if not each.closed]
    for each in made:
        each.close()
    # A session that was closed is there for a moment more, and another test would see it.
    with psycopg.connect(dsn, autocommit=True) as look:
        until(lambda: not _there(look, pids))


def _there(look: psycopg.Connection, pids: list[int]) -> bool:
    row = look.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [pids])
    return row.fetchone() != (0,)


def alive(session: psycopg.Connection) -> bool:
    with suppress(psycopg.OperationalError):
        session.execute("SELECT 1")
    return not session.closed


def idle(given: dict[str, Any], application: str = NAME) -> dict[str, Any]:
    return {"idle_seconds": IDLE, "application": application, **given}


@dataclass
class Aged:
    """Sessions that have been idle in a transaction for longer than is allowed, under the name of
    whoever they are for, beside one that only its transaction is as old as, and one in none."""

    few: list[psycopg.Connection]
    young: psycopg.Connection
    plain: psycopg.Connection
    other: psycopg.Connection
    many: list[psycopg.Connection]


@pytest.fixture(scope="module")
def aged() -> Iterator[Aged]:
    """The server's clock is the real one: all that have to be old become it together."""
    with opening(os.environ["DATABASE_URL"]) as begin:
        found = Aged(
            few=[begin(FEW, transaction=True) for _ in range(2)],
            young=begin(FEW, transaction=True),
            plain=begin(FEW),
            other=begin("somebody-else", transaction=True),
            many=[begin(MANY, transaction=True) for _ in range(3)],
        )
        time.sleep(IDLE + 0.5)
        yield found


def test_only_what_is_idle_in_a_transaction_for_long_enough_ends(dsn: str, aged: Aged) -> None:
    given = idle({"dsn": dsn}, FEW)
    aged.young.execute("SELECT 1")
    said = effect("postgres_terminate_idle", given, context())
    assert said.startswith("Ends 2 sessions of resilience at ")
    assert all(
        f"{each.info.backend_pid} ({FEW}, idle in transaction for" in said for each in aged.few
    )
    with psycopg.connect(dsn) as look:
        assert _there(look, [each.info.backend_pid for each in aged.few]), "it changes nothing"
    aged.young.execute("SELECT 1")
    acted = act("postgres_terminate_idle", given, context())
    assert acted.done.after == {"ended": 2}
    assert [alive(each) for each in (*aged.few, aged.plain, aged.other, aged.young)] == [
        False, False, True, True, True,
    ]  # fmt: skip
    assert acted.finished() is True


def test_where_there_is_none_nothing_is_done(dsn: str) -> None:
    acted = act("postgres_terminate_idle", idle({"dsn": dsn}), context())
    assert acted.done.output == (
        f"There was no session idle in a transaction for 5 s or more by {NAME}"
    )
    assert "Ends no session" in effect("postgres_terminate_idle", idle({"dsn": dsn}), context())


def test_no_more_than_the_most_end(dsn: str, aged: Aged) -> None:
    act("postgres_terminate_idle", {**idle({"dsn": dsn}, MANY), "most": 1}, context())
    assert [alive(each) for each in aged.many] == [False, True, True], "the longest idle goes first"


def _works(look: psycopg.Connection, pid: int) -> bool:
    row = look.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid])
    return row.fetchone() == ("active",)


def test_a_pool_is_recycled_whole_but_what_works_goes_on(dsn: str, open_session: Open) -> None:
    waiting = [open_session(), open_session(transaction=True)]
    other = open_session("somebody-else")
    busy = open_session()
    with psycopg.connect(dsn) as lock:
        lock.execute("SELECT pg_advisory_xact_lock(4711)")
        busy.pgconn.send_query(b"SELECT pg_advisory_lock(4711)")
        with psycopg.connect(dsn, autocommit=True) as look:
            until(lambda: _works(look, busy.info.backend_pid))
        given = {"dsn": dsn, "application": NAME, "idle_seconds": 0}
        acted = act("postgres_recycle", given, context())
    assert acted.done.after == {"ended": 2}
    assert [alive(each) for each in (*waiting, other)] == [False, False, True]
    while busy.pgconn.get_result() is not None:
        continue
    assert alive(busy)


def test_a_session_of_the_same_number_is_not_the_same(dsn: str, open_session: Open) -> None:
    session = open_session(transaction=True)
    found = action_named("postgres_recycle")
    parameters = found.parse({"dsn": dsn, "application": NAME, "idle_seconds": 0})
    before = found.observe(parameters, context())
    [seen] = before["sessions"]
    assert found.finished(parameters, context(before=before)) is False
    elder = {"sessions": [{**seen, "began": "2020-01-01 00:00:00+00"}]}
    assert found.finished(parameters, context(before=elder)) is True
    assert alive(session)


def test_a_role_that_may_not_end_them_fails_for_good() -> None:
    with postgres_pair() as pair, pair.primary.connect(application_name=NAME) as session:
        session.execute("SELECT 1")
        # It sees the session, and may not end it.
        pair.primary.ask("GRANT pg_read_all_stats TO guarded")
        given = {"dsn": pair.primary.guarded(), "application": NAME, "idle_seconds": 0}
        failed = refused("postgres_recycle", given, context())
        assert alive(session)
    assert failed.permanent
    assert "permission denied" in failed.message


def test_a_server_that_is_away_is_a_failure_that_may_pass() -> None:
    given = {"dsn": f"postgresql://u:hidden-word@127.0.0.1:{free_port()}/db", "application": NAME}
    failed = refused("postgres_recycle", given, context())
    assert not failed.permanent
    assert "127.0.0.1" in failed.message
    assert "hidden-word" not in failed.message


def test_a_server_that_never_answers_is_waited_for_as_long_as_the_step_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given = {"dsn": f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/db"}
        began = time.monotonic()
        failed = refused("postgres_terminate_idle", given, context(seconds=3))
        assert time.monotonic() - began < 60
    assert failed.message.startswith("It took too long: waiting for 127.0.0.1:")


def test_private_addresses_are_called_only_where_the_site_allows_them(dsn: str) -> None:
    given = {"dsn": dsn, "application": NAME}
    assert refused("postgres_recycle", given, context(private=False)).permanent


@pytest.mark.parametrize(
    ("name", "given", "option"),
    [
        ("postgres_terminate_idle", {"dsn": "mysql://x"}, "dsn"),
        ("postgres_terminate_idle", {"dsn": "postgresql://h/d", "idle_seconds": 0}, "idle_seconds"),
        ("postgres_recycle", {"dsn": "postgresql://h/d"}, "application"),
        ("postgres_recycle", {"dsn": "postgresql://h/d", "application": ""}, "application"),
    ],
)
def test_parameters_that_cannot_work_are_refused(
    name: str, given: dict[str, Any], option: str
) -> None:
    with pytest.raises(OptionError) as caught:
        action_named(name).parse(given)
    assert caught.value.option == option


def test_it_is_governed_by_the_storys_variable_and_calls_the_host_of_its_dsn() -> None:
    found = action_named("postgres_recycle")
    given = {"dsn": "postgresql://u:p@db.example:6000/planner", "application": NAME}
    assert found.variable_of(given) == "connection_pool_healing_enabled"
    assert found.hosts(found.parse(given)) == (("db.example", 6000),)

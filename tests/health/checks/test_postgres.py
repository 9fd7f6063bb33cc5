"""The check of PostgreSQL against real servers: well, wrong, full, behind, stopped and killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import psycopg
import pytest

from health.checks import KINDS
from health.checks.addresses import Addresses, Forbidden
from tests.health.checks.engines import (
    PASSWORD,
    URL_PASSWORD,
    PostgresEngine,
    PostgresPair,
    postgres_pair,
)
from tests.health.checks.probing import a_context, eventually, failure, hangs, probe, refused
from tests.health.faults import Faults
from tests.patience import until
from tests.ports import free_port

_CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
_IDLE = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
_BEHIND = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"
_STREAMING = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"
_FOLLOWED = "SELECT count(*) FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')"
_SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"

_END_SLEEP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


@pytest.fixture(scope="module")
def pair() -> Iterator[PostgresPair]:
    with postgres_pair() as made:
        yield made


@pytest.fixture
def primary(pair: PostgresPair) -> PostgresEngine:
    return pair.primary


class TestHealthy:
    async def test_the_sessions_own_database_by_its_socket(self) -> None:
        found = await probe("postgres", {"dsn": os.environ["DATABASE_URL"]})
        assert found.status == "up"
        assert "primary" in found.output
        assert found.observed["connections"].value >= 1
        assert found.observed["pool"].unit == "percent"

    async def test_over_tcp_with_a_password(self, primary: PostgresEngine) -> None:
        found = await probe("postgres", {"dsn": primary.guarded()})
        assert found.status == "up"

    async def test_the_value_of_a_query(self, primary: PostgresEngine) -> None:
        target = {"dsn": primary.dsn, "query": "SELECT 6 * 7", "expected": "42"}
        assert (await probe("postgres", target)).status == "up"
        failed = await failure("postgres", {**target, "expected": "43"})
        assert failed.output == "The query gave “42”, not “43”"

    async def test_one_row_is_read_of_many(self, primary: PostgresEngine) -> None:
        target = {
            "dsn": primary.dsn,
            "query": "SELECT a.n FROM generate_series(1, 20000) a(n), generate_series(1, 20000) b(n)",
            "expected": "1",
        }
        assert (await probe("postgres", target)).status == "up"

    async def test_reaching_is_enough_without_deep_checks(self, primary: PostgresEngine) -> None:
        target = {"dsn": primary.dsn, "query": "SELECT missing"}
        assert (await probe("postgres", target, deep=False)).status == "up"
        by_socket = {**target, "dsn": primary.by_socket}
        assert (await probe("postgres", by_socket, deep=False)).status == "up"


class TestBroken:
    async def test_nobody_listens(self) -> None:
        target = {"dsn": f"postgresql://me:{URL_PASSWORD}@127.0.0.1:{free_port()}/db"}
        failed = await failure("postgres", target)
        assert "refused" in failed.output

    async def test_a_wrong_password_is_named_but_not_told(self, primary: PostgresEngine) -> None:
        wrong = primary.guarded().replace(URL_PASSWORD, "Wrong%2FSecret")
        failed = await failure("postgres", {"dsn": wrong})
        assert "password authentication failed" in failed.output
        assert "Wrong" not in repr(failed) + failed.output

    async def test_the_workers_own_password_goes_nowhere(
        self, primary: PostgresEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        without = primary.guarded().replace(f":{URL_PASSWORD}", "")
        failed = await failure("postgres", {"dsn": without})
        assert "no password supplied" in failed.output

    async def test_a_query_that_is_wrong(self, primary: PostgresEngine) -> None:
        failed = await failure("postgres", {"dsn": primary.dsn, "query": "SELECT missing"})
        assert failed.output == 'The query failed: column "missing" does not exist'

    async def test_a_query_that_takes_too_long(self, primary: PostgresEngine) -> None:
        target = {"dsn": primary.dsn, "query": "SELECT pg_sleep(60)"}
        failed = await failure("postgres", target, timeout=4.0, within=60.0)
        assert failed.output == "The query took longer than 3.6 s"

    @pytest.mark.parametrize(
        "query",
        [
            "WITH made AS (INSERT INTO kept VALUES (1) RETURNING 1) SELECT * FROM made",
            "SELECT 1; COMMIT; INSERT INTO kept VALUES (1)",
            "SELECT setval('counted', 5)",
        ],
    )
    async def test_a_query_cannot_write(self, primary: PostgresEngine, query: str) -> None:
        with primary.connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
            connection.execute("CREATE SEQUENCE IF NOT EXISTS counted")
        failed = await failure("postgres", {"dsn": primary.dsn, "query": query})
        assert failed.output.startswith("The query failed: ")
        assert primary.ask("SELECT count(*) FROM kept") == 0
        assert primary.ask("SELECT is_called FROM counted") is False

    async def test_a_connection_cut_in_the_middle(self, primary: PostgresEngine) -> None:
        with Faults("127.0.0.1", primary.port) as proxy:
            proxy.cut_after(600)
            failed = await failure("postgres", {"dsn": primary.guarded(port=proxy.port)})
        assert "127.0.0.1" in failed.output
        assert PASSWORD not in failed.output

    async def test_private_addresses_only_by_setting(self, primary: PostgresEngine) -> None:
        public = Addresses(allow_private=False)
        for dsn in (primary.dsn, primary.by_socket):
            for deep in (True, False):
                with pytest.raises(Forbidden):
                    await probe("postgres", {"dsn": dsn}, addresses=public, deep=deep)


class TestHanging:
    async def test_a_stopped_server(self, primary: PostgresEngine) -> None:
        primary.stop()
        try:
            await hangs("postgres", {"dsn": primary.dsn})
        finally:
            primary.resume()
        assert (await probe("postgres", {"dsn": primary.dsn})).status == "up"

    async def test_a_partition_in_the_middle_of_a_query(self, primary: PostgresEngine) -> None:
        with Faults("127.0.0.1", primary.port) as proxy:
            target = {
                "dsn": f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres",
                "query": "SELECT pg_sleep(60)",
            }
            task = asyncio.ensure_future(probe("postgres", target))
            await eventually(lambda: primary.ask(_SLEEPING))
            proxy.hang()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                # psycopg itself would wait for the server for five seconds.
                async with asyncio.timeout(4):
                    await task
            # The server notices once it wants to answer.
            primary.ask(_END_SLEEP)
            proxy.heal()
            await eventually(lambda: proxy.open_connections == 0)

    async def test_nothing_stays_open(self, primary: PostgresEngine) -> None:
        with Faults("127.0.0.1", primary.port) as proxy:
            target = {"dsn": primary.guarded(port=proxy.port)}
            await probe("postgres", target)
            proxy.hang()
            await hangs("postgres", target)
            proxy.heal()
            await eventually(lambda: proxy.open_connections == 0)


class TestMeasurements:
    async def test_connections_in_use(self, primary: PostgresEngine) -> None:
        target = {"dsn": primary.dsn}
        held = [primary.connect() for _ in range(16)]

        def only_these() -> None:
            # A session goes on for a moment after its client has left.
            until(lambda: held[0].execute(_CLIENTS.encode()).fetchone() == (16,))

        try:
            # 17 of 20 with the check's own.
            only_these()
            found = await probe("postgres", target)
            assert found.status == "degraded"
            assert "85 % of the connections are in use (17/20)" in found.output
            only_these()
            failed = await failure("postgres", {**target, "pool_fail_percent": 85})
            assert failed.observed["pool"].value == 85
            assert failed.observed["connections"].value == 17
            off = {**target, "pool_warn_percent": None, "pool_fail_percent": None}
            assert (await probe("postgres", off)).status == "up"
        finally:
            for each in held:
                each.close()
        until(lambda: primary.ask(_CLIENTS) == 1)

    async def test_no_connection_is_left(self, primary: PostgresEngine) -> None:
        target = {"dsn": primary.guarded()}
        held = [primary.connect() for _ in range(17)]
        try:
            failed = await failure("postgres", target)
        finally:
            for each in held:
                each.close()
        assert "remaining connection slots are reserved" in failed.output
        until(lambda: primary.ask(_CLIENTS) == 1)

    async def test_an_ordinary_user_sees_the_use_too(self, primary: PostgresEngine) -> None:
        with primary.connect():
            found = await probe("postgres", {"dsn": primary.guarded()})
        assert found.observed["connections"].value >= 2

    async def test_a_transaction_left_open(self, primary: PostgresEngine) -> None:
        target = {"dsn": primary.dsn}
        with psycopg.connect(primary.dsn) as connection:
            connection.execute("SELECT 1")
            until(lambda: primary.ask(_IDLE))
            found = await probe("postgres", target)
            assert found.status == "up"
            assert found.observed["oldest_transaction"].value > 0
            warned = await probe("postgres", {**target, "transaction_warn_seconds": 0.001})
            assert warned.status == "degraded"
            assert "The oldest transaction has been open for" in warned.output
            failed = await failure("postgres", {**target, "idle_fail_seconds": 0.001})
            assert "A session has been idle in its transaction for" in failed.output
            connection.rollback()

    async def test_a_standby_that_falls_behind(self, pair: PostgresPair) -> None:
        primary, standby = pair.primary, pair.standby
        until(lambda: primary.ask(_FOLLOWED))
        assert (await probe("postgres", {"dsn": primary.dsn, "min_standbys": 1})).status == "up"
        target = {"dsn": standby.dsn, "lag_fail_seconds": 0.001}
        until(lambda: standby.ask(_STREAMING) and not standby.ask(_BEHIND))
        found = await probe("postgres", target)
        assert found.status == "up"
        assert "standby" in found.output

        standby.ask("SELECT pg_wal_replay_pause()")
        try:
            primary.ask("CREATE TABLE late (n int)")
            until(lambda: standby.ask(_BEHIND))
            failed = await failure("postgres", target)
            assert "This standby is" in failed.output
            assert failed.observed["replication_lag"].value > 0
            until(lambda: primary.ask("SELECT max(replay_lag) > '1 ms' FROM pg_stat_replication"))
            warned = await probe("postgres", {"dsn": primary.dsn, "lag_warn_seconds": 0.001})
            assert "The slowest standby is" in warned.output
            assert warned.observed["replication_lag_bytes"].value > 0
        finally:
            standby.ask("SELECT pg_wal_replay_resume()")
        failed = await failure("postgres", {"dsn": primary.dsn, "min_standbys": 2})
        assert failed.output == "1 standbys follow; 2 must"

    async def test_a_standby_without_its_primary_is_not_up_to_date(self) -> None:
        with postgres_pair() as pair:
            standby = pair.standby
            pair.primary.ask("CREATE TABLE one (n int)")
            until(lambda: standby.ask("SELECT pg_last_xact_replay_timestamp() IS NOT NULL"))
            pair.primary.process.kill()
            until(lambda: not standby.ask("SELECT count(*) FROM pg_stat_wal_receiver"))
            failed = await failure("postgres", {"dsn": standby.dsn, "lag_fail_seconds": 0.001})
        assert "This standby is" in failed.output


class TestOptions:
    @pytest.mark.parametrize(
        ("dsn", "reason"),
        [
            ("mysql://host/db", "must begin with"),
            ("host=x dbname=y", "must begin with"),
            ("postgresql:///db", "must name one host"),
            ("postgresql://a,b/db", "must name one host"),
            ("postgresql://a:5432,b:5432/db", "is no valid URL"),
            ("postgresql://a/db?host=b,c", "must name one host"),
            ("postgresql://a/db?password=x", "before the @"),
            ("postgresql://a/db?hostaddr=169.254.169.254", "must not set hostaddr"),
            ("postgresql://a/db?service=x", "must not set service"),
            ("postgresql://a/db?passfile=/etc/shadow", "must not set passfile"),
            ("postgresql://a:99999/db", "is no valid URL"),
        ],
    )
    def test_urls_that_are_refused(self, dsn: str, reason: str) -> None:
        error = refused("postgres", {"dsn": dsn})
        assert error.option == "dsn"
        assert reason in error.message

    def test_other_options_that_are_refused(self) -> None:
        good = {"dsn": "postgresql://a/db"}
        assert refused("postgres", {**good, "query": "DELETE FROM t"}).option == "query"
        assert refused("postgres", {**good, "pool_warn_percent": 96}).option == "pool_warn_percent"
        assert refused("postgres", {**good, "lag_warn_seconds": -1}).option == "lag_warn_seconds"
        assert refused("postgres", {**good, "min_standbys": -1}).option == "min_standbys"

    def test_hosts(self) -> None:
        def hosts(dsn: str) -> tuple[tuple[str, int], ...]:
            kind = KINDS["postgres"]
            return kind.hosts(kind.parse({"dsn": dsn}))

        assert hosts("postgresql://u:p@db.example:6432/app") == (("db.example", 6432),)
        assert hosts("postgres://u@db.example/app") == (("db.example", 5432),)
        assert hosts("postgresql:///app?host=/run/pg") == (("127.0.0.1", 5432),)


def test_the_url_is_told_to_be_secret() -> None:
    assert KINDS["postgres"].url_secrets == {"dsn"}
    assert a_context().deep

"""PostgreSQL: a query, the use of its connections, replication lag, transactions left open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from health.checks.base import CheckKind, Context, Failed, Finding, kind
from health.checks.judgement import Judgement, require_limits
from health.checks.options import OptionError
from health.checks.postgreslink import (
    PostgresConnection,
    first_line,
    postgres_connect,
    postgres_parameters,
    postgres_target,
)
from health.checks.reaching import LOCAL, place, reach
from health.checks.words import one_line, without

_DAY: Final = 86_400.0
_READS: Final = re.compile(r"\s*\(*\s*(select|with|values|table)\b", re.IGNORECASE)
_STATE: Final = """
SELECT pg_is_in_recovery(),
    current_setting('max_connections')::int,
    CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
        THEN (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
        ELSE (SELECT sum(numbackends) FROM pg_stat_database) END::int,
    (SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())::float,
    (SELECT extract(epoch FROM max(clock_timestamp() - state_change)) FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%')::float
"""
# A standby that has replayed all it received is up to date only while it still receives; one that
# has replayed nothing yet is behind at least since its start.
_STANDBY: Final = """
SELECT CASE
    WHEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL)
        AND pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM clock_timestamp()
        - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END::float
"""
_PRIMARY: Final = """
SELECT count(*)::int, extract(epoch FROM max(replay_lag))::float,
    max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::float
FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')
"""


@dataclass(frozen=True)
class PostgresOptions:
    """Options of a PostgreSQL check; a threshold that is null is not judged.

    `query` reads one value; where `expected` is set, the value must equal it as text.
    """

    dsn: str
    query: str = "SELECT 1"
    expected: str | None = None
    # Connections in use, in percent of max_connections.
    pool_warn_percent: float | None = 80.0
    pool_fail_percent: float | None = 95.0
    # How far a standby is behind; asked of a primary, the one furthest behind.
    lag_warn_seconds: float | None = None
    lag_fail_seconds: float | None = None
    # How many standbys must follow a primary; a standby that is gone has no lag to judge.
    min_standbys: int = 0
    # Age of the oldest transaction.
    transaction_warn_seconds: float | None = None
    transaction_fail_seconds: float | None = None
    # How long a session has done nothing within a transaction.
    idle_warn_seconds: float | None = None
    idle_fail_seconds: float | None = None


@kind("postgres", "PostgreSQL")
class PostgresCheck(CheckKind[PostgresOptions]):
    Options = PostgresOptions
    url_secrets = frozenset({"dsn"})

    def validate(self, options: PostgresOptions) -> None:
        postgres_parameters(options.dsn)
        if not _READS.match(options.query):
            raise OptionError("query", "must be one SELECT, WITH, VALUES or TABLE")
        require_limits(options, "pool", "percent", high=100.0)
        for stem in ("lag", "transaction", "idle"):
            require_limits(options, stem, "seconds", high=365 * _DAY)
        if options.min_standbys < 0:
            raise OptionError("min_standbys", "must not be negative")

    def hosts(self, options: PostgresOptions) -> tuple[tuple[str, int], ...]:
        host, port = postgres_target(postgres_parameters(options.dsn))
        return ((LOCAL if host.startswith("/") else host, port),)

    async def run(self, options: PostgresOptions, context: Context) -> Finding:
        parameters = postgres_parameters(options.dsn)
        host, port = postgres_target(parameters)
        if not context.deep:
            path = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else host
            return await reach(context, path, port)
        connection = await postgres_connect(parameters, context)
        try:
            return await _probe(connection, options, context)
        except psycopg.OperationalError as error:
            words = without(first_line(error), parameters.get("password"))
            raise Failed(f"The connection to {place(host, port)} broke: {words}") from None
        finally:
            await connection.close()


async def _probe(
    connection: PostgresConnection, options: PostgresOptions, context: Context
) -> Finding:
    # The server gives up a little before the caller does, and says what took so long.
    milliseconds = max(50, int(context.timeout * 900))
    context.doing("waiting for the answer to the query")
    await connection.execute(
        f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds};"
        f" SET LOCAL lock_timeout = {milliseconds}".encode()
    )
    judgement = Judgement()
    value = await _query(connection, options.query, milliseconds / 1000)
    if options.expected is not None and value != options.expected:
        shown = "no row" if value is None else f"“{one_line(value, 80)}”"
        judgement.fail(f"The query gave {shown}, not “{one_line(options.expected, 80)}”")
    context.doing("waiting for the server's statistics")
    standby = await _measure(connection, options, judgement)
    await _replication(connection, options, judgement, standby)
    await connection.execute("ROLLBACK")
    role = "standby" if standby else "primary"
    used = judgement.observed["connections"].value
    return judgement.finding(f"The query is answered; {role}, {used:.0f} connections in use")


async def _query(connection: PostgresConnection, query: str, seconds: float) -> str | None:
    """The first value that the query gives, as text; None where it gives no row.

    A cursor reads one row, however many there are; the extended protocol (which the binary format
    asks for) takes one statement only, so that none can end the read-only transaction.
    """
    try:
        await connection.execute(
            b"DECLARE probe NO SCROLL CURSOR FOR " + query.encode(), binary=True
        )
        row = await (await connection.execute("FETCH 1 FROM probe")).fetchone()
    except psycopg.errors.QueryCanceled:
        raise Failed(f"The query took longer than {seconds:g} s") from None
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise Failed(f"The query failed: {first_line(error)}") from None
    return None if row is None else _as_text(row[0])


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


async def _measure(
    connection: PostgresConnection, options: PostgresOptions, judgement: Judgement
) -> bool:
    """Connections and open transactions; returns whether this is a standby."""
    row = await (await connection.execute(_STATE)).fetchone()
    assert row is not None
    standby, allowed, used, oldest, idle = row
    percent = 100.0 * used / allowed
    judgement.observe("connections", used)
    judgement.observe("pool", percent, "percent")
    judgement.observe("oldest_transaction", oldest or 0.0, "s")
    judgement.observe("oldest_idle_in_transaction", idle or 0.0, "s")
    judgement.at_most(
        percent,
        f"{percent:.0f} % of the connections are in use ({used}/{allowed})",
        warn=options.pool_warn_percent,
        fail=options.pool_fail_percent,
        unit="%",
    )
    judgement.at_most(
        oldest,
        f"The oldest transaction has been open for {oldest or 0:.0f} s",
        warn=options.transaction_warn_seconds,
        fail=options.transaction_fail_seconds,
        unit="s",
    )
    judgement.at_most(
        idle,
        f"A session has been idle in its transaction for {idle or 0:.0f} s",
        warn=options.idle_warn_seconds,
        fail=options.idle_fail_seconds,
        unit="s",
    )
    return bool(standby)


async def _replication(
    connection: PostgresConnection, options: PostgresOptions, judgement: Judgement, standby: bool
) -> None:
    try:
        row = await (await connection.execute(_STANDBY if standby else _PRIMARY)).fetchone()
    except psycopg.NotSupportedError as error:
        # Managed engines that replicate in ways of their own have no such functions.
        if options.lag_warn_seconds is None and options.lag_fail_seconds is None:
            return
        raise Failed(f"The replication lag cannot be read: {first_line(error)}") from None
    assert row is not None
    lag = row[0] if standby else row[1]
    judgement.observe("replication_lag", lag, "s")
    if not standby:
        judgement.observe("standbys", row[0])
        judgement.observe("replication_lag_bytes", row[2], "bytes")
        if row[0] < options.min_standbys:
            judgement.fail(f"{row[0]} standbys follow; {options.min_standbys} must")
    whose = "This standby is" if standby else "The slowest standby is"
    judgement.at_most(
        lag,
        f"{whose} {lag or 0:.1f} s behind",
        warn=options.lag_warn_seconds,
        fail=options.lag_fail_seconds,
        unit="s",
    )

"""Sessions of a PostgreSQL server: which there are, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from healing.actions.asynchronous import probing, ran
from healing.actions.base import ActionFailed, Context
from health.checks.base import Failed, Progress
from health.checks.postgreslink import (
    PostgresConnection,
    first_line,
    postgres_connect,
    postgres_parameters,
    postgres_target,
)
from health.checks.reaching import LOCAL, place
from health.checks.words import one_line, without

APPLICATION: Final = "resilience-healing"
# Those of the database that is signed in to, the longest idle first; never this session's own.
_SESSIONS: Final = """
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND datname = current_database() AND state = ANY(%(states)s)
    AND state_change <= clock_timestamp() - %(seconds)s * interval '1 s'
    AND (%(application)s = '' OR application_name = %(application)s)
    AND (%(user)s = '' OR usename = %(user)s)
"""
_FOUND: Final = f"""
SELECT pid, backend_start::text AS began, usename::text AS user, application_name AS application,
    state, extract(epoch FROM clock_timestamp() - state_change)::float AS seconds {_SESSIONS}
ORDER BY state_change LIMIT %(most)s
"""
# What has begun to work meanwhile is not ended, nor another session under the same number.
_ENDED: Final = f"""
SELECT pid, pg_terminate_backend(pid, %(wait)s) {_SESSIONS}
    AND (pid, backend_start::text) IN (SELECT * FROM unnest(%(pids)s::int[], %(began)s::text[]))
"""
_THERE: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE (pid, backend_start::text) IN (SELECT * FROM unnest(%(pids)s::int[], %(began)s::text[]))
"""


@dataclass(frozen=True)
class Session:
    """One session; `began` tells it from a later one of the same number."""

    pid: int
    began: str
    user: str
    application: str
    state: str
    seconds: float

    def __str__(self) -> str:
        name = one_line(self.application or self.user, 60)
        return f"{self.pid} ({name}, {self.state} for {self.seconds:.0f} s)"


@dataclass(frozen=True)
class Wanted:
    """Which sessions are meant: in one of `states` for `seconds`; an empty text matches all."""

    states: tuple[str, ...]
    seconds: float = 0.0
    application: str = ""
    user: str = ""
    most: int = 100


def require_dsn(dsn: str) -> None:
    """Raises `OptionError`."""
    postgres_parameters(dsn)


def host_of(dsn: str) -> tuple[str, int]:
    """The host that is called; a socket counts as this machine's."""
    host, port = postgres_target(postgres_parameters(dsn))
    return (LOCAL if host.startswith("/") else host, port)


def database_of(dsn: str) -> str:
    """As people name the database: `planner at db.example:5432`."""
    parameters = postgres_parameters(dsn)
    name = parameters.get("dbname") or parameters.get("user", "")
    return f"{name} at {place(*postgres_target(parameters))}"


def sessions_found(dsn: str, wanted: Wanted, context: Context) -> list[Session]:
    """The sessions that are meant. Raises `ActionFailed`."""

    async def look(connection: PostgresConnection) -> list[Session]:
        cursor = connection.cursor(row_factory=class_row(Session))
        await cursor.execute(_FOUND, _values(wanted))
        return await cursor.fetchall()

    return list(_signed_in(dsn, context, look))


def sessions_end(
    dsn: str, wanted: Wanted, sessions: Sequence[Session], context: Context
) -> list[Session]:
    """End those of the sessions that are still as meant, and wait until they are gone.

    Raises `ActionFailed`, for good where the role may not end them.
    """

    async def end(connection: PostgresConnection) -> list[Session]:
        # The server waits until each is gone.
        wait = {"wait": int(context.left * 1000 / len(sessions))}
        cursor = await connection.execute(_ENDED, {**_values(wanted), **_named(sessions), **wait})
        meant = {pid for pid, _ in await cursor.fetchall()}
        ended = [each for each in sessions if each.pid in meant]
        if left := await _there(connection, ended):
            raise Failed(f"{left} of {len(ended)} sessions did not end in time")
        return ended

    return list(_signed_in(dsn, context, end)) if sessions else []


def sessions_gone(dsn: str, sessions: Sequence[Session], context: Context) -> bool:
    """Whether none of these is there any more. Raises `ActionFailed`."""

    async def look(connection: PostgresConnection) -> bool:
        return not await _there(connection, sessions)

    return bool(_signed_in(dsn, context, look))


async def _there(connection: PostgresConnection, sessions: Sequence[Session]) -> int:
    cursor = await connection.execute(_THERE, _named(sessions))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _signed_in(dsn: str, context: Context, work: Any) -> Any:
    parameters = postgres_parameters(dsn)
    where, password = place(*postgres_target(parameters)), parameters["password"]
    progress = Progress("waiting for the connection")

    async def signed_in() -> Any:
        connection = await postgres_connect(parameters, probing(context, progress), APPLICATION)
        progress.step = f"waiting for {where} to do it"
        try:
            return await work(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise ActionFailed(f"{where} refuses: {first_line(error)}", permanent=True) from None
        except psycopg.Error as error:
            raise Failed(f"{where}: {without(first_line(error), password)}") from None
        finally:
            await connection.close()

    return ran(signed_in(), context, progress, secrets=(password,) if password else ())


def _values(wanted: Wanted) -> dict[str, Any]:
    return {
        "states": list(wanted.states),
        "seconds": wanted.seconds,
        "application": wanted.application,
        "user": wanted.user,
        "most": wanted.most,
    }


def _named(sessions: Sequence[Session]) -> dict[str, Any]:
    return {"pids": [each.pid for each in sessions], "began": [each.began for each in sessions]}

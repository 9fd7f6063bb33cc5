"""The planner's database: the last snapshot of each plan, and who did what."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
from opentelemetry import trace
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.trace import SpanKind
from psycopg import conninfo, sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

import breakers.runtime as resilience
from deploy.demo.planner_mcp.protection import DATABASE, DATABASE_SECONDS

_tracer = trace.get_tracer(__name__)

DATABASE_ERRORS: tuple[type[Exception], ...] = (psycopg.Error, PoolTimeout, OSError)
_APPLICATION = "planner-mcp-server"
_MAX_CONNECTIONS = 5
_KEEP_ACTIVITY = timedelta(days=7)

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS plan_snapshot (
        plan_id text PRIMARY KEY,
        summary jsonb NOT NULL,
        taken_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS activity (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        user_id text NOT NULL,
        tool text NOT NULL,
        task_id text NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS activity_at ON activity (at)",
)


Pool = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]


class Store:
    """Holds a pool of few connections, so that a leak shows soon. Errors are psycopg's own."""

    def __init__(self, url: str, *, timeout: float = 3.0) -> None:
        self._database = str(conninfo.conninfo_to_dict(url).get("dbname") or urlsplit(url).path[1:])
        self._url, self._timeout = url, timeout
        self._pool = self._new_pool()
        # What is lent at the moment, by the process id at the server, and since when.
        self._lent: dict[int, float] = {}

        # A snapshot is only worth having at once; an entry of the log is worth a second attempt.
        once = resilience.protect(DATABASE, retry=False, timeout=DATABASE_SECONDS)
        self.snapshot = once(self._snapshot)
        self.save_snapshot = once(self._save_snapshot)
        self.record = resilience.protect(DATABASE, idempotent=False, timeout=DATABASE_SECONDS)(
            self._record
        )

    def _new_pool(self) -> Pool:
        return AsyncConnectionPool(
            self._url,
            min_size=1,
            max_size=_MAX_CONNECTIONS,
            timeout=self._timeout,
            open=False,
            name="planner",
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": _APPLICATION,
                "connect_timeout": 3,
            },
        )

    async def open(self) -> None:
        """Connect, make the tables, forget old activity."""
        await self._pool.open(wait=True, timeout=15)
        async with self._pool.connection() as connection:
            for statement in _TABLES:
                await connection.execute(statement)
            await connection.execute("DELETE FROM activity WHERE at < now() - %s", [_KEEP_ACTIVITY])

    async def close(self) -> None:
        await self._pool.close()

    async def ping(self, *, wait: float) -> None:
        """Raises where no connection is free within `wait` seconds, or none works."""
        async with self._pool.connection(wait) as connection:
            await connection.execute("SELECT 1")

    def pool(self) -> dict[str, int]:
        """How the pool stands: size, connections that are lent and that are free, callers waiting."""
        stats = self._pool.get_stats()
        size, free = stats.get("pool_size", 0), stats.get("pool_available", 0)
        return {
            "max": _MAX_CONNECTIONS,
            "size": size,
            "used": size - free,
            "available": free,
            "waiting": stats.get("requests_waiting", 0),
        }

    async def recycle(self, *, grace: float) -> int:
        """Begin a new pool in place of the present one; how many connections were taken from
        whoever had kept one for more than `grace` seconds.

        Where the database gives no new connection, the pool stays as it is, and this raises.
        """
        new = self._new_pool()
        try:
            await new.open(wait=True, timeout=5)
        except BaseException:
            await new.close(timeout=0)
            raise
        kept = [pid for pid, since in self._lent.items() if time.monotonic() - since > grace]
        old, self._pool = self._pool, new
        # What is lent is closed when it comes back.
        await old.close(timeout=0)
        async with new.connection() as connection:
            cursor = await connection.execute(
                "SELECT count(*) AS ended FROM unnest(%s::int[]) AS pid WHERE pg_terminate_backend(pid)",
                [kept],
            )
            row = await cursor.fetchone()
        return int(row["ended"]) if row else 0

    async def leak(self) -> None:
        """Take a connection, begin a transaction, and never give it back: as code does that waits
        for something else meanwhile. It ends with its connection."""
        async with self._connection() as connection:
            await connection.execute("BEGIN")
            await connection.execute("SELECT count(*) FROM activity")
            async for _ in connection.notifies():
                continue

    async def _snapshot(self, plan_id: str, *, younger_than: timedelta) -> dict[str, Any] | None:
        async with self._connection() as connection:
            cursor = await connection.execute(
                "SELECT summary FROM plan_snapshot WHERE plan_id = %s AND taken_at > now() - %s",
                [plan_id, younger_than],
            )
            row = await cursor.fetchone()
        return dict(row["summary"]) if row else None

    async def _save_snapshot(self, plan_id: str, summary: dict[str, Any]) -> None:
        async with self._connection() as connection:
            await connection.execute(
                "INSERT INTO plan_snapshot (plan_id, summary) VALUES (%s, %s) "
                "ON CONFLICT (plan_id) DO UPDATE SET summary = excluded.summary, taken_at = now()",
                [plan_id, Jsonb(summary)],
            )

    async def _record(self, *, user_id: str, tool: str, task_id: str) -> None:
        async with self._connection() as connection:
            await connection.execute(
                "INSERT INTO activity (user_id, tool, task_id) VALUES (%s, %s, %s)",
                [user_id, tool, task_id],
            )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        # The wait for a connection is a call to the database too: an empty pool shows as its fault.
        with _tracer.start_as_current_span(
            "acquire",
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.namespace": self._database},
        ):
            pool = self._pool
            connection = await pool.getconn()
        pid = connection.info.backend_pid
        self._lent[pid] = time.monotonic()
        try:
            yield connection
        finally:
            del self._lent[pid]
            await pool.putconn(connection)


def instrument() -> None:
    """Trace every statement; to be called before the first connection is made."""
    PsycopgInstrumentor().instrument()


async def ensure_database(url: str) -> None:
    """Create the database of `url` where it does not exist yet."""
    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=5):
            return
    except psycopg.OperationalError as error:
        name = conninfo.conninfo_to_dict(url).get("dbname")
        if not name or f'database "{name}" does not exist' not in str(error):
            raise
    elsewhere = conninfo.make_conninfo(url, dbname="postgres")
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as connection:
        try:
            await connection.execute(
                sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name)))
            )
        except psycopg.errors.DuplicateDatabase:
            # Another start was faster.
            return

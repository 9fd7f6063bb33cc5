"""A database that lets nobody in, for tests of what senders are told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection
from psycopg import sql

RECOVERY_SECONDS = 60


@contextmanager
def closed_database() -> Iterator[None]:
    """The test database, cut off from the site and closed to new connections."""
    own = connection.connection.info
    name = sql.Identifier(own.dbname)
    elsewhere = {**own.get_parameters(), "dbname": "postgres"}
    with psycopg.connect(**elsewhere, autocommit=True) as engine:
        engine.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            engine.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> %s",
                [own.dbname, own.backend_pid],
            )
            yield
        finally:
            engine.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            # Threads of earlier tests have left connections in this process's pool, cut off now.
            connection.close()
            connection.close_pool()

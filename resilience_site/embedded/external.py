"""Engines that the operator runs: the launcher only waits for them."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from resilience_site.config.kinds import mask_url
from resilience_site.embedded.errors import StartError

_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.5


def wait_for_database(url: str) -> None:
    """Return once the database answers a query; raises StartError after half a minute."""

    def ask() -> None:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.execute("SELECT 1")

    _wait("DATABASE_URL", url, ask, psycopg.OperationalError)


def wait_for_redis(url: str) -> None:
    """Return once PING is answered; raises StartError after half a minute."""
    # Imported here: with an embedded Valkey the launcher does without the client and its memory.
    import redis

    with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
        _wait("REDIS_URL", url, client.ping, redis.RedisError)


def ensure_sibling_database(url: str, suffix: str) -> str:
    """The URL of the database NAME_suffix beside the one of `url`, made where it is missing."""
    parts = urlsplit(url)
    name = f"{parts.path.lstrip('/')}_{suffix}"
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if not known.fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise StartError(
            f"The demo needs a database {name} beside that of DATABASE_URL, and could not make it"
            f" ({reason}): make it, or let the demo use its embedded PostgreSQL."
        ) from None
    return urlunsplit(parts._replace(path=f"/{name}"))


def _wait(variable: str, url: str, ask: Any, failure: type[Exception]) -> None:
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            ask()
        except failure as error:
            if time.monotonic() > until:
                reason = str(error).strip().splitlines()[0]
                raise StartError(
                    f"{variable} is '{mask_url(url)}', but nothing answers there ({reason})."
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return

"""Connections to PostgreSQL by a URL, to judged addresses: for checks of it, and for what acts on it."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen

from health.checks.base import Context, Failed
from health.checks.options import OptionError
from health.checks.reaching import (
    OUR_OWN,
    judged,
    place,
    require_authorities,
    require_local_allowed,
)
from health.checks.words import one_line, without

RV = TypeVar("RV")

PORT: Final = 5432
# What else a URL may say; anything else could read files or reach other hosts.
_PARAMETERS: Final = frozenset(
    {
        "host",
        "sslmode",
        "sslrootcert",
        "channel_binding",
        "application_name",
        "target_session_attrs",
    }
)


class PostgresConnection(psycopg.AsyncConnection[Any]):
    """Ends with its caller: psycopg would first ask the server to cancel, and wait for it."""

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's signature
    ) -> RV:
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval, timeout)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise


def postgres_parameters(dsn: str) -> dict[str, str]:
    """The connection parameters of a URL; raises `OptionError`."""
    try:
        url = urlsplit(dsn)
        port = url.port or PORT
        asked = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    except ValueError:
        raise OptionError("dsn", "is no valid URL") from None
    if url.scheme not in ("postgres", "postgresql"):
        raise OptionError("dsn", "must begin with postgresql:// or postgres://")
    if "password" in asked:
        raise OptionError("dsn", "must have its password before the @, where it is kept secret")
    if unknown := sorted(set(asked) - _PARAMETERS):
        raise OptionError("dsn", f"must not set {unknown[0]}")
    hosts = [each for each in (unquote(url.hostname or ""), asked.get("host")) if each]
    host = hosts[0] if len(hosts) == 1 else ""
    if not host or "," in host:
        raise OptionError("dsn", "must name one host, or the folder of a socket as ?host=/…")
    found = {**asked, "host": host, "port": str(port), "dbname": unquote(url.path[1:])}
    if url.username:
        found["user"] = unquote(url.username)
    # Never those of the worker: an empty one keeps PGPASSWORD from being sent to this host.
    found["password"] = unquote(url.password or "")
    return {name: value for name, value in found.items() if value or name == "password"}


def postgres_target(parameters: dict[str, str]) -> tuple[str, int]:
    """The host, or the folder of its socket, and the port."""
    return parameters["host"], int(parameters["port"])


async def postgres_connect(
    parameters: dict[str, str], context: Context, application: str = "resilience-check"
) -> PostgresConnection:
    """A connection that commits each statement. Raises `Failed`, and `Forbidden` for its address."""
    host, port = postgres_target(parameters)
    pinned: dict[str, Any] = {
        "application_name": application,
        **parameters,
        "passfile": "/nonexistent",
        "connect_timeout": math.ceil(context.timeout) + 1,
    }
    if parameters.get("sslrootcert") != "system":
        await require_authorities(parameters.get("sslrootcert"))
    if host.startswith("/"):
        require_local_allowed(context, host)
    else:
        addresses = await judged(context, host, port)
        # The name is kept for the certificate; the addresses are what is called.
        pinned["host"] = ",".join([host] * len(addresses))
        pinned["hostaddr"] = ",".join(addresses)
    context.doing(f"waiting for {place(host, port)} to accept the connection")
    try:
        return await PostgresConnection.connect(autocommit=True, **pinned)
    except psycopg.OperationalError as error:
        if any(os.strerror(code) in str(error) for code in OUR_OWN):
            raise
        # Where this process can have no more sockets, libpq gives no reason; this raises it.
        socket.socket().close()
        words = without(first_line(error), parameters["password"])
        raise Failed(f"No connection to {place(host, port)}: {words}") from None


def first_line(error: psycopg.Error) -> str:
    """What the server said, on one line."""
    text = error.diag.message_primary or str(error).strip().partition("\n")[0]
    return one_line(text.removeprefix("connection failed: "))

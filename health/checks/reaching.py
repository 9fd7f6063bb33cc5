"""Reaching a target: sockets of this machine count as private addresses, names are judged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from health.checks.addresses import Forbidden
from health.checks.base import Context, Failed, Finding
from health.checks.words import reason

# What `hosts()` gives for a socket of this machine: judged as any other loopback address.
LOCAL = "127.0.0.1"


def require_local_allowed(context: Context, path: str) -> None:
    """Raises `Forbidden` where sockets of this machine may not be called."""
    if not context.addresses.allow_private:
        raise Forbidden(
            f"{path} is a socket of this machine; RESILIENCE_ALLOW_PRIVATE_TARGETS allows those"
        )


async def judged(context: Context, host: str, port: int) -> list[str]:
    """The addresses of `host` that may be called. Raises `Failed` where it has none."""
    try:
        found = await context.addresses.resolve(host, port)
    except OSError as error:
        raise Failed(f"{host}: {reason(error)}") from error
    if not found:
        raise Failed(f"{host} has no address")
    return found


@contextlib.asynccontextmanager
async def connected(
    context: Context, host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain connection to `host`, or to a socket where it is a path; ended with the block."""
    try:
        if host.startswith("/"):
            require_local_allowed(context, host)
            reader, writer = await asyncio.open_unix_connection(host)
        else:
            reader, writer = await context.addresses.connect(host, port)
    except OSError as error:
        raise Failed(f"{place(host, port)} cannot be reached: {reason(error)}") from error
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def reach(context: Context, host: str, port: int) -> Finding:
    """All that a check does where deep checks are switched off: a connection is accepted."""
    async with connected(context, host, port):
        return Finding(
            output=f"{place(host, port)} accepts connections (not looked at more deeply)"
        )


def place(host: str, port: int) -> str:
    """How people write a target: `host:port`, or the path of a socket."""
    if host.startswith("/"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

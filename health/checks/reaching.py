"""Reaching a target: sockets of this machine count as private addresses, names are judged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from typing import Final

from health.checks import machine
from health.checks.addresses import Forbidden
from health.checks.base import Context, Failed, Finding
from health.checks.words import reason

# What `hosts()` gives for a socket of this machine: judged as any other loopback address.
LOCAL = "127.0.0.1"
# What the machine that probes lacks or forbids; it says nothing about the target.
OUR_OWN = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
    }
)

_MOST_CERTIFICATES: Final = 4 * 1024 * 1024


def require_local_allowed(context: Context, path: str) -> None:
    """Raises `Forbidden` where sockets of this machine may not be called."""
    if not context.addresses.allow_private:
        raise Forbidden(
            f"{path} is a socket of this machine; RESILIENCE_ALLOW_PRIVATE_TARGETS allows those"
        )


async def require_authorities(path: str | None) -> None:
    """Refuse a file of authorities that a library would read for ever, within the event loop: a
    device, a pipe, a file of the kernel. Raises `Forbidden`, alike for all that is no such file."""
    if path is not None and not await machine.look(f"authorities {path}", lambda: _is_small(path)):
        raise Forbidden(f"{path} is no file of certificates of at most {_MOST_CERTIFICATES} bytes")


def _is_small(path: str) -> bool:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    # Files of the kernel have no size, and may have no end.
    return stat.S_ISREG(found.st_mode) and 0 < found.st_size <= _MOST_CERTIFICATES


async def judged(context: Context, host: str, port: int) -> list[str]:
    """The addresses of `host` that may be called. Raises `Failed` where it has none."""
    with network_failures(host):
        found = await context.addresses.resolve(host, port)
    if not found:
        raise Failed(f"{host} has no address")
    return found


@contextlib.contextmanager
def network_failures(where: str) -> Iterator[None]:
    """Network errors in the block are failures of the target at `where`.

    What the machine that probes lacks (file handles, ports, memory) says nothing about the target,
    and passes as it is.
    """
    try:
        yield
    except ssl.SSLError as error:
        raise Failed(f"{where}: {reason(error)}") from error
    except OSError as error:
        if error.errno in OUR_OWN and not isinstance(error, socket.gaierror):
            raise
        raise Failed(f"{where} cannot be reached: {reason(error)}") from error


@contextlib.asynccontextmanager
async def connected(
    context: Context,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to `host`, or a plain one to a socket where it is a path; cut with the block."""
    context.doing("waiting for the connection" + (" and the TLS handshake" if tls else ""))
    with network_failures(place(host, port)):
        if host.startswith("/"):
            require_local_allowed(context, host)
            reader, writer = await asyncio.open_unix_connection(host)
        else:
            reader, writer = await context.addresses.connect(
                host, port, tls=tls, server_name=server_name
            )
    try:
        yield reader, writer
    finally:
        # A farewell would wait for a peer that may never answer.
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
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"

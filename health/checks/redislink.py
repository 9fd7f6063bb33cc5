"""One connection to a server that speaks the Redis protocol: judged, pinned, bounded, cancellable.

redis-py does the protocol; the way to the server and the end of the connection are ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    RedisError,
    ResponseError,
)

from health.checks.base import Context, Failed
from health.checks.options import OptionError, require_host
from health.checks.reaching import (
    LOCAL,
    judged,
    network_failures,
    place,
    require_authorities,
    require_local_allowed,
)
from health.checks.tlscontext import tls_context
from health.checks.words import one_line, without

PORT: Final = 6379
# No answer that a check asks for comes near it; what does is cut off.
MOST_BYTES: Final = 16 * 1024 * 1024
_SOCKET_SCHEMES: Final = frozenset({"unix", "redis+socket"})
_SCHEMES: Final = frozenset({"redis", "rediss"}) | _SOCKET_SCHEMES
_PARAMETERS: Final = frozenset({"db", "virtual_host", "ssl_cert_reqs", "ssl_ca_certs"})


@dataclass(frozen=True)
class RedisServer:
    """Where a server is, and how one signs in; `host` is a path where it begins with a slash."""

    host: str
    port: int
    db: int = 0
    username: str = ""
    password: str = ""
    tls: bool = False
    verified: bool = True
    trusted: str | None = None

    @property
    def local(self) -> bool:
        return self.host.startswith("/")

    @property
    def called(self) -> tuple[str, int]:
        """The host and port for `CheckKind.hosts`."""
        return (LOCAL if self.local else self.host, self.port)

    @property
    def place(self) -> str:
        return place(self.host, self.port)


def redis_server(option: str, url: str) -> RedisServer:
    """Reads `redis://`, `rediss://` (TLS), and `unix://` or `redis+socket://` for a path.

    Raises `OptionError`, which never repeats the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        asked = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        path = unquote(parts.path)
        local = parts.scheme in _SOCKET_SCHEMES
        number = asked.get("db") or asked.get("virtual_host") or ("" if local else path[1:])
        db = int(number.removeprefix("/") or 0)
    except ValueError:
        raise OptionError(option, "is no valid URL") from None
    if parts.scheme not in _SCHEMES:
        raise OptionError(option, f"must begin with one of {', '.join(sorted(_SCHEMES))}, then ://")
    if unknown := sorted(set(asked) - _PARAMETERS):
        raise OptionError(option, f"must not set {unknown[0]}")
    host = path if local else unquote(parts.hostname or "")
    if local and (parts.hostname or not path.startswith("/")):
        raise OptionError(option, "must name a socket by its whole path, after three slashes")
    if not local:
        require_host(option, host)
    verify = asked.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if verify not in ("required", "none"):
        raise OptionError(option, "must have required or none as ssl_cert_reqs")
    return RedisServer(
        host=host,
        port=port,
        db=db,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "rediss",
        verified=verify == "required",
        trusted=asked.get("ssl_ca_certs"),
    )


class _Reader(asyncio.StreamReader):
    """Keeps a server from filling the memory."""

    _taken = 0

    def feed_data(self, data: Any) -> None:
        self._taken += len(data)
        if self._taken <= MOST_BYTES:
            super().feed_data(data)
        elif self.exception() is None:
            self.set_exception(OSError("it answered with more than 16 MiB"))


class _Connection(AbstractConnection):
    """redis-py's connection to one address that was judged before."""

    def __init__(self, server: RedisServer, addresses: Sequence[str]) -> None:
        super().__init__(
            db=server.db,
            username=server.username or None,
            password=server.password or None,
            # The caller's deadline is the only one.
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            # What every server understands, and nothing about us.
            protocol=2,
            driver_info=None,
        )
        self._server = server
        self._addresses = addresses

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        reader = _Reader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport = await self._open(loop, protocol)
        self._reader = reader
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _open(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.StreamReaderProtocol
    ) -> asyncio.Transport:
        server = self._server
        if server.local:
            transport, _ = await loop.create_unix_connection(lambda: protocol, server.host)
            return transport
        tls = _tls(server) if server.tls else None
        error: OSError | None = None
        for address in self._addresses:
            try:
                # The certificate is for the name, whatever the address.
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    address,
                    server.port,
                    ssl=tls,
                    server_hostname=server.host if tls else None,
                )
            except OSError as caught:
                error = caught
            else:
                return transport
        raise error or OSError("it has no address")

    async def end(self) -> None:
        """Close at once, whatever is still to be sent."""
        if self._writer is not None:
            self._writer.transport.abort()
        await self.disconnect(nowait=True)

    def _host_error(self) -> str:
        return self._server.place

    def repr_pieces(self) -> list[tuple[str, str | int]]:
        return [("server", self._server.place)]


def _tls(server: RedisServer) -> ssl.SSLContext:
    if server.trusted is None or not server.verified:
        return tls_context(verify=server.verified)
    # The file may be another one by now.
    return ssl.create_default_context(cafile=server.trusted)


class RedisLink:
    """An open connection."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def ask(self, *command: Any) -> Any:
        """One command's reply, texts as bytes; an error reply is raised (`ResponseError`)."""
        [reply] = await self.ask_all([command])
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def ask_all(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        """The replies to commands sent in one go; an error reply stands among them."""
        sent = list(commands)
        await self._connection.send_packed_command(self._connection.pack_commands(sent))
        replies: list[Any] = []
        for _ in sent:
            try:
                replies.append(await self._connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies


@contextlib.asynccontextmanager
async def redis_link(context: Context, server: RedisServer) -> AsyncIterator[RedisLink]:
    """A connection that is signed in. What goes wrong with it, then and later, is `Failed`."""
    if server.local:
        require_local_allowed(context, server.host)
        addresses: list[str] = []
    else:
        addresses = await judged(context, server.host, server.port)
    await require_authorities(server.trusted)
    connection = _Connection(server, addresses)
    context.doing(f"waiting for {server.place} to accept the connection")
    try:
        await connection.connect()
        yield RedisLink(connection)
    except RedisError as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, OSError):
            with network_failures(server.place):
                raise cause from None
        raise Failed(without(_words(error, server), server.password)) from None
    finally:
        await connection.end()


def _words(error: RedisError, server: RedisServer) -> str:
    if isinstance(error, AuthenticationError):
        return f"{server.place} refuses the user or the password: {one_line(str(error), 120)}"
    if isinstance(error, BusyLoadingError):
        return f"{server.place} is still loading its data"
    if isinstance(error, InvalidResponse):
        return f"{server.place} answers, but not as Redis does: {one_line(str(error), 120)}"
    if isinstance(error, ResponseError):
        return f"{server.place} refuses: {one_line(str(error))}"
    return f"The connection to {server.place} broke: {one_line(str(error))}"

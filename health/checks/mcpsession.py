"""A session with an MCP server by the official SDK, over HTTP to judged addresses.

The SDK does the protocol; its HTTP client gets a transport of ours. Importing this module loads
the SDK; the check does so when it first runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpcore2
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation
from pydantic import ValidationError

from health.checks.base import Context, Failed
from health.checks.reaching import judged, network_failures, place
from health.checks.web import phrase
from health.checks.words import one_line

MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_PAGES: Final = 20
# How long the end of a session may take; the server forgets one that was not ended by itself.
_FAREWELL_SECONDS: Final = 1.0
_HTTP_ERRORS: Final = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
)

# Each run would log its URL, whose query may be secret, and each failure a traceback; what is to
# be said of a run is said in its result.
logging.getLogger("httpx2").setLevel(logging.WARNING)
logging.getLogger("mcp.client").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Session:
    """What a server said: who it is, which protocol it speaks, the names of its tools."""

    server: str
    protocol: str
    tools: tuple[str, ...]
    handshake_ms: float
    list_ms: float


class _Network(httpcore2.AnyIOBackend):
    """Connects to judged addresses; name and certificate stay those of the host."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._opened: list[Any] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> Any:
        error: httpcore2.ConnectError | None = None
        for address in await judged(self._context, host, port):
            try:
                self._opened.append(await super().connect_tcp(address, port))
            except httpcore2.ConnectError as caught:
                error = caught
            else:
                return self._opened[-1]
        raise error or httpcore2.ConnectError("it has no address")

    async def close(self) -> None:
        """End every connection: one that is cancelled in its TLS handshake would stay open."""
        for each in self._opened:
            await each.aclose()


class _Limited(httpx2.AsyncByteStream):
    """An answer that ends where it would fill the memory."""

    def __init__(self, inner: Any, way: _Way) -> None:
        self._inner = inner
        self._way = way

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._way.watched():
            async for part in self._inner:
                self._way.taken += len(part)
                if self._way.taken > MOST_BYTES:
                    raise Failed("It answers with more than 8 MiB")
                yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Way(httpx2.AsyncBaseTransport):
    """Carries the SDK's requests; remembers what went wrong below the protocol."""

    def __init__(self, url: str, context: Context, tls: ssl.SSLContext) -> None:
        self.failure: Exception | None = None
        self.status = 0
        self.taken = 0
        self.stopped = False
        self._where = place(*_origin(httpx2.URL(url)))
        self._network = _Network(context)
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=tls, network_backend=self._network)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.stopped:
            raise httpx2.ConnectError("nobody waits any more")
        if request.method != "POST":
            # The farewell, and the door for what the server may say by itself: it need not.
            async with asyncio.timeout(_FAREWELL_SECONDS if request.method == "DELETE" else None):
                return await self._send(request)
        with self.watched():
            response = await self._send(request)
        self.status = response.status_code
        return response

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        told = httpx2.Headers(response.headers)
        if told.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            # It would be unpacked whole, however large that is.
            await response.aclose()
            raise Failed("It answers in a coding that was not asked for")
        return httpx2.Response(
            response.status,
            headers=told,
            stream=_Limited(response.stream, self),
            extensions=response.extensions,
        )

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the first error in the block: the SDK would put it into words of its own."""
        try:
            with network_failures(self._where):
                try:
                    yield
                except _HTTP_ERRORS as error:
                    raise _below(error) or Failed(_words(self._where, error)) from None
        except Exception as error:
            self.failure = self.failure or error
            raise

    async def aclose(self) -> None:
        await self._network.close()
        await self._pool.aclose()


def _origin(url: httpx2.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _below(error: BaseException) -> OSError | None:
    """What the operating system or OpenSSL said, where libraries wrap that."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) or (isinstance(seen, OSError) and seen.errno):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _words(where: str, error: Exception) -> str:
    if isinstance(error, httpcore2.RemoteProtocolError):
        return f"{where} ended the connection, or gave an answer that is not HTTP"
    return f"The connection to {where} broke ({type(error).__name__})"


async def session(
    url: str, headers: Mapping[str, str], *, handshake: str, tls: ssl.SSLContext, context: Context
) -> Session:
    """Shake hands and list the tools. Raises `Failed` and `Forbidden`.

    The SDK takes leave of a session in its own time, also when it is cancelled; so it runs in a
    task, and when the caller is cancelled no more requests are sent.
    """
    way = _Way(url, context, tls)
    task = asyncio.create_task(_converse(url, headers, handshake, way, context))
    try:
        await asyncio.wait({task})
    finally:
        way.stopped = True
        # Before the task is cancelled: the SDK waits for requests that are under way.
        await way.aclose()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            # What it ended with is of no interest any more.
            _ = task.cancelled() or task.exception()
            await way.aclose()
    try:
        return task.result()
    except Exception as error:
        raise _told(error, way) from None


async def _converse(
    url: str, headers: Mapping[str, str], handshake: str, way: _Way, context: Context
) -> Session:
    loop = asyncio.get_running_loop()
    context.doing("waiting for the server's handshake")
    began = loop.time()
    async with (
        httpx2.AsyncClient(
            transport=way,
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=None,
            trust_env=False,
        ) as http,
        Client(
            streamable_http_client(url, http_client=http),
            mode="legacy" if handshake == "initialize" else "auto",
            cache=None,
            client_info=Implementation(name="resilience-check", version="1"),
        ) as client,
    ):
        shaken = loop.time()
        context.doing("waiting for the list of tools")
        names: list[str] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
        listed = loop.time()
        info = client.server_info
        context.doing("ending the session")
        return Session(
            server=f"{info.name} {info.version}".strip() if info else "",
            protocol=client.protocol_version,
            tools=tuple(names),
            handshake_ms=1000 * (shaken - began),
            list_ms=1000 * (listed - shaken),
        )


def _told(error: Exception, way: _Way) -> Exception:
    """The failure to report: what broke below the protocol, else what the protocol says."""
    found: Exception = way.failure or _leaf(error)
    if way.failure is None and way.status >= 400:
        refused = " the credentials" if way.status in (401, 403) else ""
        return Failed(f"The server refuses{refused}: {phrase(way.status)}")
    if isinstance(found, MCPError):
        return Failed(f"The server answers with an error: {one_line(found.message, 160)}")
    if isinstance(found, ValidationError):
        return Failed(f"The server answers, but not as the protocol asks ({found.title})")
    if isinstance(found, RuntimeError) and "protocol version" in str(found):
        return Failed(f"No common protocol: {one_line(str(found), 160)}")
    return found


def _leaf(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error

"""One HTTP request of a check: to judged addresses, bounded in redirects, memory and trust.

Nothing of it outlives the run: no connection is kept, no cookie, and no proxy or password of the
environment is used. Time is bounded by the caller, whose cancellation closes the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from health.checks.addresses import Addresses, Forbidden
from health.checks.base import Failed
from health.checks.reaching import network_failures, place
from health.checks.words import one_line

MAX_REDIRECTS: Final = 5
_AGENT: Final = "resilience-control-plane-check"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK: Final = 65_536
# The caller's deadline is the only one.
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=None)


@dataclass(frozen=True)
class Request:
    """`url` has no credentials within; `headers` do not leave its origin, and so does `body`."""

    url: URL
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Limits:
    """`max_body` in bytes, after decompression; `redirects` that are followed."""

    max_body: int = 1_048_576
    redirects: int = 0


@dataclass(frozen=True)
class Answer:
    """`wait_ms` ended with the last header; `flaw` says why `body` is not all of it, or empty."""

    status: int
    headers: Mapping[str, str]
    charset: str | None
    body: bytes
    flaw: str
    wait_ms: float
    redirected: int = 0


class _Judged(AbstractResolver):
    """Gives aiohttp judged addresses alone; it connects to what this answers."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._addresses.resolve(host, port)
        ]

    async def close(self) -> None:
        """There is nothing to release."""


async def fetch(
    request: Request,
    *,
    addresses: Addresses,
    tls: ssl.SSLContext,
    limits: Limits,
    doing: Callable[[str], None],
) -> Answer:
    """The answer to `request`, after redirects. Raises `Failed`, and `Forbidden` for its address.

    A redirect to a forbidden address is `Failed`: that is the target's doing.
    """
    async with (
        _connector(addresses, tls) as connector,
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
            auto_decompress=False,
            trust_env=False,
        ) as session,
    ):
        for redirected in range(limits.redirects + 1):
            try:
                answer = await _once(session, request, addresses, limits, doing)
            except Forbidden as error:
                if redirected:
                    raise Failed(f"It redirects to an address that is refused: {error}") from error
                raise
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or target is None or not limits.redirects:
                return replace(answer, redirected=redirected)
            request = _redirected(request, answer.status, target)
    raise Failed(f"It redirects more than {limits.redirects} times")


@contextlib.asynccontextmanager
async def _connector(
    addresses: Addresses, tls: ssl.SSLContext
) -> AsyncIterator[aiohttp.TCPConnector]:
    """A connector whose connections end with the block.

    aiohttp takes leave of a TLS connection after its own close, for half a minute if the server
    is silent; a socket that is shut down needs no leave.
    """
    opened: list[socket.socket] = []

    def open_socket(way: AddrInfoType) -> socket.socket:
        opened.append(socket.socket(way[0], way[1], way[2]))
        return opened[-1]

    try:
        yield aiohttp.TCPConnector(
            resolver=_Judged(addresses),
            use_dns_cache=False,
            force_close=True,
            limit=0,
            ssl=tls,
            socket_factory=open_socket,
        )
    finally:
        for each in opened:
            # One that its peer has reset is not connected any more.
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


async def _once(
    session: aiohttp.ClientSession,
    request: Request,
    addresses: Addresses,
    limits: Limits,
    doing: Callable[[str], None],
) -> Answer:
    loop = asyncio.get_running_loop()
    host = request.url.host or ""
    where = place(host, request.url.port or 0)
    # A literal address is not resolved, so the resolver would not judge it.
    refused = addresses.refusal(host)
    if refused:
        raise Forbidden(refused)
    doing(f"waiting for {where} to answer")
    headers = CIMultiDict({"User-Agent": _AGENT, "Accept-Encoding": "identity"})
    headers.update(request.headers)
    began = loop.time()
    with web_failures(where):
        async with session.request(
            request.method,
            request.url,
            headers=headers,
            data=request.body,
            allow_redirects=False,
            middlewares=(_at_once(where),),
        ) as response:
            wait_ms = (loop.time() - began) * 1000
            doing(f"reading the body of the answer of {where}")
            body, flaw = await _body(response, limits.max_body)
            return Answer(response.status, response.headers, response.charset, body, flaw, wait_ms)


def _at_once(where: str) -> aiohttp.ClientMiddlewareType:
    """Fails a request the first time: aiohttp would send many a one again after a reset."""

    async def once(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        with web_failures(where):
            return await handler(request)

    return once


def _redirected(request: Request, status: int, location: str) -> Request:
    """The next request; what may be secret stays with the origin that it was meant for."""
    try:
        url = request.url.join(URL(location))
        port = url.port
    except ValueError:
        raise Failed("It redirects to what is no URL") from None
    if url.scheme not in ("http", "https") or not url.host or not port:
        raise Failed("It redirects to what is no http or https URL")
    method, body = request.method, request.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method, body = ("HEAD" if method == "HEAD" else "GET"), None
    headers = request.headers
    if url.origin() != request.url.origin():
        if body is not None:
            raise Failed(f"It redirects a request with a body to {place(url.host, port)}")
        headers = {}
    # Credentials that the server put into its redirect are not ours to send.
    return Request(url.with_user(None).with_fragment(None), method, headers, body)


@contextlib.contextmanager
def web_failures(where: str) -> Iterator[None]:
    """Errors of HTTP and of the network in the block are failures of the target at `where`."""
    try:
        yield
    except aiohttp.ClientError as error:
        inner = _network_error(error)
        if inner is not None:
            with network_failures(where):
                raise inner from None
        # Not even in a traceback: the error's own text carries the URL.
        raise Failed(f"{where} {_words(error)}") from None


def _network_error(error: aiohttp.ClientError) -> OSError | None:
    """What the operating system or OpenSSL said, where aiohttp wraps that."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner: Exception = error.certificate_error
        return inner if isinstance(inner, OSError) else None
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    if isinstance(error, aiohttp.ClientOSError) and error.errno:
        return OSError(error.errno, error.strerror)
    return error if isinstance(error, OSError) else None


def _words(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "ended the connection within the body of its answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"gave an answer that is not HTTP: {one_line(error.message, 100)}"
    if isinstance(error, aiohttp.InvalidURL):
        return "has a URL that cannot be called"
    return f"could not be asked ({type(error).__name__})"


async def _body(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, str]:
    """At most `limit` bytes of the body, decompressed, and what is wrong with that."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    unpack = _unpacker(coding)
    parts: list[bytes] = []
    size = packed = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        packed += len(chunk)
        part = unpack(chunk, limit + 1 - size) if unpack else b""
        size += len(part)
        parts.append(part)
        # Packed bytes may unpack to nothing for ever.
        if size > limit or packed > limit:
            return b"".join(parts)[:limit], f"is larger than {limit} bytes"
    if packed and unpack is None:
        return b"", f"comes in a coding that was not asked for ({one_line(coding, 30)})"
    return b"".join(parts), ""


def _unpacker(coding: str) -> Callable[[bytes, int], bytes] | None:
    """Decompresses piece by piece, never more than is asked for: a bomb stays packed."""
    if coding in ("identity", ""):
        return lambda chunk, most: chunk[:most]
    if coding not in ("gzip", "x-gzip", "deflate"):
        return None
    # 32 finds gzip and zlib by themselves.
    machine = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            return machine.decompress(machine.unconsumed_tail + chunk, most)
        except zlib.error:
            raise Failed(f"The body is no valid {coding}") from None

    return unpack


def phrase(status: int) -> str:
    """`503 Service Unavailable`; the phrase is the standard's, never the server's."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)

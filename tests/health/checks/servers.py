"""Real servers on loopback for checks: well, broken, slow, and of bad faith."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trustme
from aiohttp import web
from aiosmtpd.smtp import SMTP

LOOPBACK = "127.0.0.1"
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def talking(
    conversation: Conversation, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A TCP server that holds `conversation` with each client; yields its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await conversation(reader, writer)
        except (OSError, asyncio.CancelledError):
            # The client has gone, as some tests want it to, or the server ends; asyncio would log
            # a task of its server that ends cancelled.
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accept, LOOPBACK, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(*parts: bytes, pause: float = 0.0) -> Conversation:
    """Waits for a first word, says `parts` with a pause before each, and closes."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        for part in parts:
            await asyncio.sleep(pause)
            writer.write(part)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return conversation


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads for ever and never answers."""
    while await reader.read(65_536):
        pass


async def slamming(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes what it has accepted."""
    writer.close()


def answering(
    status: str = "200 OK", *headers: str, body: bytes = b"", length: bool = True
) -> Conversation:
    """One raw HTTP answer."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return saying("\r\n".join([*lines, "", ""]).encode() + body)


@dataclass
class Site:
    """A web site whose paths tests add; `seen` are the requests it got, with their bodies."""

    port: int = 0
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(
        default_factory=dict
    )

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def text(self, path: str, text: str, **more: Any) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(text=text, **more)

        self.answers[path] = answer

    def json(self, path: str, value: Any) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response(value)

        self.answers[path] = answer

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": location})

        self.answers[path] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.read())
        answer = self.answers.get(request.path)
        return await answer(request) if answer else web.Response(status=404, text="nothing here")


@contextlib.asynccontextmanager
async def web_site(tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.handle, access_log=None))
    await runner.setup()
    listener = web.TCPSite(runner, LOOPBACK, 0, ssl_context=tls)
    await listener.start()
    site.port = runner.addresses[0][1]
    try:
        yield site
    finally:
        await runner.cleanup()


class Authority:
    """An authority of a test's own, and certificates of it for servers."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.pem = self._ca.cert_pem.bytes().decode()

    def server(
        self, *names: str, not_before: datetime | None = None, not_after: datetime | None = None
    ) -> ssl.SSLContext:
        """A server's context with a certificate for `names`."""
        issued = self._ca.issue_cert(*names, not_before=not_before, not_after=not_after)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(made)
        return made

    def self_signed(self) -> ssl.SSLContext:
        """A server that shows the authority's own certificate."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with self._ca.cert_pem.tempfile() as cert, self._ca.private_key_pem.tempfile() as key:
            made.load_cert_chain(cert, key)
        return made


@contextlib.contextmanager
def stopped_process() -> Iterator[int]:
    """A web server in a process of its own that was stopped (SIGSTOP): its kernel accepts on."""
    listener = socket.create_server((LOOPBACK, 0))
    with listener:
        port = listener.getsockname()[1]
        listener.set_inheritable(True)
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(listener.fileno())], pass_fds=[listener.fileno()]
        )
    try:
        with socket.create_connection((LOOPBACK, port), timeout=60) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(16).startswith(b"HTTP/1.0 ")
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield port
    finally:
        process.kill()
        process.wait(10)


_SERVE = """
import http.server, socket, sys
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *words): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Quiet, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=int(sys.argv[1]))
server.serve_forever()
"""


@dataclass
class Zone(asyncio.DatagramProtocol):
    """A name server for `records` ("name type" → values); `lose` datagrams stay unanswered."""

    records: dict[str, list[str]] = field(default_factory=dict)
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    lose: int = 0
    truncate: bool = False
    port: int = 0
    asked: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.asked += 1
        if self.asked <= self.lose:
            return
        answer = self.answer(dns.message.from_wire(data))
        if self.truncate:
            answer.flags |= dns.flags.TC
            answer.answer.clear()
        self.transport.sendto(answer.to_wire(), address)  # type: ignore[attr-defined]

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(self.rcode)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), question.rdtype.name
        for each in (kind, "CNAME"):
            values = self.records.get(f"{name} {each}")
            if values:
                response.answer.append(dns.rrset.from_text(question.name, 60, "IN", each, *values))
        return response

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = self.answer(dns.message.from_wire(await reader.readexactly(length)))
        wire = answer.to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()


@contextlib.asynccontextmanager
async def name_server(**fields: Any) -> AsyncIterator[Zone]:
    """A name server by TCP and UDP on one port."""
    zone = Zone(**fields)
    loop = asyncio.get_running_loop()
    async with talking(zone.stream) as port:
        zone.port = port
        transport, _ = await loop.create_datagram_endpoint(
            lambda: zone, local_addr=(LOOPBACK, port)
        )
        try:
            yield zone
        finally:
            transport.close()


@contextlib.asynccontextmanager
async def mail_server(handler: Any = None, **options: Any) -> AsyncIterator[int]:
    """aiosmtpd in the test's loop; yields its port."""
    loop = asyncio.get_running_loop()
    tls = options.pop("implicit_tls", None)
    made: list[SMTP] = []

    def make() -> SMTP:
        made.append(SMTP(handler or object(), loop=loop, hostname="mail.example", **options))
        return made[-1]

    server = await loop.create_server(make, LOOPBACK, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in made:
            # One that is closing has nothing left to abort.
            if each.transport is not None and not each.transport.is_closing():
                each.transport.abort()
        await asyncio.sleep(0)

"""A relay between a client and the site: keeps each request as it came over the wire, and answers
or breaks off as it is told. What it passes on, it passes on byte by byte."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

SECONDS = 60
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
    b"Content-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
)


class Request(NamedTuple):
    """A request as it came: names of headers in lower case, the body without its framing."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int


class Relay:
    """`busy` requests are refused with 503 before any is passed on; of the next `lost` ones, the
    site's answer is not."""

    def __init__(self, site_url: str) -> None:
        self.requests: list[Request] = []
        self.busy = 0
        self.lost = 0
        self.port = 0
        self._site = urlsplit(site_url)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, path: str) -> list[Request]:
        return [each for each in self.requests if each.path == path]

    def handle(self, client: BinaryIO) -> bool:
        """Serve one request; whether the connection stays open."""
        head = _head(client)
        if not head:
            return False
        line, headers = _parsed(head)
        framed, body = _body(client, headers)
        path = line.split()[1]
        if self.busy:
            self.busy -= 1
            self.requests.append(Request(path, headers, body, 503))
            client.write(BUSY)
            client.flush()
            return True
        answer = self._pass_on(head + framed)
        status = int(answer.split(maxsplit=2)[1])
        self.requests.append(Request(path, headers, body, status))
        if self.lost:
            self.lost -= 1
            return False
        client.write(answer)
        client.flush()
        return True

    def _pass_on(self, request: bytes) -> bytes:
        address = (self._site.hostname or "", self._site.port or 0)
        with socket.create_connection(address, SECONDS) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answers:
                head = _head(answers)
                _, headers = _parsed(head)
                framed, _ = _body(answers, headers)
        return head + framed

    @contextmanager
    def listening(self) -> Iterator[Relay]:
        relay = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = SECONDS

            def handle(self) -> None:
                stream = self.connection.makefile("rwb")
                while relay.handle(stream):
                    pass

        with _Server(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    # A client may keep its connection open for longer than the test.
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go away; what they did not get, they tell themselves."""


def _head(stream: BinaryIO) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    return head


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.lower(): value.strip() for name, _, value in pairs}


def _body(stream: BinaryIO, headers: dict[str, str]) -> tuple[bytes, bytes]:
    """The body as it came, and what it says."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        body = stream.read(int(headers.get("content-length", 0)))
        return body, body
    framed, body = b"", b""
    while True:
        line = stream.readline()
        size = int(line.split(b";")[0], 16)
        chunk = stream.read(size + 2)
        framed += line + chunk
        body += chunk[:size]
        if not size:
            return framed, body

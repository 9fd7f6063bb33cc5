"""One kept HTTP connection to the site, with bounds on time and size, that another thread can end.

Only the standard library is used: `requests` cannot interrupt an answer that it waits for. Proxies
and certificates are those that it would take from the environment, as telemetry does.
"""

from __future__ import annotations

import base64
import http.client
import importlib
import io
import os
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

CONNECT_TIMEOUT = 5.0  # seconds
MAX_BODY = 4 * 1024 * 1024
_CERTIFICATES = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CLIENT_CERTIFICATE = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
_CLIENT_KEY = "OTEL_EXPORTER_OTLP_CLIENT_KEY"
_SILENT = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class Answer(NamedTuple):
    """An HTTP answer; names of headers are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class TooLarge(OSError):
    """The answer is larger than any control document."""


class LinkClosed(OSError):
    """`close` was called."""


class Link:
    """Sends requests to one site over a connection that is kept."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._netloc = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path.rstrip("/")
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        # Before the path and among the headers of each request, where a proxy carries plain HTTP.
        self._before, self._more = "", dict[str, str]()
        self._closed = False

    def get(self, path: str, headers: Mapping[str, str], timeout: float) -> Answer:
        """The answer, whole, within `timeout` seconds.

        Raises OSError, http.client.HTTPException or ValueError where there is none.
        """
        deadline = time.monotonic() + timeout
        kept = self._connection is not None
        try:
            return self._ask("GET", path, headers, deadline)
        except _SILENT:
            # The other side may close a kept connection at any time; on a new one it means more.
            if not kept:
                raise
        return self._ask("GET", path, headers, deadline)

    def post(self, path: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        """The answer to a POST, sent once: what it asks for may have been done all the same.

        Raises as `get` does.
        """
        self.drop()
        return self._ask("POST", path, headers, time.monotonic() + timeout, body)

    def close(self) -> None:
        """End the connection for good; a request that waits in another thread raises."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                with suppress(OSError):
                    # Of the plain socket, since TLS would send and wait.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def drop(self) -> None:
        """Close the connection; the next request makes a new one."""
        with self._lock:
            connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.close()

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        deadline: float,
        body: bytes | None = None,
    ) -> Answer:
        try:
            connection = self._connected(deadline)
            # Encoded here, since http.client takes texts for Latin-1.
            encoded = {name: value.encode() for name, value in {**headers, **self._more}.items()}
            connection.request(method, self._before + self._prefix + path, body, headers=encoded)
            response = connection.getresponse()
            try:
                answer = response.read(MAX_BODY + 1)
                if len(answer) > MAX_BODY:
                    raise TooLarge(f"the answer is longer than {MAX_BODY} bytes")
                if not response.isclosed():
                    self.drop()  # it has no length, and ends with its connection
            finally:
                response.close()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.reason, named, answer)
        except BaseException:
            self.drop()
            raise

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        """A connection that is open and obeys `deadline`."""
        if self._closed:
            raise LinkClosed("the link is closed")
        connection = self._connection or self._make()
        if connection.sock is None:
            connection.connect()
        sock = connection.sock
        with self._lock:
            self._connection, self._socket = connection, sock
            if self._closed:
                raise LinkClosed("the link is closed")
        sock.settimeout(_left(deadline))

        def bounded(sock: Any, **options: Any) -> http.client.HTTPResponse:
            return http.client.HTTPResponse(_Bounded(sock, deadline), **options)  # type: ignore[arg-type]

        connection.response_class = bounded  # type: ignore[assignment]
        return connection

    def _make(self) -> http.client.HTTPConnection:
        proxy = _proxy(self._scheme, self._host)
        host, port = (proxy.hostname, proxy.port) if proxy else (self._host, self._port)
        headers = _proxy_authorization(proxy) if proxy else {}
        if self._scheme == "http":
            if proxy:
                self._before, self._more = f"http://{self._netloc}", headers
            return http.client.HTTPConnection(host or "", port, timeout=CONNECT_TIMEOUT)
        made = http.client.HTTPSConnection(
            host or "", port, timeout=CONNECT_TIMEOUT, context=_tls_context()
        )
        if proxy:
            made.set_tunnel(self._host, self._port, headers)
        return made


class _Bounded:
    """A socket for `HTTPResponse`, which only reads from it: until a deadline, however slowly."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Timed(self._socket, self._deadline))


class _Timed(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline
        # Keeps the socket open while it is read from, even if its connection is closed.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(_left(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer did not end in time")
    return left


def _proxy(scheme: str, host: str) -> SplitResult | None:
    if urllib.request.proxy_bypass(host):
        return None
    url = urllib.request.getproxies().get(scheme, "")
    parts = urlsplit(url if "//" in url else f"http://{url}")
    return parts if url and parts.scheme == "http" and parts.hostname else None


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    name, password = unquote(proxy.username), unquote(proxy.password or "")
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {encoded}"}


def _tls_context() -> ssl.SSLContext:
    named = [path for name in _CERTIFICATES if (path := os.environ.get(name))]
    if named:
        folder = Path(named[0]).is_dir()
        context = ssl.create_default_context(
            cafile=None if folder else named[0], capath=named[0] if folder else None
        )
    else:
        context = ssl.create_default_context()
        # The list that telemetry goes by; slim images have none of their own.
        with suppress(ImportError, OSError):
            context.load_verify_locations(importlib.import_module("certifi").where())
    if certificate := os.environ.get(_CLIENT_CERTIFICATE):
        context.load_cert_chain(certificate, os.environ.get(_CLIENT_KEY))
    return context

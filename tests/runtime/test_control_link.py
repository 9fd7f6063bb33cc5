"""Sites that are slow, lie or talk nonsense, and ways to the site: proxies, TLS, paths."""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from breakers.runtime import control_link
from breakers.runtime.control import ControlPoller, Pace
from breakers.runtime.control_link import Link, LinkClosed, TooLarge
from breakers.runtime.export import Target
from tests.patience import PATIENCE
from tests.runtime.desk import document, send
from tests.runtime.own_lines import lines
from tests.runtime.sink import Sink

Handler = BaseHTTPRequestHandler


@pytest.fixture
def link(sink: Sink) -> Iterator[Link]:
    link = Link(sink.url)
    yield link
    link.drop()


def raw(
    text: bytes, then: Callable[[Handler], object] = lambda handler: None
) -> Callable[..., None]:
    """Answer with these bytes, then do something, then cut the connection."""

    def lie(handler: Handler) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(text)
            then(handler)

    return lie


def drip(handler: Handler) -> None:
    """A byte at a time, for as long as anyone listens."""
    for _ in range(2000):
        handler.wfile.write(b"x")
        time.sleep(0.02)


def flood(handler: Handler) -> None:
    """A body without an end."""
    for _ in range(100_000):
        handler.wfile.write(b"x" * 65536)


# --- One request


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["status", "header", "body", "body without length"],
)
def test_an_answer_that_drips_ends_in_time(sink: Sink, link: Link, beginning: bytes) -> None:
    sink.desk.lie = raw(beginning, drip)
    began = time.monotonic()
    with pytest.raises(OSError, match="time"):
        link.get("/", {}, 0.3)
    # It drips for 40 s and longer.
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    ],
)
def test_a_huge_body_is_not_read(sink: Sink, link: Link, beginning: bytes) -> None:
    sink.desk.lie = raw(beginning, flood)
    with pytest.raises(TooLarge):
        link.get("/", {}, PATIENCE)


def test_one_connection_is_kept_and_replaced_where_it_was_closed(sink: Sink, link: Link) -> None:
    sink.desk.lie = lambda handler: send(handler, 200, str(handler.client_address[1]).encode())
    ports = [link.get("/", {}, PATIENCE).body for _ in range(3)]
    assert len(set(ports)) == 1
    sink.desk.lie = lambda handler: send(handler, 200, b"bye", Connection="close")
    assert link.get("/", {}, PATIENCE).body == b"bye"
    for each in list(sink._sockets):
        with suppress(OSError):
            each.shutdown(2)
    assert link.get("/", {}, PATIENCE).body == b"bye"


def test_a_connection_that_is_cut_before_the_answer_is_no_answer(sink: Sink, link: Link) -> None:
    sink.desk.lie = raw(b"")
    with pytest.raises(http.client.RemoteDisconnected):
        link.get("/", {}, PATIENCE)


def test_closing_interrupts_who_waits(sink: Sink, link: Link) -> None:
    asked, release = threading.Event(), threading.Event()

    def hang(handler: Handler) -> None:
        asked.set()
        release.wait(2 * PATIENCE)

    sink.desk.lie = hang
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            link.get("/", {}, 2 * PATIENCE)
        except OSError as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked.wait(PATIENCE)
    link.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    release.set()
    assert raised
    with pytest.raises(LinkClosed):
        link.get("/", {}, 5)


def test_a_site_below_a_path_and_a_key_of_any_letters(sink: Sink) -> None:
    asked: list[str] = []

    def note(handler: Handler) -> None:
        asked.append(f"{handler.path} {handler.headers['Authorization']}")
        send(handler, 200)

    sink.desk.lie = note
    link = Link(f"{sink.url}/below")
    link.get("/api/v1/control?a=b", {"Authorization": "Bearer ключ"}, PATIENCE)
    link.drop()
    assert asked[0].encode("latin-1").decode() == "/below/api/v1/control?a=b Bearer ключ"


def test_plain_http_goes_through_a_proxy_of_the_environment(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(handler: Handler) -> None:
        asked.append(f"{handler.path} {handler.headers['Host']}")
        asked.append(handler.headers["Proxy-Authorization"])
        send(handler, 200)

    sink.desk.lie = note
    monkeypatch.setenv("http_proxy", sink.url.replace("//", "//ana:s%20t@"))
    monkeypatch.setenv("no_proxy", "inside.example")
    link = Link("http://site.example:8000")
    link.get("/x", {}, PATIENCE)
    link.drop()
    assert asked == ["http://site.example:8000/x site.example:8000", "Basic YW5hOnMgdA=="]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    link = Link(sink.url)
    link.get("/x", {}, PATIENCE)
    link.drop()
    assert asked[2].startswith("/x ")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program to make a certificate")
    made = tmp_path / "site.pem"
    command = [
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", str(tmp_path / "key.pem"), "-out", str(made), "-days", "1",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    return made


def test_https_is_verified_by_the_certificates_of_the_environment(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_link, "CONNECT_TIMEOUT", PATIENCE)
    hanging = threading.Event()

    class Site(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/hang":
                hanging.set()
                with suppress(OSError):
                    self.connection.recv(1)
                self.close_connection = True
            else:
                send(self, 200, b"safe")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"https://localhost:{server.server_address[1]}"
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            Link(url).get("/", {}, PATIENCE)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        link = Link(url)
        assert link.get("/", {}, PATIENCE).body == b"safe"
        assert link.get("/", {}, PATIENCE).body == b"safe"
        closer = threading.Thread(target=lambda: (hanging.wait(PATIENCE), link.close()))
        closer.start()
        began = time.monotonic()
        with pytest.raises(OSError):
            link.get("/hang", {}, 2 * PATIENCE)
        assert time.monotonic() - began < PATIENCE
        closer.join()
    finally:
        server.shutdown()
        server.server_close()


# --- What the poller makes of it


def served(body: bytes, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: send(handler, 200, body, **headers)


GOOD = json.dumps(document(version=1)).encode()
LIES: dict[str, Callable[[Handler], None]] = {
    "no JSON": served(b"<html>", ETag='"1"'),
    "empty": served(b"", ETag='"1"'),
    "a list": served(b"[1]", ETag='"1"'),
    "NaN": served(b'{"version": NaN}', ETag='"1"'),
    "not UTF-8": served(b'{"a": "\xff"}', ETag='"1"'),
    "half a character": served(b'{"toggles": {"\\ud800": 1}}', ETag='"1"'),
    "deep": served(b"[" * 100_000, ETag='"1"'),
    "a number of many digits": served(b'{"a": ' + b"9" * 5000 + b"}", ETag='"1"'),
    "no version": served(b"{}"),
    "a version that is none": served(b'{"version": true}', ETag="seven"),
    "a huge version": served(b'{"version": 1e3}', ETag='"9999999999999999999"'),
    "not modified, though nothing was there": lambda handler: send(handler, 304),
    "a redirect": lambda handler: send(handler, 302, Location="http://127.0.0.1:9/"),
    "no HTTP": raw(b"220 mail.example ESMTP\r\n"),
    "no status": raw(b"HTTP/1.1 abc def\r\n\r\n"),
    "endless headers": raw(
        b"HTTP/1.1 200 OK\r\n", lambda handler: handler.wfile.write(b"a: b\r\n" * 100_000)
    ),
    "half a body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
    "a flood": raw(b"HTTP/1.1 200 OK\r\n\r\n", flood),
    "a drip": raw(b"HTTP/1.1 200 OK\r\n", drip),
    "compressed": served(b"\x1f\x8b\x08", ETag='"1"', Content_Encoding="gzip"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_changes_nothing_and_is_said_once(
    sink: Sink, lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    applied: list[int] = []
    sink.desk.lie = LIES[lie]
    poller = ControlPoller(
        Target(sink.url, "k" * 20),
        service="planner",
        instance="planner-1",
        apply=lambda document: applied.append(document["version"]),
        pace=Pace(wait=0.5, margin=0.3, shortest=0.01, longest=0.05, patience=0),
    )
    try:
        sink.desk.until(lambda: len(sink.desk.polls) >= 3)
        assert poller.status[:2] == ("unreachable", None)
        assert poller.status.last_error
        assert len(poller.status.last_error) < 400
        assert applied == []
        assert len(lines(caplog, sink.url)) == 1
        sink.desk.lie = None
        sink.desk.acknowledged(0)
        assert applied == [0]
    finally:
        assert poller.stop(PATIENCE)


def test_the_version_of_the_document_counts_where_there_is_no_etag(sink: Sink) -> None:
    sink.desk.lie = served(GOOD)
    poller = ControlPoller(
        Target(sink.url, "k" * 20), service="p", instance="p-1", apply=lambda document: None
    )
    sink.desk.acknowledged(1)
    poller.stop()
    sink.desk.polls.clear()
    sink.desk.lie = served(GOOD, ETag='W/"5"')
    poller = ControlPoller(
        Target(sink.url, "k" * 20), service="p", instance="p-1", apply=lambda document: None
    )
    sink.desk.acknowledged(5)
    poller.stop()


@pytest.mark.parametrize(("changing", "polls"), [(False, 4), (True, 12)])
def test_a_site_that_always_answers_at_once_makes_no_hot_loop(
    sink: Sink, changing: bool, polls: int
) -> None:
    versions = iter(range(10_000))

    def lie(handler: Handler) -> None:
        send(handler, 200, GOOD, ETag=f'"{next(versions) if changing else 1}"')

    sink.desk.lie = lie
    poller = ControlPoller(
        Target(sink.url, "k" * 20), service="p", instance="p-1", apply=lambda document: None
    )
    sink.desk.until(lambda: len(sink.desk.polls) >= polls)
    poller.stop()
    # They leave a twentieth of a second apart; half, since the first may be late to arrive.
    assert sink.desk.polls[polls - 1].at - sink.desk.polls[0].at > (polls - 1) / 40


def test_the_bound_is_that_of_the_contract() -> None:
    assert control_link.MAX_BODY == 4 * 1024 * 1024

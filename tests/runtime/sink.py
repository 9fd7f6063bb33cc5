"""A real site in a thread: an OTLP/HTTP receiver that keeps what it got, and a control document."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.patience import PATIENCE
from tests.runtime.desk import Desk

MESSAGES: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


class Sink:
    """Counts and keeps what arrives; `status` is what it answers, `hold` delays the answers.

    A status that is no success asks to come back after `retry_after` seconds, by default so long
    that no sender tries again itself. While it is `away` it hangs up instead of answering; bodies of
    more than `largest` bytes are answered with 413. `asked` are the paths of all requests.
    `desk` serves the control document. Whoever is connected at the end is cut off, as by a kill.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.asked: list[str] = []
        self.status = 200
        self.retry_after = "3600"
        self.away = False
        self.largest: int | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.port = 0
        self.desk = Desk()
        self._sockets: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[Any]:
        return [
            span
            for _, _, message in self.of("/v1/traces")
            for group in message.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def logs(self) -> list[Any]:
        return [
            record
            for _, _, message in self.of("/v1/logs")
            for group in message.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
        ]

    def of(self, path: str) -> list[tuple[str, dict[str, str], Any]]:
        return [each for each in self.requests if each[0] == path]

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[Sink]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else each answer waits 40 ms for the acknowledgement of its own headers.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                sink._sockets.add(self.connection)

            def finish(self) -> None:
                sink._sockets.discard(self.connection)
                with suppress(OSError):
                    super().finish()

            def handle(self) -> None:
                with suppress(OSError):
                    super().handle()

            def do_GET(self) -> None:
                sink.desk.serve(self)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.hold.wait(2 * PATIENCE)
                sink.asked.append(self.path)
                if sink.away:
                    self.close_connection = True
                    return
                status = sink.status
                if sink.largest is not None and len(body) > sink.largest:
                    status = 413
                if status == 200:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    sink.requests.append((self.path, headers, MESSAGES[self.path].FromString(body)))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if status != 200 and sink.retry_after:
                    self.send_header("Retry-After", sink.retry_after)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self.desk.open(True)
        try:
            yield self
        finally:
            self.hold.set()
            server.shutdown()
            server.server_close()
            for each in list(self._sockets):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self.desk.open(False)
            thread.join()


def attributes(items: Any) -> dict[str, Any]:
    """OTLP key values as a plain dict of their string, int or bool values."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in items
    }

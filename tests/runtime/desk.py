"""The site's half of the control protocol, for a real HTTP server of a test."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.patience import PATIENCE

PATH = "/api/v1/control"


def document(**sections: Any) -> dict[str, Any]:
    """All six sections, empty where nothing is given."""
    empty: dict[str, Any] = {
        "breakers": {}, "bulkheads": {}, "toggles": {}, "degraded": {}, "isolated": {},
        "commands": [],
    }  # fmt: skip
    return empty | sections


@dataclass
class Poll:
    """One request for the document."""

    query: dict[str, str]
    applied: str
    authorization: str
    at: float = field(default_factory=time.monotonic)


class Desk:
    """Serves one document by long polls, and keeps who asked with which version applied.

    `refusal` is a status and headers that are answered instead; `lie` answers in any other way.
    """

    def __init__(self) -> None:
        self.version = 0
        self.document = document()
        self.polls: list[Poll] = []
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.lie: Callable[[BaseHTTPRequestHandler], None] | None = None
        self._changed = threading.Condition()
        self._open = True

    def publish(self, version: int | None = None, **sections: Any) -> int:
        """Serve another document; its version."""
        with self._changed:
            self.version = self.version + 1 if version is None else version
            self.document = document(**sections)
            self._changed.notify_all()
            return self.version

    def refuse(self, status: int | None, **headers: str) -> None:
        """Answer so from now on, those who wait included; None: as usual."""
        with self._changed:
            self.refusal = None if status is None else (status, headers)
            self._changed.notify_all()

    def open(self, is_open: bool) -> None:
        """Whether anyone may wait here."""
        with self._changed:
            self._open = is_open
            self._changed.notify_all()

    def until(self, holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """What `holds` returns once that is true; looks after each poll. Fails after `seconds`."""
        with self._changed:
            assert self._changed.wait_for(holds, seconds), "it did not come true in time"
            return holds()

    def acknowledged(self, version: int, seconds: float = PATIENCE) -> Poll:
        """The first poll that names this version as applied."""
        return self.until(  # type: ignore[no-any-return]
            lambda: next((each for each in self.polls if each.applied == f'"{version}"'), None),
            seconds,
        )

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        applied = handler.headers.get("If-None-Match", "")
        poll = Poll(query, applied, handler.headers.get("Authorization", ""))
        with self._changed:
            self.polls.append(poll)
            self._changed.notify_all()
            lie = self.lie
            if lie is None and parts.path == PATH:
                self._changed.wait_for(
                    lambda: not self._open or self.refusal or applied != f'"{self.version}"',
                    float(query.get("wait", "0")),
                )
            refusal, version = self.refusal, self.version
            served = {"version": version, "service": query.get("service")}
            body = json.dumps(served | copy.deepcopy(self.document)).encode()
        if lie is not None:
            lie(handler)
        elif refusal is not None:
            send(handler, refusal[0], b"{}", **refusal[1])
        elif parts.path != PATH:
            send(handler, 404)
        elif applied == f'"{version}"':
            send(handler, 304, ETag=f'"{version}"')
        else:
            send(handler, 200, body, ETag=f'"{version}"')


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Answer a request; underscores in names of headers stand for dashes."""
    try:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if status != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    except OSError:
        handler.close_connection = True

"""An embedded Valkey: a socket in a private folder, nothing over TCP, an append-only file."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from resilience_site.embedded import binaries
from resilience_site.embedded.errors import StartError
from resilience_site.embedded.folders import LONGEST_SOCKET_PATH, Folders
from resilience_site.embedded.programs import Program

NAME = "valkey"
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 2.0


class Valkey:
    """One server named `name`: `prepare`, run `program()`, then `wait_ready`."""

    def __init__(self, folders: Folders, name: str = NAME, *, purpose: str = "") -> None:
        self.name = name
        self.home = folders.state / name
        self.socket = folders.sockets / f"{name}.sock"
        self.binary = binaries.valkey_program()
        self.title = f"Valkey {binaries.version(self.binary)}{purpose}"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}?db=0"

    def prepare(self) -> None:
        """Make its folder and clear the socket of a former one; raises StartError."""
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise StartError(f"{self.socket} is too long a path for a socket: set TMPDIR.")
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.socket.unlink(missing_ok=True)

    def program(self) -> Program:
        argv = [
            str(self.binary),
            *("--port", "0"),
            *("--unixsocket", str(self.socket)),
            *("--unixsocketperm", "700"),
            *("--dir", str(self.home)),
            *("--appendonly", "yes"),
            *("--appendfsync", "everysec"),
            *("--save", ""),
            *("--daemonize", "no"),
            *("--logfile", ""),
        ]
        return Program(self.name, argv, directory=Path("/"), priority=20)

    def wait_ready(self, check: Callable[[], None], seconds: float = 60.0) -> None:
        """Return once PING is answered; raises StartError when that takes too long.

        `check` is called while waiting, and raises when there is nothing to wait for.
        """
        until = time.monotonic() + seconds
        while not self._answers():
            check()
            if time.monotonic() > until:
                raise StartError(f"Valkey does not answer at {self.socket}.")
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False

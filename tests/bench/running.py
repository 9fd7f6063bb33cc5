"""A site of its own for the benchmarks: real engines, real processes, a folder thrown away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
KEY = "rcp_i_" + "benchmark" * 4
READ_KEY = "rcp_o_" + "benchmark" * 4
PASSWORD = "benchmark-only"


@dataclass(frozen=True)
class Site:
    port: int
    process: subprocess.Popen[bytes]
    state: Path

    @property
    def database_url(self) -> str:
        return json.loads((self.state / "kept.json").read_text())["DATABASE_URL"]

    def memory_mib(self) -> dict[str, float]:
        """Proportional memory of each process below the launcher (shared pages split fairly)."""
        found: dict[str, float] = {}
        parent = psutil.Process(self.process.pid)
        for process in [parent, *parent.children(recursive=True)]:
            try:
                name = " ".join(process.cmdline()[:4])[-70:] or process.name()
                pss = process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
            found[f"{process.pid} {name}"] = pss / 2**20
        return found


@contextmanager
def running_site(web_processes: int = 2, *, private_targets: bool = False) -> Iterator[Site]:
    """Start `manage.py up` on a free port; stop it and remove its folder in the end."""
    with tempfile.TemporaryDirectory(prefix="rcp-bench-") as folder:
        port = free_port()
        environment = {
            **os.environ,
            "PORT": str(port),
            "RESILIENCE_STATE_DIR": folder,
            "RESILIENCE_INGEST_KEY": KEY,
            "RESILIENCE_OPERATOR_KEY": READ_KEY,
            "RESILIENCE_ADMIN_PASSWORD": PASSWORD,
            "RESILIENCE_WEB_PROCESSES": str(web_processes),
            "RESILIENCE_ALLOW_PRIVATE_TARGETS": str(private_targets).lower(),
        }
        for name in ("DATABASE_URL", "REDIS_URL"):
            environment.pop(name, None)
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_ready(port, process)
            yield Site(port, process, Path(folder))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the site stopped with code {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.3)
    raise SystemExit("the site was not ready within three minutes")

"""A real `manage.py up` as a child process, and what it started."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300
STOP_SECONDS = 120
# A busy machine may take its time; what a site promises is measured elsewhere.
ANSWER_SECONDS = 30
# The test session's own choices must not reach the site under test.
_UNSET = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "DJANGO_SETTINGS_MODULE",
    "RESILIENCE_STATE_DIR",
)


def environment(state: Path, port: int, changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a launcher: the test session's, less what names engines."""
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    own = {"RESILIENCE_STATE_DIR": str(state), "PORT": str(port)}
    return {**kept, **own, **(changes or {})}


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something outside of this process that nothing announces.

    The limit is for what never comes: how fast things are is measured elsewhere.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} took more than {seconds} s"
        time.sleep(0.05)


class Up:
    """One launcher, its output, and its processes."""

    def __init__(
        self,
        state: Path,
        *,
        port: int | None = None,
        changes: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        words: Sequence[str] = (),
    ) -> None:
        self.state = state
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._seen: dict[int, psutil.Process] = {}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "manage.py", "up", *words],
            cwd=ROOT,
            env=environment(state, self.port, changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def ready(self) -> Up:
        """Wait for the last line of a successful start."""
        end = time.monotonic() + START_SECONDS
        while not any(line.startswith("Ctrl-C") for line in self.lines):
            line = self._queue.get(timeout=max(0.1, end - time.monotonic()))
            assert line is not None, f"the launcher ended:\n{self.output}"
            self.lines.append(line)
        self.processes()
        return self

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def processes(self) -> list[psutil.Process]:
        """All processes below the launcher; they are remembered for `left_over`."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        self._seen.update({each.pid: each for each in found})
        return found

    def pids(self, name: str) -> set[int]:
        """The processes of a program, such as `web` or `postgres`."""
        running = self.processes()
        found = {each.pid: _parent(each) for each in running if _is(each, name)}
        # A fork looks like its parent until it has become another program, and may outlive it.
        if name == "supervisor":
            return {pid for pid, parent in found.items() if parent not in found}
        supervisors = {each.pid for each in running if _is(each, "supervisor")}
        return {pid for pid, parent in found.items() if parent in supervisors}

    def named(self, name: str) -> psutil.Process:
        """One process of a program."""
        return psutil.Process(min(self.pids(name)))

    def is_replaced(self, name: str, victim: psutil.Process) -> bool:
        """Whether the program has all its processes again, and the victim is none of them."""
        pids = self.pids(name)
        return len(pids) == PROGRAMS[name] and victim.pid not in pids

    def is_whole(self) -> bool:
        """Whether each program runs as often as it should, and the site is ready."""
        return counts(self) == PROGRAMS and self.status() == 200

    def status(self, host: str = "127.0.0.1") -> int:
        """What /readyz answers; 0 when nobody does."""
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def kill(self) -> None:
        """Kill the launcher and all below it as if at once."""
        held = [psutil.Process(pid) for pid in (self.process.pid, *self.pids("supervisor"))]
        # Else they would end the others in good order meanwhile, or start them again.
        for each in held:
            each.suspend()
        others = [each for each in self.processes() if each not in held]
        for each in [*others, *held]:
            # Many end by themselves as soon as another has.
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait(STOP_SECONDS)

    def left_over(self) -> list[psutil.Process]:
        """Processes of this launcher that still run."""
        return [each for each in self._seen.values() if _runs(each)]

    def interrupt(self) -> int:
        """Ctrl-C: returns the exit status."""
        if self.process.poll() is None:
            self.processes()
            self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait for the launcher's own end and read the rest of its output."""
        status = self.process.wait(STOP_SECONDS)
        while (line := self._queue.get(timeout=STOP_SECONDS)) is not None:
            self.lines.append(line)
        return status

    def discard(self) -> None:
        """End whatever is left, at the end of a test that may have failed."""
        if self.process.poll() is None:
            self.interrupt()
        for each in self.left_over():
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put(None)
        self.process.stdout.close()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


_MARKS = {
    "web": ["resilience_site.embedded.web"],
    "worker": ["celery@%h"],
    "healing": ["healing@%h"],
    "beat": ["celery", "--pidfile"],
    "supervisor": ["supervisor.supervisord"],
    "postgres": ["unix_socket_directories"],
    "valkey": ["valkey-server", ".sock"],
}


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing when it has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _is(process: psutil.Process, name: str) -> bool:
    words = words_of(process)
    if "tether.py" in " ".join(words):
        return False
    return all(any(mark in word for word in words) for mark in _MARKS[name])


PROGRAMS = {
    "supervisor": 1,
    "postgres": 1,
    "valkey": 1,
    "web": 2,
    "worker": 1,
    "healing": 1,
    "beat": 1,
}


def counts(up: Up) -> dict[str, int]:
    return {name: len(up.pids(name)) for name in PROGRAMS}


def closed_and_clean(up: Up) -> None:
    """Nothing of that launcher is left: no process, no socket, no port."""
    until(lambda: up.left_over() == [], STOP_SECONDS, "the end of all processes")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", up.port))

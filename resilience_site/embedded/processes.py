"""Starting tethered processes, and ending those that an earlier start has left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from resilience_site.embedded.programs import Program

SUPERVISOR = "supervisor"
TETHER = Path(__file__).with_name("tether.py")
# psutil derives start times from the time of boot, which moves a little when the clock is set.
_START_TOLERANCE = 2.0  # seconds
_KILL_SECONDS = 5


@dataclass(frozen=True)
class Record:
    """Word of a process that a tether started; `started` is a Unix time."""

    name: str
    pid: int
    started: float
    stop_signal: str
    stop_seconds: int
    priority: int

    def process(self) -> psutil.Process | None:
        """The process, if it still runs: the pid alone may be someone else's by now."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same = abs(process.create_time() - self.started) <= _START_TOLERANCE
        except psutil.NoSuchProcess:
            return None
        return process if same else None


def tether(
    program: Program,
    run: Path,
    *,
    listen_descriptor: int | None = None,
    kept_descriptor: int | None = None,
    parent: int | None = None,
) -> list[str]:
    """Write the program's specification; returns the command that starts it.

    The program gets `listen_descriptor` as descriptor 0, keeps `kept_descriptor`, and no other.
    """
    specification = {
        "name": program.name,
        "argv": [str(each) for each in program.argv],
        "environment": dict(program.environment),
        "directory": str(program.directory or "/"),
        "stop_signal": program.stop_signal,
        "stop_seconds": program.stop_seconds,
        "death_signal": program.death_signal,
        "priority": program.priority,
        "nice": program.nice,
        "listen_descriptor": listen_descriptor,
        "kept_descriptor": kept_descriptor,
        "parent": parent,
    }
    path = run / f"{program.name}.program"
    # It may hold secrets of the program's environment.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(specification, file)
    # -I: neither the caller's folder nor his variables decide what is imported.
    return [sys.executable, "-I", str(TETHER), str(path)]


def spawn(
    program: Program,
    run: Path,
    log: Path,
    *,
    listen_descriptor: int | None = None,
    kept_descriptor: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program as a child of this process, outside of its terminal's signals."""
    command = tether(
        program,
        run,
        listen_descriptor=listen_descriptor,
        kept_descriptor=kept_descriptor,
        parent=os.getpid(),
    )
    passed = [each for each in (listen_descriptor, kept_descriptor) if each is not None]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=passed,
        )


def run_to_end(program: Program, run: Path) -> int:
    """Run a program that prints to this process's output; returns its exit status."""
    command = tether(program, run, parent=os.getpid())
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def records(run: Path) -> list[Record]:
    """What is recorded, the supervisor first, then in the order of stopping."""
    found = []
    for path in run.glob("*.process"):
        try:
            found.append(Record(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError):
            # Cut off by a crash of the machine, so its process is gone as well.
            path.unlink()
    return sorted(found, key=lambda each: (each.name != SUPERVISOR, -each.priority))


def reap(run: Path, say: Callable[[str], None]) -> None:
    """End every recorded process that still runs, and forget the records."""
    for record in records(run):
        process = record.process()
        if process is not None:
            say(f"ending {record.name} (process {record.pid}), left by an earlier start")
            end(process, record.stop_signal, record.stop_seconds)
    for path in [*run.glob("*.process"), *run.glob("*.program"), *run.glob("*.new")]:
        path.unlink(missing_ok=True)


def end(process: psutil.Process, stop_signal: str, seconds: float) -> None:
    """Ask a process to stop, kill it after `seconds`, and wait until it is gone."""
    try:
        process.send_signal(signal.Signals[f"SIG{stop_signal}"])
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_KILL_SECONDS)
    except psutil.NoSuchProcess:
        return

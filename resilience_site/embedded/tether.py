"""Runs a program that ends with its parent and leaves word of itself: `tether.py SPECIFICATION`.

A script without imports from the site, because it stands before every start of every process.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import psutil

PR_SET_PDEATHSIG = 1
_HIGHEST_DESCRIPTOR = 1024
_MOST_FILES = 65536


def main(path: str) -> None:
    specification: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    _end_with_parent(specification["death_signal"], specification["parent"])
    _record(Path(path).parent, specification)
    _arrange_descriptors(specification["listen_descriptor"], specification["kept_descriptor"])
    _raise_file_limit()
    os.nice(specification["nice"])
    os.chdir(specification["directory"])
    argv = specification["argv"]
    os.execvpe(argv[0], argv, {**os.environ, **specification["environment"]})  # noqa: S606


def _end_with_parent(name: str, parent: int | None) -> None:
    if not sys.platform.startswith("linux"):
        return
    before = os.getppid() if parent is None else parent
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_PDEATHSIG, signal.Signals[f"SIG{name}"], 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != before:
        # The parent ended before the signal could be asked for.
        sys.exit(1)


def _record(folder: Path, specification: dict[str, Any]) -> None:
    name = os.environ.get("SUPERVISOR_PROCESS_NAME", specification["name"])
    record = {
        "name": name,
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "stop_signal": specification["stop_signal"],
        "stop_seconds": specification["stop_seconds"],
        "priority": specification["priority"],
    }
    fresh = folder / f"{name}.{os.getpid()}.new"
    fresh.write_text(json.dumps(record), encoding="utf-8")
    fresh.replace(folder / f"{name}.process")


def _arrange_descriptors(listen: int | None, kept: int | None) -> None:
    if listen is not None:
        os.dup2(listen, 0)
    first = _HIGHEST_DESCRIPTOR if kept is None else kept
    os.closerange(3, first)
    os.closerange(first + 1, _HIGHEST_DESCRIPTOR)


def _raise_file_limit() -> None:
    """The usual soft limit of 1,024 is for programs that use select()."""
    if not sys.platform.startswith("linux"):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main(sys.argv[1])

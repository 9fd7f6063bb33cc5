"""Engines for one test session: started where no URL is given, gone when the session is."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

from resilience_site.embedded.folders import Folders
from resilience_site.embedded.postgres import Postgres
from resilience_site.embedded.processes import spawn
from resilience_site.embedded.valkey import Valkey

STATE_PREFIX = "rcp-tests-"
_STOP_SECONDS = 20
# Variables of the engines that this process started, which end with it.
OWN: set[str] = set()
# The folder of `tests.collected`.
COLLECTED = "RCP_TESTS_COLLECTED"
# Names the engines that the controller of a parallel run started: each worker has its own.
_STARTED = "RCP_TESTS_STARTED"
_IS_WORKER = "PYTEST_XDIST_WORKER"


def start_missing() -> None:
    """Start what DATABASE_URL and REDIS_URL do not give, and set them.

    Tests keep their state in a folder of their own as well, whatever site runs beside them.
    """
    state = Path(tempfile.mkdtemp(prefix=STATE_PREFIX))
    os.environ["RESILIENCE_STATE_DIR"] = str(state)
    os.environ.setdefault("DISTRIBUTED_TRACING_ENABLED", "false")
    # The first process of a run gives its workers the place for what they share.
    os.environ.setdefault(COLLECTED, str(state / "collected"))
    # Registered first, so that it runs last.
    atexit.register(shutil.rmtree, state)
    folders = Folders(state)
    folders.make()
    atexit.register(folders.remove_sockets)
    # Taken away in a worker, whose own children are to use its engines.
    above = os.environ.pop(_STARTED, "").split() if _IS_WORKER in os.environ else []
    for variable, start in (("DATABASE_URL", _start_postgres), ("REDIS_URL", _start_valkey)):
        if variable in above or not os.environ.get(variable):
            os.environ[variable] = start(folders)
            OWN.add(variable)
    if _IS_WORKER not in os.environ and OWN:
        os.environ[_STARTED] = " ".join(sorted(OWN))


def _start_postgres(folders: Folders) -> str:
    engine = Postgres(folders, throwaway=True)
    engine.prepare()
    process = spawn(engine.program(), folders.run, folders.logs / "postgres.log")
    atexit.register(_stop, process, "SIGINT")
    engine.wait_ready(_alive(process))
    engine.ensure_database("resilience", may_create_databases=True)
    return engine.url("resilience")


def _start_valkey(folders: Folders) -> str:
    engine = Valkey(folders)
    engine.prepare()
    process = spawn(engine.program(), folders.run, folders.logs / "valkey.log")
    atexit.register(_stop, process, "SIGTERM")
    engine.wait_ready(_alive(process))
    return engine.url


def drop_database(connection: psycopg.Connection, name: str) -> None:
    """Drop a database with its connections. A worker of autovacuum, which only superusers may end,
    is gone in a moment."""
    end = time.monotonic() + _STOP_SECONDS
    while True:
        try:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
        except psycopg.errors.InsufficientPrivilege:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def _alive(process: subprocess.Popen[bytes]) -> Callable[[], None]:
    def check() -> None:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")

    return check


def _stop(process: subprocess.Popen[bytes], stop_signal: str) -> None:
    process.send_signal(signal.Signals[stop_signal])
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

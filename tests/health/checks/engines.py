"""Engines of a test's own, reachable over TCP and by sockets, which it may stop, kill and fill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import redis

from resilience_site.embedded.accounts import run_as
from resilience_site.embedded.folders import Folders
from resilience_site.embedded.postgres import Postgres
from resilience_site.embedded.processes import spawn
from resilience_site.embedded.programs import Program
from resilience_site.embedded.valkey import Valkey
from tests.patience import until
from tests.ports import free_port

PASSWORD = "pa ss/w0rd"  # has characters that a URL must quote
URL_PASSWORD = "pa%20ss%2Fw0rd"
_HBA = """\
local all all trust
local replication all trust
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


class Engine:
    """A process that can be stopped (SIGSTOP) and killed."""

    def __init__(self, program: Program, folders: Folders) -> None:
        self.process: subprocess.Popen[bytes] = spawn(
            program, folders.run, folders.logs / f"{program.name}.log"
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is not None:
            return
        self.resume()
        self.process.send_signal(stop_signal)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class PostgresEngine(Engine):
    """A PostgreSQL at `port` with the superuser postgres and the user guarded, who has a password."""

    def __init__(
        self, engine: Postgres, folders: Folders, data: Path, options: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self.sockets = engine.sockets
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", *options]
        program = engine.program()
        argv = [str(data) if each == str(engine.data) else each for each in program.argv]
        argv += [word for each in settings for word in ("-c", each)]
        super().__init__(replace(program, argv=argv, name=f"postgres-{self.port}"), folders)
        until(self._ready)

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def guarded(self, host: str = "127.0.0.1", port: int | None = None) -> str:
        return f"postgresql://guarded:{URL_PASSWORD}@{host}:{port or self.port}/postgres"

    @property
    def by_socket(self) -> str:
        return f"postgresql://postgres@:{self.port}/postgres?host={self.sockets}"

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn, autocommit=True, **options)

    def ask(self, query: str) -> Any:
        with self.connect() as connection:
            cursor = connection.execute(query.encode())
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]

    def _ready(self) -> bool:
        assert self.process.poll() is None, "PostgreSQL ended"
        try:
            return bool(self.ask("SELECT true"))
        except psycopg.OperationalError:
            return False


class PostgresPair:
    """A primary, and a standby of it where one is asked for."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._engine = Postgres(folders, max_connections=20, throwaway=True)
        self._engine.prepare()
        (self._engine.data / "pg_hba.conf").write_text(_HBA, encoding="ascii")
        self.primary = PostgresEngine(self._engine, folders, self._engine.data)
        with self.primary.connect() as connection:
            connection.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'".encode())
        self._standby: PostgresEngine | None = None

    @property
    def standby(self) -> PostgresEngine:
        if self._standby is None:
            copy = self._engine.home / "standby"
            program = self._engine.folder / "pg_basebackup"
            command = [
                *run_as(self._engine.account, home=self._engine.home, program=program),
                str(program),
                *("-D", str(copy), "-R", "-X", "stream", "-c", "fast", "--no-sync"),
                *("-h", str(self.primary.sockets), "-p", str(self.primary.port), "-U", "postgres"),
            ]
            subprocess.run(command, cwd="/", check=True, capture_output=True)
            self._standby = PostgresEngine(self._engine, self._folders, copy)
        return self._standby

    def end(self) -> None:
        for each in (self._standby, self.primary):
            if each is not None:
                each.end(signal.SIGINT)


class ValkeyEngine(Engine):
    """A Valkey at `port`, with further settings."""

    def __init__(self, folders: Folders, *settings: str) -> None:
        self.port = free_port()
        self.engine = Valkey(folders, f"valkey-{self.port}")
        self.engine.prepare()
        program = self.engine.program()
        argv = [*program.argv, "--port", str(self.port), "--bind", "127.0.0.1", *settings]
        super().__init__(replace(program, argv=argv), folders)
        self.engine.wait_ready(self._alive)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> Path:
        return self.engine.socket

    @contextmanager
    def client(self, **options: Any) -> Iterator[redis.Redis]:
        with redis.Redis(host="127.0.0.1", port=self.port, **options) as client:
            yield client

    def _alive(self) -> None:
        assert self.process.poll() is None, "Valkey ended"


@contextmanager
def engine_folders() -> Iterator[Folders]:
    # A short path: sockets have a limit that pytest's own folders may exceed.
    state = Path(tempfile.mkdtemp(prefix="rcp-engines-"))
    os.chmod(state, 0o755)
    folders = Folders(state)
    folders.make()
    try:
        yield folders
    finally:
        folders.remove_sockets()
        shutil.rmtree(state)


@contextmanager
def postgres_pair() -> Iterator[PostgresPair]:
    with engine_folders() as folders:
        pair = PostgresPair(folders)
        try:
            yield pair
        finally:
            pair.end()


@contextmanager
def valkey(*settings: str) -> Iterator[ValkeyEngine]:
    with engine_folders() as folders:
        engine = ValkeyEngine(folders, *settings)
        try:
            yield engine
        finally:
            engine.end()

"""The embedded PostgreSQL: one cluster in the state directory, reached by a socket alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from resilience_site.embedded import binaries
from resilience_site.embedded.accounts import database_account, run_as
from resilience_site.embedded.errors import StartError
from resilience_site.embedded.folders import (
    LONGEST_SOCKET_PATH,
    Account,
    Folders,
    make_private,
)
from resilience_site.embedded.processes import end
from resilience_site.embedded.programs import Program

NAME = "postgres"
SUPERUSER = "postgres"
PORT = 5432
# The socket's folder is private to one user, so whoever reaches the socket may connect.
HOST_BASED_AUTHENTICATION = "local all all trust\n"
_POLL_SECONDS = 0.02
_STALE_STOP_SECONDS = 20
_BUILTIN_LOCALES = 17

Check = Callable[[], None]


class Postgres:
    """One cluster: `prepare`, run `program()`, then `wait_ready`.

    `throwaway` trades safety against a crash of the machine for speed, for tests.
    """

    def __init__(
        self, folders: Folders, *, max_connections: int = 100, throwaway: bool = False
    ) -> None:
        self.name = NAME
        self.home = folders.state / NAME
        self.data = self.home / "data"
        self.folder = binaries.postgres_folder()
        self.max_connections = max_connections
        self.throwaway = throwaway
        self.account: Account | None = None
        self.sockets = folders.sockets
        self._folders = folders
        self._run_as: list[str] = []

    @property
    def title(self) -> str:
        return f"PostgreSQL {self.version}"

    @property
    def version(self) -> str:
        return binaries.version(self.folder / "postgres")

    def prepare(self) -> None:
        """Make the cluster where there is none, and clear what a crash left; raises StartError."""
        self.account = database_account(self.home)
        if self.account is not None:
            self.sockets = self._folders.database_sockets
            make_private(self.sockets, self.account)
        self._make_home()
        program = self.folder / "initdb"
        self._run_as = run_as(self.account, home=self.home, program=program)
        if self.data.exists():
            self._check_version()
            self._clear_lock()
        else:
            self._make_cluster()
        (self.data / "pg_hba.conf").write_text(HOST_BASED_AUTHENTICATION, encoding="ascii")

    def program(self) -> Program:
        """The server in the foreground. SIGINT is its fast, clean stop."""
        argv = [*self._run_as, str(self.folder / "postgres"), "-D", str(self.data)]
        for name, value in self._parameters().items():
            argv += ["-c", f"{name}={value}"]
        return Program(
            NAME,
            argv,
            directory=Path("/"),
            stop_signal="INT",
            stop_seconds=30,
            death_signal="INT",
            priority=10,
            as_database_user=self.account is not None,
        )

    def wait_ready(self, check: Check, seconds: float = 60.0) -> None:
        """Return once a query is answered; raises StartError when that takes too long.

        `check` is called while waiting, and raises when there is nothing to wait for.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                with self.connect() as connection:
                    connection.execute("SELECT 1")
            except psycopg.OperationalError as error:
                check()
                if time.monotonic() > until:
                    reason = str(error).strip().splitlines()[-1]
                    raise StartError(f"PostgreSQL does not answer: {reason}") from None
                time.sleep(_POLL_SECONDS)
            else:
                return

    @contextmanager
    def connect(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """A connection as superuser."""
        with psycopg.connect(
            host=str(self.sockets),
            port=PORT,
            user=SUPERUSER,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        ) as connection:
            yield connection

    def ensure_database(self, name: str, *, may_create_databases: bool = False) -> None:
        """Make the database and its owner of the same name, where they do not exist."""
        role = sql.Identifier(name)
        with self.connect() as connection:
            if not connection.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", [name]
            ).fetchone():
                options = sql.SQL("LOGIN CREATEDB" if may_create_databases else "LOGIN")
                connection.execute(sql.SQL("CREATE ROLE {} {}").format(role, options))
            if not connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [name]
            ).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))

    def url(self, name: str) -> str:
        """The address of the database `name` as its owner."""
        return f"postgres://{name}@/{name}?host={quote(str(self.sockets), safe='/')}"

    def _parameters(self) -> dict[str, str]:
        parameters = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": str(self.max_connections),
            "shared_buffers": "128MB",
            # Ingest writes in bursts: fewer, longer checkpoints write each page less often.
            "wal_compression": "on",
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        if self.throwaway:
            parameters |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return parameters

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        if self.account is not None:
            os.chown(self.home, self.account.uid, self.account.gid)
        elif self.home.stat().st_uid != os.geteuid():
            raise StartError(
                f"{self.home} belongs to another user, who started this site before: start it as"
                " that user, or set RESILIENCE_STATE_DIR to another folder."
            )
        longest = self.sockets / f".s.PGSQL.{PORT}.lock"
        if len(os.fsencode(longest)) > LONGEST_SOCKET_PATH:
            raise StartError(f"{self.sockets} is too long a path for a socket: set TMPDIR.")

    def _make_cluster(self) -> None:
        # Made aside and renamed when complete, so that an interrupted one is never taken for it.
        fresh = self.home / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        command = [
            *self._run_as,
            str(self.folder / "initdb"),
            f"--pgdata={fresh}",
            f"--username={SUPERUSER}",
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
            *self._locale(),
            *(["--no-sync"] if self.throwaway else []),
        ]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            reason = " ".join(done.stderr.split())
            raise StartError(f"initdb could not make a PostgreSQL cluster in {fresh}: {reason}")
        fresh.rename(self.data)

    def _locale(self) -> list[str]:
        if int(self.version.partition(".")[0] or 0) >= _BUILTIN_LOCALES:
            return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return ["--locale=C"]

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if self.version.partition(".")[0] != made_by:
            raise StartError(
                f"{self.data} was made by PostgreSQL {made_by}, but this is {self.version}: install"
                f" PostgreSQL {made_by}, or move the data by pg_dump, or set DATABASE_URL."
            )

    def _clear_lock(self) -> None:
        """PostgreSQL refuses to start when any process has the pid of a former one."""
        lock = self.data / "postmaster.pid"
        try:
            first, _, _ = lock.read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            first = ""
        if first.strip().isdigit() and (former := self._former_server(int(first))):
            end(former, "INT", _STALE_STOP_SECONDS)
        lock.unlink(missing_ok=True)
        for path in self.sockets.glob(".s.PGSQL.*"):
            path.unlink()

    def _former_server(self, pid: int) -> psutil.Process | None:
        """The process of that pid, if it is a PostgreSQL that runs on this very cluster."""
        try:
            process = psutil.Process(pid)
            is_ours = process.name() == "postgres" and process.cwd() == str(self.data)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            # Whose folder cannot be read is another user's, who cannot have opened this cluster.
            return None
        return process if is_ours else None

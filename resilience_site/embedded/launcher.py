"""`manage.py up`: starts the engines and the site under a supervisor, and stops them in order.

Run as its own small program, so that the process that only waits holds little memory.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from types import FrameType

from resilience_site.config import ConfigError, config
from resilience_site.embedded import demo, external
from resilience_site.embedded.console import say, step
from resilience_site.embedded.errors import StartError
from resilience_site.embedded.folders import Folders
from resilience_site.embedded.lock import only_one
from resilience_site.embedded.ports import bound_socket, check_free
from resilience_site.embedded.postgres import Postgres
from resilience_site.embedded.processes import reap, run_to_end, spawn
from resilience_site.embedded.programs import Program
from resilience_site.embedded.site import (
    BEAT,
    HEALING,
    WORKER,
    address,
    max_connections,
    preparation,
    site_host,
    site_programs,
)
from resilience_site.embedded.supervisor import (
    Supervisor,
    socket_path,
    supervisor_program,
    write_configuration,
)
from resilience_site.embedded.tether import PR_SET_PDEATHSIG
from resilience_site.embedded.valkey import Valkey
from resilience_site.embedded.watch import Watch

DATABASE = "resilience"
_STOP_SECONDS = 60
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(BaseException):
    """Somebody asked the launcher to stop; not an error, so nothing may handle it as one."""


class Launcher:
    """One run of the site, from the first check to the last process's end."""

    def __init__(self, *, with_demo: bool) -> None:
        self.folders = Folders(config.resilience_state_dir)
        self.with_demo = with_demo
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self.demo_valkey: Valkey | None = None
        self.supervisor = Supervisor(socket_path(self.folders))
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start, wait and stop; the exit status. Raises StartError."""
        started = time.monotonic()
        self.folders.make()
        with only_one(self.folders.state), ExitStack() as closing:
            reap(self.folders.run, say)
            closing.callback(self.folders.remove_sockets)
            listening = closing.enter_context(bound_socket(config.host, config.port, "PORT"))
            if self.with_demo:
                demo.check_ports(check_free)
            try:
                self._start(listening.fileno())
                listening.close()
                self._announce(time.monotonic() - started)
                return self._watch().until_supervisor_ends()
            except Stop:
                closing.callback(say, "Stopped.")
                say("\nStopping …")
                return 0
            finally:
                for each in _SIGNALS:
                    signal.signal(each, signal.SIG_IGN)
                self._stop()

    def _start(self, listen_descriptor: int) -> None:
        config.generate_secrets()
        if config.is_set("DATABASE_URL"):
            external.wait_for_database(config.database_url)
        if config.is_set("REDIS_URL"):
            external.wait_for_redis(config.redis_url)
        programs = [*self._prepare_engines(), *site_programs()]
        if self.with_demo:
            os.environ.setdefault("RESILIENCE_ALLOW_PRIVATE_TARGETS", "true")
        self._share_addresses()
        if self.with_demo:
            programs += demo.programs(self.folders, self._demo_database(), self.demo_valkey)
        write_configuration(self.folders, programs, listen_descriptor=listen_descriptor)
        self._start_supervisor(listen_descriptor)
        self._start_engines()
        with step("Preparing database and static files"):
            self._prepare()
        with step("Starting the site"):
            self._start_all(programs, below=demo.PRIORITY)
            self._watch().until_ready(f"{address()}/readyz", host=site_host())
        if self.with_demo:
            with step("Starting the demo"):
                self._start_all(programs, below=None)
                demo.wait_until_listening(self._watch())
                demo.apply_catalogues(self.folders)

    # --- Engines ------------------------------------------------------------------------------

    def _prepare_engines(self) -> list[Program]:
        programs = []
        if not config.is_set("DATABASE_URL"):
            self.postgres = Postgres(self.folders, max_connections=max_connections())
            if not self.postgres.data.exists():
                with step(f"Making a PostgreSQL {self.postgres.version} cluster"):
                    self.postgres.prepare()
            else:
                self.postgres.prepare()
            programs.append(self.postgres.program())
        if not config.is_set("REDIS_URL"):
            self.valkey = Valkey(self.folders)
            self.valkey.prepare()
            programs.append(self.valkey.program())
        if self.with_demo:
            self.demo_valkey = Valkey(self.folders, demo.VALKEY, purpose=" of the demo")
            self.demo_valkey.prepare()
            programs.append(self.demo_valkey.program())
        return programs

    def _share_addresses(self) -> None:
        """Give the engines' addresses to all processes, and to commands in other terminals."""
        os.environ["RESILIENCE_STATE_DIR"] = str(self.folders.state)
        os.environ["PYTHONUNBUFFERED"] = "1"
        database = self.postgres.url(DATABASE) if self.postgres else None
        redis = self.valkey.url if self.valkey else None
        for name, url in (("DATABASE_URL", database), ("REDIS_URL", redis)):
            if url is not None:
                os.environ[name] = url
        config.keep(database_url=database, redis_url=redis)

    def _start_engines(self) -> None:
        watch = self._watch()
        engines = [each for each in (self.postgres, self.valkey, self.demo_valkey) if each]
        for engine in engines:
            self.supervisor.start(engine.name)
        for engine in engines:
            with step(f"Starting {engine.title}"):
                engine.wait_ready(watch.check)
        if self.postgres is not None:
            self.postgres.ensure_database(DATABASE)
            if self.with_demo:
                self.postgres.ensure_database(demo.DATABASE)

    def _demo_database(self) -> str:
        if self.postgres is not None:
            return self.postgres.url(demo.DATABASE)
        return external.ensure_sibling_database(config.database_url, demo.DATABASE)

    # --- Processes ----------------------------------------------------------------------------

    def _start_supervisor(self, listen_descriptor: int) -> None:
        log = self.folders.logs / "supervisord-output.log"
        self._process = spawn(
            supervisor_program(self.folders),
            self.folders.run,
            log,
            kept_descriptor=listen_descriptor,
        )
        self._watch().until_supervisor_answers()

    def _start_all(self, programs: list[Program], *, below: int | None) -> None:
        for program in programs:
            if below is None or program.priority < below:
                self.supervisor.start(program.name)

    def _prepare(self) -> None:
        if run_to_end(preparation(), self.folders.run) != 0:
            raise StartError("The database could not be prepared; the lines above say why.")

    def _watch(self) -> Watch:
        assert self._process is not None
        return Watch(self.supervisor, self._process, self.folders.logs)

    def _stop(self) -> None:
        """End every process, the site's before its engines; bounded in time."""
        if self._process is not None and self._process.poll() is None:
            self._stop_background_work()
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        reap(self.folders.run, say)
        config.keep(database_url=None, redis_url=None)

    def _stop_background_work(self) -> None:
        """Workers and beat stop side by side; the supervisor alone stops one after the other."""
        with suppress(OSError):  # A supervisor that does not answer is told by a signal.
            for name in (WORKER, HEALING, BEAT):
                self.supervisor.stop(name, wait=False)

    def _announce(self, seconds: float) -> None:
        say()
        say(f"Ready after {seconds:.1f} s: {address()}")
        say(f"  log in as       admin / {_shown('RESILIENCE_ADMIN_PASSWORD')}")
        say(f"  ingest key      {_shown('RESILIENCE_INGEST_KEY')}")
        say(f"  operator key    {_shown('RESILIENCE_OPERATOR_KEY')}")
        say(f"  logs            {self.folders.logs}")
        if self.with_demo:
            demo.announce(say)
        say("Ctrl-C stops everything.")


def _shown(name: str) -> str:
    """A secret that the site made for itself; one that the operator chose is not printed."""
    effective = config.effective(name)
    return f"(as in {name})" if config.is_set(name) else str(effective.value)


def _raise_stop(number: int, frame: FrameType | None) -> None:
    raise Stop


def _stop_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--stop-with-parent", action="store_true")
    options = parser.parse_args()
    if options.stop_with_parent:
        _stop_with_parent()
    for each in _SIGNALS:
        # nohup ignores the end of the terminal on purpose.
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, _raise_stop)
    try:
        config.check()
        return Launcher(with_demo=options.demo).run()
    except Stop:
        return 0
    except (StartError, ConfigError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main())

"""supervisord: its configuration, and its XML-RPC interface over a socket."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resilience_site.embedded.folders import Folders
from resilience_site.embedded.processes import SUPERVISOR, tether
from resilience_site.embedded.programs import Program

_CONFIGURATION = "supervisord.conf"
_ANSWER_SECONDS = 30
_ALREADY_STARTED, _NOT_RUNNING = 60, 70


def supervisor_program(folders: Folders) -> Program:
    """supervisord itself; on SIGTERM it stops its programs one after the other."""
    return Program(
        SUPERVISOR,
        [sys.executable, "-m", "supervisor.supervisord", "--configuration", _CONFIGURATION],
        # All paths in the configuration are relative to it: supervisord cannot quote in values.
        directory=folders.run,
        stop_seconds=60,
    )


def write_configuration(
    folders: Folders, programs: Iterable[Program], *, listen_descriptor: int | None
) -> None:
    """Write the configuration that runs `programs`; nothing starts before it is asked for."""
    text = _HEAD.format(
        socket=socket_path(folders),
        user="user = root" if os.geteuid() == 0 else "",
    )
    for program in programs:
        descriptor = listen_descriptor if program.listen else None
        *command, path = tether(program, folders.run, listen_descriptor=descriptor)
        command.append(Path(path).name)
        suffix = "-%(process_num)d" if program.copies > 1 else ""
        text += _PROGRAM.format(
            program=program,
            command=" ".join(_quoted(each) for each in command),
            process=f"{program.name}{suffix}",
            log=f"../{folders.logs.name}/{program.name}{suffix}.log",
        )
    (folders.run / _CONFIGURATION).write_text(text, encoding="utf-8")


def socket_path(folders: Folders) -> Path:
    """Where supervisord listens for XML-RPC."""
    return folders.sockets / "supervisor.sock"


@dataclass(frozen=True)
class State:
    """A process as supervisord sees it: `state` is e.g. STARTING, RUNNING, BACKOFF, FATAL."""

    group: str
    name: str
    state: str
    pid: int


class Supervisor:
    """A client of the running supervisord; calls raise OSError when it does not answer."""

    def __init__(self, path: Path) -> None:
        self._proxy: Any = xmlrpc.client.ServerProxy("http://localhost", transport=_Unix(path))

    def states(self) -> list[State]:
        """Every process of every program."""
        return [
            State(each["group"], each["name"], each["statename"], each["pid"])
            for each in self._proxy.supervisor.getAllProcessInfo()
        ]

    def start(self, name: str) -> None:
        """Start all copies of a program, without waiting for them."""
        for state in self.states():
            if state.group == name:
                self._tolerating(_ALREADY_STARTED, "startProcess", state)

    def stop(self, name: str, *, wait: bool = True) -> None:
        """Stop all copies of a program, and by default wait until they have."""
        for state in self.states():
            if state.group == name:
                self._tolerating(_NOT_RUNNING, "stopProcess", state, wait=wait)

    def restart(self, name: str) -> None:
        """Stop and start the copies one by one, so that the others go on."""
        for state in self.states():
            if state.group == name:
                self._tolerating(_NOT_RUNNING, "stopProcess", state, wait=True)
                self._tolerating(_ALREADY_STARTED, "startProcess", state, wait=True)

    def _tolerating(self, code: int, method: str, state: State, *, wait: bool = False) -> None:
        try:
            getattr(self._proxy.supervisor, method)(f"{state.group}:{state.name}", wait)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != code:
                raise


class _Unix(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        # Not kept for later requests: supervisord may have been replaced in between.
        return _UnixConnection(self._path)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _quoted(word: str) -> str:
    # supervisord splits commands as a shell does, after its own expansion.
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


# minfds: supervisord closes that many descriptors in its children, among them the listening
# socket that the web processes share. The tether closes what is not meant for a program.
_HEAD = """\
[supervisord]
nodaemon = true
silent = true
logfile = ../logs/supervisord.log
logfile_maxbytes = 10MB
logfile_backups = 3
pidfile = supervisord.pid
childlogdir = ../logs
minfds = 3
minprocs = 1
{user}

[unix_http_server]
file = {socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{socket}
"""

_PROGRAM = """
[program:{program.name}]
command = {command}
process_name = {process}
numprocs = {program.copies}
priority = {program.priority}
autostart = false
autorestart = true
startsecs = 1
startretries = 10
stopsignal = {program.stop_signal}
stopwaitsecs = {program.stop_seconds}
stopasgroup = false
killasgroup = true
redirect_stderr = true
stdout_logfile = {log}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3
"""

"""supervisord's XML-RPC interface: what runs, stop, start, signal.

supervisord answers one call after another, so none here waits for a process: the caller looks
again until it is there.
"""

from __future__ import annotations

import base64
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from healing.actions.base import ActionFailed, Context
from healing.actions.link import Server, exchange, server_at
from health.checks.web import phrase
from health.checks.words import one_line

ALREADY_STARTED: Final = 60
NOT_RUNNING: Final = 70
_BAD_NAME: Final = 10
# supervisord's numbers of states.
_RUNNING: Final = 20
_STOPPING: Final = 40
_WITH_PROCESS: Final = frozenset({10, _RUNNING, 30})
_LIKELY_RUNS_SOON: Final = frozenset({10, 30})
_LOG_BYTES: Final = 2_000


class Fault(ActionFailed):
    """supervisord refused a call, with one of its codes."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"supervisord refuses: {text}", output=text)
        self.code = code


@dataclass(frozen=True)
class Process:
    """A process as supervisord sees it; `state` is e.g. RUNNING, `start` when it last began (Unix
    seconds, 0 for never), `pid` 0 where there is none."""

    group: str
    name: str
    number: int
    state: str
    pid: int
    start: int
    why: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.group}:{self.name}"

    @property
    def running(self) -> bool:
        return self.number == _RUNNING and self.pid > 0

    @property
    def stopping(self) -> bool:
        return self.number == _STOPPING

    @property
    def starting(self) -> bool:
        """It is about to run, or supervisord is about to try again."""
        return self.number in _LIKELY_RUNS_SOON

    @property
    def stoppable(self) -> bool:
        return self.number in _WITH_PROCESS

    def told(self) -> str:
        """`web:web-1 (RUNNING since 2026-11-26 23:40:12 UTC, pid 4711)`."""
        since = f" since {datetime.fromtimestamp(self.start, UTC):%Y-%m-%d %H:%M:%S} UTC"
        words = f"{self.state}{since if self.pid and self.start else ''}"
        if self.pid:
            words += f", pid {self.pid}"
        return f"{self.full_name} ({words})"

    def kept(self) -> dict[str, Any]:
        """What tells this instance from the next one."""
        return {"pid": self.pid, "start": self.start, "state": self.state}


class Supervisor:
    """A client of one supervisord. Calls raise `ActionFailed` where it does not answer rightly."""

    def __init__(self, server: Server, context: Context) -> None:
        self._server = server
        self._context = context

    @property
    def where(self) -> str:
        return self._server.where

    def processes(self) -> list[Process]:
        """Every process of every program."""
        found = self._call("getAllProcessInfo")
        if not isinstance(found, list):
            raise self._rubbish()
        return [self._process(each) for each in found]

    def process(self, name: str) -> Process:
        """One process by its full name."""
        try:
            return self._process(self._call("getProcessInfo", name))
        except Fault as fault:
            if fault.code == _BAD_NAME:
                raise ActionFailed(f"supervisord knows no {name} any more") from None
            raise

    def stop(self, name: str) -> None:
        self._call("stopProcess", name, False)

    def start(self, name: str) -> None:
        self._call("startProcess", name, False)

    def kill(self, name: str) -> None:
        self._call("signalProcess", name, "KILL")

    def last_words(self, name: str) -> str:
        """The end of what a process wrote; empty where supervisord keeps no log of it."""
        for method in ("tailProcessStderrLog", "tailProcessStdoutLog"):
            try:
                answer = self._call(method, name, 0, _LOG_BYTES)
            except Fault:
                continue
            if isinstance(answer, list | tuple) and answer and str(answer[0]).strip():
                return str(answer[0]).strip()
        return ""

    def _call(self, method: str, *given: Any) -> Any:
        answer = exchange(
            self._server, "POST", "/RPC2", self._context,
            body=xmlrpc.client.dumps(given, f"supervisor.{method}").encode(),
            headers={"Content-Type": "text/xml"},
        )  # fmt: skip
        if answer.status == 401:
            raise ActionFailed(f"{self.where} refuses the name and password", permanent=True)
        if answer.status != 200:
            raise ActionFailed(f"{self.where} answered {phrase(answer.status)}")
        try:
            return xmlrpc.client.loads(answer.body)[0][0]
        except xmlrpc.client.Fault as fault:
            raise Fault(fault.faultCode, one_line(str(fault.faultString))) from None
        except Exception as error:
            # The parser of rubbish raises whatever its pieces do.
            raise self._rubbish() from error

    def _process(self, given: Any) -> Process:
        if not isinstance(given, Mapping):
            raise self._rubbish()
        texts = [given.get(each) for each in ("group", "name", "statename")]
        numbers = [given.get(each) for each in ("state", "pid", "start")]
        if not all(isinstance(each, str) for each in texts):
            raise self._rubbish()
        if not all(isinstance(each, int) for each in numbers):
            raise self._rubbish()
        group, name, state = (str(each) for each in texts)
        number, pid, start = (int(each or 0) for each in numbers)
        why = str(given.get("spawnerr") or given.get("description") or "")
        return Process(group, name, number, state, pid, start, one_line(why))

    def _rubbish(self) -> ActionFailed:
        return ActionFailed(f"{self.where} gave an answer that supervisord never gives")


def supervisor_server(option: str, text: str, username: str, password: str) -> Server:
    """supervisord at its socket or its HTTP port; raises `OptionError`."""
    server = server_at(option, text)
    if not username:
        return server
    word = base64.b64encode(f"{username}:{password}".encode()).decode()
    return replace(server, headers={"Authorization": f"Basic {word}"}, secrets=(password, word))
